"""Generated product features: from a person's code to the n-grams and the price band of a next product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigen import ops
from minigen.mlp import MLPCache, init_mlp, mlp_backward, mlp_forward
from minigen.ops.checks import want_shape
from minigen.ops.sparse import with_data
from minigen.optimizers import Adam
from minigen.typing import CSR, Array, Params

LEAST = 1e-4  # of a base rate: a logit stays finite


class FeatureCache(NamedTuple):
    """The caches of the perceptron and of both likelihoods."""

    mlp: MLPCache
    grams: Any
    band: Any


def feature_nll_forward(params: Params, z: Array, grams: CSR, band: CSR) -> tuple[float, FeatureCache]:
    """Negative log-likelihood of features under the generator at codes z, in nats.   [eq:feature-nll]

    -log p(f | z) = -sum_g log Bernoulli(f_g; l_g) - log softmax(l_band)[b],  l = mlp(z),

    z (B, Z); grams CSR (B, D) and band CSR (B, K): shares of a person's products, so that the loss is the
    mean over these products; sum over features, mean over B.
    Raises ValueError where the shapes do not fit.
    """
    n_grams = grams.shape[1]
    logits, mlp = mlp_forward(z, params)
    want_shape("logits", logits, (grams.shape[0], n_grams + band.shape[1]))
    # As two C-contiguous arrays: each likelihood runs over its own rows.
    nll_grams, of_grams = ops.bernoulli_nll_forward(np.ascontiguousarray(logits[:, :n_grams]), grams)
    nll_band, of_band = ops.softmax_nll_forward(np.ascontiguousarray(logits[:, n_grams:]), band)
    return nll_grams + nll_band, FeatureCache(mlp, of_grams, of_band)


def feature_nll_backward(d_loss: float, cache: FeatureCache) -> tuple[Array, Params]:
    """Pull d_loss back to d_z (B, Z) and every parameter, by name.   [eq:feature-nll-backward]

    The two likelihoods share the perceptron: their gradients stand side by side, d_l = [d_l_grams, d_l_band].
    """
    d_grams = ops.bernoulli_nll_backward(d_loss, cache.grams)
    d_band = ops.softmax_nll_backward(d_loss, cache.band)
    return mlp_backward(np.concatenate([d_grams, d_band], axis=1), cache.mlp)


@dataclass(frozen=True)
class Features:
    """What items are: n-grams CSR (M, D) of ones, and a price band (M,) of 0..n_bands - 1."""

    grams: CSR
    band: NDArray[np.integer]
    n_bands: int

    def of(self, items: NDArray[np.integer]) -> Features:
        """The features of `items`."""
        return Features(self.grams[items], self.band[items], self.n_bands)

    def bands(self) -> CSR:
        """The bands as CSR (M, K) of ones."""
        n = len(self.band)
        return type(self.grams)(
            (np.ones(n, np.float32), self.band, np.arange(n + 1)), shape=(n, self.n_bands)
        )

    def base(self) -> Array:
        """Logits (D + K,) of the catalogue: log-odds of each n-gram, log share of each band."""
        grams, bands = (np.asarray(part.mean(axis=0)).ravel() for part in (self.grams, self.bands()))
        grams = np.clip(grams, LEAST, 1 - LEAST)
        logits = np.concatenate([np.log(grams) - np.log1p(-grams), np.log(np.maximum(bands, LEAST))])
        return logits.astype(np.float32)


class FeatureGenerator:
    """A generator of product features on the codes of a trained model, which itself stays as it is.

    `hidden` units between code and features, 0: none; `keep`: share of a history that the code sees, while
    the products to be described are the rest.
    """

    def __init__(
        self,
        hidden: int = 0,
        epochs: int = 30,
        lr: float = 2e-3,
        batch: int = 250,
        keep: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.hidden, self.epochs, self.lr, self.batch, self.keep = hidden, epochs, lr, batch, keep
        self.seed = seed
        self.params: Params = {}
        self.base, self.n_grams = np.empty(0, np.float32), 0

    def fit(self, model: Any, train: CSR, features: Features) -> FeatureGenerator:
        """Learn from the rows of `train` (U, M): what products stand beside those that the code has seen.

        Codes are drawn from the posterior of `model`, which gets no gradient.
        """
        rng = np.random.default_rng([self.seed, 1])
        self.base, self.n_grams = features.base(), features.grams.shape[1]
        sizes = [model.config.latent, *([self.hidden] if self.hidden else []), self.base.size]
        self.params = init_mlp(sizes, rng)
        self.params[f"b{len(sizes) - 2}"] += self.base  # begin with the catalogue: nobody in particular
        adam, rows = Adam(self.lr), np.flatnonzero(np.diff(train.indptr) >= 2)
        bands = features.bands()
        for _ in range(self.epochs):
            for part in np.array_split(rng.permutation(rows), max(1, len(rows) // self.batch)):
                shown, rest = _cut(train[part], self.keep, rng)
                mu, log_var = model.posterior(shown)
                z = mu + np.exp(log_var / 2) * rng.standard_normal(mu.shape, dtype=np.float32)
                share = with_data(rest, (1 / np.repeat(*[np.diff(rest.indptr)] * 2)).astype(np.float32))
                wanted = (_canonical(share @ part) for part in (features.grams, bands))
                _, cache = feature_nll_forward(self.params, z, *wanted)
                _, grads = feature_nll_backward(1.0, cache)
                adam.step(self.params, grads)
        return self

    def logits(self, z: Array) -> Array:
        """Logits (B, D + K) of the features of what people with codes z (B, Z) take next."""
        return mlp_forward(z, self.params)[0]

    def lift(self, z: Array, features: Features, power: float = 0.5, price: float = 1.0) -> Array:
        """How much likelier an item's features are for a person than for nobody, (B, M).   [eq:feature-lift]

        sum_g f_g (l_g(z) - l_g) / (sum_g f_g)^power + price (log p(b | z) - log p(b)),

        l the logits of the catalogue; with power 0 and price 1 it is log p(f | z) - log p(f) but for a term
        that is the same for all items.  `features` may be of items that nobody has.
        """
        logits, n = self.logits(z), self.n_grams
        length = np.maximum(np.asarray(features.grams.sum(axis=1)).ravel(), 1) ** power
        grams = np.asarray((logits[:, :n] - self.base[:n]) @ features.grams.T) / length
        log_p = logits[:, n:] - np.logaddexp.reduce(logits[:, n:], axis=1)[:, None]
        return grams + price * (log_p - self.base[n:])[:, features.band]

    def draw(self, z: Array, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Features drawn for each code: bits (B, D), and a band (B,)."""
        logits = self.logits(z)
        n = self.n_grams
        bits = rng.random((len(z), n)) < ops.sigmoid(logits[:, :n])
        band = (logits[:, n:] + rng.gumbel(size=logits[:, n:].shape)).argmax(axis=1)
        return bits, band


def _cut(x: CSR, share: float, rng: np.random.Generator) -> tuple[CSR, CSR]:
    """Two parts of each row of at least two clicks: `share` of its clicks and the rest, neither empty."""
    from minigen.application.uncertainty import places

    sizes = np.diff(x.indptr)
    n_shown = np.clip(np.rint(share * sizes), 1, sizes - 1)
    first = places(x, rng) < np.repeat(n_shown, sizes)
    parts = []
    for kept in (first, ~first):
        part = type(x)((kept.astype(np.float32), x.indices, x.indptr), shape=x.shape).copy()
        part.eliminate_zeros()
        parts.append(part)
    return parts[0], parts[1]


def _canonical(x: CSR) -> CSR:
    x.sort_indices()
    return x
