"""CFGAN: a generator that completes rows of clicks, and a discriminator that it has to deceive."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.ladder import cfgan_model as model
from minigen.ladder.cfgan_settings import Settings
from minigen.ladder.packing import pack, unpack
from minigen.ops.sparse import check_rows, with_data
from minigen.optimizers import Adam
from minigen.recommender.base import canonical
from minigen.recommender.baselines import want_memory
from minigen.recommender.trained import AutoencoderRecommender
from minigen.typing import Array, Params

_BYTES = 32  # a place of the matrix, while masks are drawn
_CLICKS = "clicks."


class CFGAN(AutoencoderRecommender):
    """CFGAN with zero reconstruction and partial masking (Chae et al. 2018), by default of items.

    A row of `rows="items"` is an item, its places are people: scores are for the people of the training
    rows, and a history is served as that one of them whose clicks are most like it, by their cosine.
    `rows="users"` completes histories themselves.  Takes the fields of `Settings` as keyword arguments.
    """

    id: ClassVar[str] = "cfgan"
    defaults: ClassVar[Any] = Settings()
    search: ClassVar[dict[str, tuple[Any, ...]]] = {
        "rows": ("items", "users"),
        "hidden": (200, 400),
        "zr": (0.5, 0.7, 0.9),
        "pm": (0.5, 0.7, 0.9),
        "alpha": (0.01, 0.03, 0.1, 0.3),
        "lr_g": (1e-4, 3e-4, 1e-3),
    }
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
        want_memory(_BYTES * math.prod(rows.shape), f"CFGAN, whose masks are dense, on {rows.shape[1]} items")
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
        config, x, ops = self.config, self._rows, self.ops
        zeros, mask = self._places(rng)
        g, d = (model.player(self.params, name) for name in "gd")
        logged = {}
        if config.gan and config.passes_d:
            losses = []
            for _ in range(config.passes_d):
                fakes = model.generate(g, x, self._noise(x.shape[0], rng), ops)[0]  # G waits meanwhile
                if mask is not None:
                    fakes *= mask
                losses += [self._d_step(d, *part) for part in _batches(config.batch_d, rng, x, fakes)]
            logged["loss_d"] = float(np.mean(losses))
        known = model.told(d, x, ops) if config.gan else None
        if ops.name == "numba" and not config.noise:
            return {"loss": self._g_passes(g, d, mask, zeros, known, rng), **logged}
        losses = []
        for _ in range(config.passes_g):
            z = self._noise(x.shape[0], rng)
            parts = _batches(config.batch_g, rng, x, mask, zeros, z, known)
            losses += [self._g_step(g, d, *part) for part in parts]
        return {"loss": float(np.mean(losses)), **logged}

    def _places(self, rng: np.random.Generator) -> tuple[Array | None, Array | None]:
        """Where G should say 0, and what D sees, each (N, N) of 0 and 1, or None: nowhere, and all."""
        config, zeros, mask = self.config, None, None
        seeds = rng.integers(2**63, size=2)
        if config.draws == "one":
            seeds[1] = seeds[0]
        if config.zr:
            zeros = draw_places(self._free, config.zr, np.random.default_rng(seeds[0]))
        if config.gan and config.pm < 1:
            mask = draw_places(self._free, config.pm, np.random.default_rng(seeds[1]))
            mask += ~self._free
        return zeros, mask

    def _d_step(self, d: Params, x: csr_matrix, fake: Array) -> float:
        loss, cache = model.discriminator_forward(d, x, fake, self.config.form, self.ops)
        self.optimizers["d"].step(d, model.discriminator_backward(1.0, cache, self.ops))
        return loss

    def _g_step(
        self,
        g: Params,
        d: Params,
        x: csr_matrix,
        mask: Array | None,
        zeros: Array | None,
        z: Array | None,
        known: Array | None,
    ) -> float:
        form, ops = self.config.form, self.ops
        loss, cache = model.generator_forward(g, d, x, mask, zeros, form, z, ops, known)
        self.optimizers["g"].step(g, model.generator_backward(1.0, cache, self._buffers, ops))
        return loss

    def _g_passes(
        self,
        g: Params,
        d: Params,
        mask: Array | None,
        zeros: Array | None,
        known: Array | None,
        rng: np.random.Generator,
    ) -> float:
        """The steps of all passes of G in one kernel."""
        from minigen.ladder.numba_cfgan import generator_passes

        config, x = self.config, self._rows
        adam: Any = self.optimizers["g"]
        orders = np.stack([rng.permutation(x.shape[0]) for _ in range(config.passes_g)])
        losses = np.empty(config.passes_g * math.ceil(x.shape[0] / config.batch_g))
        nothing = np.empty((0, 0), np.float32)
        places = tuple(nothing if a is None else a for a in (mask, zeros))
        states = [adam.state(name, w) for name, w in g.items()]
        generator_passes(
            orders, config.batch_g, (x.indptr, x.indices, x.data), places,
            nothing if known is None else known,
            tuple(g.values()), tuple(s.m for s in states), tuple(s.v for s in states),
            (d["w_data"], d["w_out"], d["b_out"]), tuple(float(n) for n in config.form),
            (adam.lr, adam.beta1, adam.beta2, adam.eps), states[0].t, losses,
        )  # fmt: skip
        for state in states:
            state.t += losses.size
        return float(losses.mean())

    def _noise(self, n: int, rng: np.random.Generator) -> Array | None:
        shape = n, self.config.noise
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
        if known:
            check_rows(self._clicks())

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


def _batches(
    size: int, rng: np.random.Generator, x: csr_matrix, *arrays: Array | None
) -> Iterator[list[Any]]:
    """A pass over the rows of x and of what stands beside them, shuffled, `size` at a time."""
    order = rng.permutation(x.shape[0])
    shuffled = [None if a is None else a[order] for a in (x, *arrays)]
    for start in range(0, len(order), size):
        yield [None if a is None else a[start : start + size] for a in shuffled]
