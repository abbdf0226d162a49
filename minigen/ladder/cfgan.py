"""CFGAN: a generator that completes rows of clicks, and a discriminator that it has to deceive."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.errors import InputError
from minigen.ladder import cfgan_model as model
from minigen.ladder.cfgan_model import Form
from minigen.ladder.packing import pack, unpack
from minigen.ops.sparse import with_data
from minigen.optimizers import Adam
from minigen.recommender.base import canonical
from minigen.recommender.baselines import _want_memory
from minigen.recommender.trained import AutoencoderRecommender
from minigen.typing import Array, Params

BACKENDS = ("numpy", "numba")
ROWS = ("items", "users")
_BYTES = 32  # a place of the matrix, while masks are drawn
_CLICKS = "clicks."


@dataclass(frozen=True)
class Settings:
    """Both players, the two draws of places without a click, and what G is told by whom."""

    rows: str = "items"  # what G completes: the people of an item, or the items of a person
    hidden: int = 400
    hidden_d: int = 125
    zr: float = 0.7  # zero reconstruction: share of the places without a click where G should say 0
    pm: float = 0.7  # partial masking: share of these places that D sees
    alpha: float = 0.03  # weight of the zero reconstruction
    gan: float = 1.0  # weight of D's verdict in G's loss; 0: there is no adversary
    clicks: float = 0.0  # weight of a squared error at the clicks in G's loss, which CFGAN has not
    noise: int = 0  # entries of a noise vector beside the row; G is served without
    l2_g: float = 1e-3
    l2_d: float = 0.0
    lr_g: float = 1e-4
    lr_d: float = 1e-4
    batch_g: int = 32
    batch_d: int = 64
    passes_g: int = 4  # in an epoch: D's passes over the rows, then G's
    passes_d: int = 2  # 0: D stays as it was drawn
    epochs: int = 250  # the authors count G's passes, of which this is a thousand
    patience: int = 50  # epochs without a better validation score; 0: never stop early
    seed: int = 0
    backend: str = "numpy"  # whose operations train and serve

    def __post_init__(self) -> None:
        least_1 = ("hidden", "hidden_d", "batch_g", "batch_d", "passes_g", "epochs")
        least_0 = ("alpha", "gan", "clicks", "noise", "l2_g", "l2_d", "passes_d", "patience", "seed")
        for least, names in ((1, least_1), (0, least_0)):
            for name in names:
                if not least <= getattr(self, name) < math.inf:
                    raise InputError(f"{name}: want a number of at least {least}, got {getattr(self, name)}")
        for name in ("zr", "pm"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: want a share between 0 and 1, got {getattr(self, name)}")
        for name in ("lr_g", "lr_d"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name}: want a number above 0, got {getattr(self, name)}")
        for name, known in (("rows", ROWS), ("backend", BACKENDS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name}: want {' or '.join(known)}, got {getattr(self, name)}")

    @property
    def form(self) -> Form:
        """The weights of the terms of both losses."""
        return Form(self.gan, self.alpha if self.zr else 0.0, self.clicks, self.l2_g, self.l2_d)

    @property
    def batch(self) -> int:
        """Rows in a step of the training loop: all, since its step is an epoch of both players."""
        return sys.maxsize


class CFGAN(AutoencoderRecommender):
    """CFGAN with zero reconstruction and partial masking (Chae et al. 2018), by default of items.

    A row of `rows="items"` is an item, its places are people: scores are for the people of the training
    rows, and a history is served as that one of them whose clicks are most like it, by their cosine.
    `rows="users"` completes histories themselves.  Takes the fields of `Settings` as keyword arguments.
    """

    id: ClassVar[str] = "cfgan"
    defaults: ClassVar[Any] = Settings()
    config: Any  # its own `Settings`

    @property
    def n_items(self) -> int:
        """The number of items M; 0 before fit."""
        if not self.params:
            return 0
        of_items = self.config.rows == "items"
        return len(self.params[f"{_CLICKS}indptr"]) - 1 if of_items else len(self.params["g.b_out"])

    def start(self, rows: csr_matrix) -> None:
        """Draw the weights that training on `rows` (U, M) begins with."""
        config = self.config
        of_items = config.rows == "items"
        self._rows = canonical(csr_matrix(rows.T)) if of_items else rows
        _want_memory(
            _BYTES * math.prod(rows.shape), f"CFGAN, whose masks are dense, on {rows.shape[1]} items"
        )
        self._free = self._rows.toarray() == 0
        rng = np.random.default_rng([config.seed, 0])
        self.params = model.init_params(
            self._rows.shape[1], config.hidden, config.hidden_d, config.noise, rng
        )
        if of_items:
            self.params |= {f"{_CLICKS}{name}": array for name, array in pack(self._rows).items()}
        self.optimizers = {"g": Adam(config.lr_g, ops=self.ops), "d": Adam(config.lr_d, ops=self.ops)}

    def train_step(self, rows: csr_matrix, rng: np.random.Generator, step: int) -> dict[str, float]:
        """An epoch: draw the places of both schemes, then D's passes and G's.   [eq:cfgan-epoch]"""
        config, n = self.config, self._rows.shape[0]
        mask = zeros = None
        if config.zr:
            zeros = draw_places(self._free, config.zr, rng)
        if config.gan and config.pm < 1:
            mask = draw_places(self._free, config.pm, rng)
            mask += ~self._free
        g, d = (model.player(self.params, name) for name in "gd")
        logged = {}
        if config.gan and config.passes_d:
            batches = _batches(n, config.batch_d, config.passes_d, rng)
            logged["loss_d"] = float(np.mean([self._d_step(g, d, part, mask, rng) for part in batches]))
        batches = _batches(n, config.batch_g, config.passes_g, rng)
        losses = [self._g_step(g, d, part, mask, zeros, rng) for part in batches]
        return {"loss": float(np.mean(losses)), **logged}

    def _d_step(
        self, g: Params, d: Params, part: NDArray[np.int64], mask: Array | None, rng: np.random.Generator
    ) -> float:
        x, form = self._rows[part], self.config.form
        fake, _ = model.generate(g, x, self._noise(part, rng), self.ops)
        if mask is not None:
            fake *= mask[part]
        loss, cache = model.discriminator_forward(d, x, fake, form, self.ops)
        self.optimizers["d"].step(d, model.discriminator_backward(1.0, cache, self.ops))
        return loss

    def _g_step(
        self,
        g: Params,
        d: Params,
        part: NDArray[np.int64],
        mask: Array | None,
        zeros: Array | None,
        rng: np.random.Generator,
    ) -> float:
        seen, quiet = (None if places is None else places[part] for places in (mask, zeros))
        z, form = self._noise(part, rng), self.config.form
        loss, cache = model.generator_forward(g, d, self._rows[part], seen, quiet, form, z, self.ops)
        self.optimizers["g"].step(g, model.generator_backward(1.0, cache, self._buffers, self.ops))
        return loss

    def _noise(self, part: NDArray[np.int64], rng: np.random.Generator) -> Array | None:
        shape = len(part), self.config.noise
        return rng.standard_normal(shape, dtype=np.float32) if self.config.noise else None

    def score(self, histories: csr_matrix) -> Array:
        """G's row (B, M) of each history; of items, what G says of the person it is served as."""
        if self.config.rows == "users":
            return model.generate(self._g(), canonical(histories), ops=self.ops)[0]
        of_items = self._clicks()
        people = nearest(canonical(histories), of_items)
        g = self._g()
        served = g | {"w_out": g["w_out"][:, people], "b_out": g["b_out"][people]}
        return np.ascontiguousarray(model.generate(served, of_items, ops=self.ops)[0].T)

    def codes(self, histories: csr_matrix) -> Array:
        """Hidden units (B, H) of histories; of items, the weights of the people they are served as."""
        if self.config.rows == "users":
            return model.generate(self._g(), canonical(histories), ops=self.ops)[1].h
        return self._g()["w_out"].T[nearest(canonical(histories), self._clicks())]

    def posterior(self, histories: csr_matrix) -> tuple[Array, None]:
        """The codes (B, H) of histories; they have no variance."""
        return self.codes(histories), None

    def click_gradient(self, histories: csr_matrix, d_scores: Array) -> csr_matrix:
        """d <scores, d_scores> / d x at the clicks, through G; 0 of items, whose people are fixed."""
        if self.config.rows == "items":
            return with_data(histories, np.zeros(histories.nnz, np.float32))
        return model.clicks_backward(
            d_scores, model.generate(self._g(), histories, ops=self.ops)[1], self.ops
        )

    def restore(self, arrays: Params) -> None:
        """Take over learnt arrays; raises ValueError where names or shapes are not this model's."""
        config, n = self.config, arrays["g.b_out"].shape[0]
        learnt = {name: a.shape for name, a in arrays.items() if not name.startswith(_CLICKS)}
        known = {name for name in arrays if name.startswith(_CLICKS)}
        wanted = {f"{_CLICKS}{k}" for k in ("indptr", "indices", "data")} if config.rows == "items" else set()
        if learnt != model.shapes(n, config.hidden, config.hidden_d, config.noise) or known != wanted:
            raise ValueError("the arrays have other names or shapes than its settings ask for")
        self.params = arrays

    def _g(self) -> Params:
        return model.player(self.params, "g")

    def _clicks(self) -> csr_matrix:
        """The training rows by item: (M, U)."""
        arrays = {name: self.params[f"{_CLICKS}{name}"] for name in ("indptr", "indices", "data")}
        return unpack(arrays, len(self.params["g.b_out"]))


def draw_places(free: NDArray[np.bool_], share: float, rng: np.random.Generator) -> Array:
    """Floor(share n) of the n free places of each row, drawn without replacement: 1 there, else 0, (B, N)."""
    keys = np.where(free, rng.random(free.shape), 2.0)
    n_drawn = np.floor(free.sum(axis=1, keepdims=True) * share + 1e-9).astype(np.int64)
    last = np.take_along_axis(np.sort(keys, axis=1), np.maximum(n_drawn - 1, 0), axis=1)
    return ((keys <= last) & (n_drawn > 0)).astype(np.float32)


def nearest(histories: csr_matrix, of_items: csr_matrix) -> NDArray[np.int64]:
    """The person (B,) of `of_items` (M, U) whose clicks have the largest cosine with each history (B, M)."""
    lengths = np.sqrt(np.bincount(of_items.indices, of_items.data**2, minlength=of_items.shape[1]))
    cosines = (histories @ of_items).toarray() / np.maximum(lengths, np.finfo(np.float32).tiny)
    return cosines.argmax(axis=1)


def _batches(n: int, size: int, passes: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    for _ in range(passes):
        order = rng.permutation(n)
        yield from (order[start : start + size] for start in range(0, n, size))
