"""Everything that can be checked: each operation with a point to check it at, and the whole models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from minigen import ops
from minigen.gradcheck import meaning
from minigen.gradcheck.check import GradientReport, assert_gradients
from minigen.gradcheck.contract import check_contract
from minigen.typing import CSR, Array

Draw = Callable[[np.random.Generator], tuple[Any, ...]]


class Quantity(NamedTuple):
    """A pair of passes, a point to check them at, and what they must mean.

    `draw(rng)` gives the arguments: sizes all differ, nothing is zero.  `wrt`: the arguments with a gradient.
    An operation without a backward pass has no `draw`, only meaning.
    """

    name: str
    forward: Callable[..., Any]
    backward: Any = None
    draw: Draw | None = None
    wrt: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None
    kinks: Callable[..., Array] | None = None
    meaning: tuple[meaning.Check, ...] = ()

    def checks(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        """Each check by name: it raises an error where the quantity fails."""
        if self.draw is not None:
            yield "derivative", self.check_gradients
            yield "contract", partial(check_contract, self.forward, self.backward, self.sample())
        for check in self.meaning:
            yield check.__name__, partial(check, self.forward, self.backward)

    def sample(self, seed: int = 0) -> tuple[Any, ...]:
        """The arguments of the check, float64."""
        assert self.draw is not None
        return self.draw(np.random.default_rng(seed))

    def check_gradients(self, **options: Any) -> list[GradientReport]:
        """`assert_gradients` at the sample."""
        options = {"names": self.names, "wrt": self.wrt, "kinks": self.kinks} | options
        return assert_gradients(self.forward, self.backward, self.sample(), **options)


def random_rows(rng: np.random.Generator, n: int, items: int, each: int) -> CSR:
    """CSR rows of `each` positive weights at random items; the second row is empty."""
    from scipy.sparse import csr_matrix

    x = np.zeros((n, items))
    for row in x:
        row[rng.choice(items, each, replace=False)] = rng.uniform(0.5, 3, each)
    x[1] = 0
    return csr_matrix(x)


def _normal(*shapes: tuple[int, ...]) -> Draw:
    return lambda rng: tuple(rng.standard_normal(shape) for shape in shapes)


def _dropout(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.standard_normal((4, 7)), ops.dropout_mask((4, 7), 0.4, rng), 0.4


def _sparse_dense(rng: np.random.Generator) -> tuple[Any, ...]:
    return random_rows(rng, 5, 11, 3), rng.standard_normal((11, 4)), rng.standard_normal(4)


def _softmax_nll(rng: np.random.Generator) -> tuple[Any, ...]:
    return 2 * rng.standard_normal((5, 11)), random_rows(rng, 5, 11, 3)


def _bernoulli(rng: np.random.Generator) -> tuple[Any, ...]:
    return 2 * rng.standard_normal((5, 7)), rng.uniform(0, 1, (5, 7))


OPS = (
    Quantity(
        "dense", ops.dense_forward, ops.dense_backward, _normal((5, 4), (4, 3), (3,)), ("x", "w", "b"),
        meaning=(meaning.dense_is_the_sum,),
    ),
    Quantity(
        "sparse-dense", ops.sparse_dense_forward, ops.sparse_dense_backward, _sparse_dense, ("x", "w", "b"),
        meaning=(meaning.sparse_equals_dense,),
    ),
    Quantity(
        "tanh", ops.tanh_forward, ops.tanh_backward, _normal((5, 7)), ("x",), meaning=(meaning.tanh_is_tanh,),
    ),
    Quantity(
        "relu", ops.relu_forward, ops.relu_backward, _normal((5, 7)), ("x",), kinks=lambda x: x,
        meaning=(meaning.relu_is_relu,),
    ),
    Quantity(
        "sigmoid", ops.sigmoid_forward, ops.sigmoid_backward, _normal((5, 7)), ("x",),
        meaning=(meaning.sigmoid_survives_800,),
    ),
    Quantity(
        "dropout", ops.dropout_forward, ops.dropout_backward, _dropout, ("x",),
        meaning=(meaning.dropout_keeps_the_mean,),
    ),
    Quantity(
        "l2-normalise", ops.l2_normalise_forward, ops.l2_normalise_backward,
        lambda rng: (random_rows(rng, 5, 11, 3),), ("x",), meaning=(meaning.rows_have_length_1,),
    ),
    Quantity(
        "reparameterise", ops.reparameterise_forward, ops.reparameterise_backward,
        _normal((5, 3), (5, 3), (5, 3)), ("mu", "log_var"), meaning=(meaning.sampler_has_the_variance,),
    ),
    Quantity(
        "gaussian-kl", ops.gaussian_kl_forward, ops.gaussian_kl_backward, _normal((5, 3), (5, 3)),
        ("mu", "log_var"), meaning=(meaning.kl_is_0_at_the_prior, meaning.kl_equals_monte_carlo),
    ),
    Quantity(
        "softmax-nll", ops.softmax_nll_forward, ops.softmax_nll_backward, _softmax_nll, ("logits",),
        meaning=(
            meaning.softmax_nll_survives_800, meaning.softmax_nll_of_equal_logits,
            meaning.softmax_gradient_sums_to_0,
        ),
    ),
    Quantity(
        "bernoulli-nll", ops.bernoulli_nll_forward, ops.bernoulli_nll_backward, _bernoulli, ("logits",),
        meaning=(meaning.bernoulli_nll_survives_800, meaning.bernoulli_nll_is_the_log_probability),
    ),
    Quantity("adam", ops.adam_step, meaning=(meaning.adam_follows_the_paper,)),
)  # fmt: skip


def catalogue() -> dict[str, Quantity]:
    """All quantities by name: operations first, then whole models."""
    from minigen.gradcheck import (
        behaviour_models,
        cfgan_models,
        feature_models,
        gan_models,
        recvae_models,
        vae_models,
    )
    from minigen.gradcheck.models import models  # reaches up to the recommenders: only when asked

    rooms = (gan_models, vae_models, recvae_models, cfgan_models, behaviour_models, feature_models)
    quantities = (*OPS, *(quantity for room in rooms for quantity in room.quantities()), *models())
    return {quantity.name: quantity for quantity in quantities}
