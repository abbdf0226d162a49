"""A number that is none stops training where it is made; numbers at the edge are finite, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from minigen import backends
from minigen.data.interactions import HeldOut
from minigen.data.vectors import load_vectors
from minigen.gan_training import GAN, WGAN
from minigen.ladder import model_class
from minigen.recommender import EASE, MultVAE, Popularity, SeedVAE
from minigen.trace import faults_raised
from minigen.training import checkpoint
from minigen.training.loop import NumericalError, Plan, train
from minigen.vae_training import IWAE, VAE

SMALL = {"hidden": 8, "latent": 3, "batch": 16, "epochs": 2, "patience": 0, "anneal_epochs": 2}


@pytest.fixture
def clicks() -> sparse.csr_matrix:
    dense = (np.random.default_rng(0).random((40, 20)) < 0.3).astype(np.float32)
    dense[:, 0] = 1
    return sparse.csr_matrix(dense)


def points(kind: Any, rows: np.ndarray, **settings: Any) -> Any:
    model = kind(kind.points, **{"hidden": 8, "batch": 16, "epochs": 2} | settings)
    model.start(rows)
    train(model, rows, Plan(model.config.epochs, model.batch))
    return model


@pytest.mark.parametrize("settings", [{"optimizer": "sgd", "lr": 1e25}, {"lr": 1e38}])
def test_a_run_that_diverges_stops_with_step_quantity_and_hint(
    settings: dict[str, Any], clicks: sparse.csr_matrix, tmp_path: Path
) -> None:
    with (
        np.errstate(all="ignore"),
        pytest.raises(NumericalError, match=r"became (nan|inf|-inf).* at step \d+ \(epoch \d+\).* smaller"),
    ):
        MultVAE(**SMALL | settings).fit(clicks, run=tmp_path, checkpoint_seconds=0)
    if (tmp_path / "LATEST").exists():
        arrays, _ = checkpoint.load(tmp_path)
        assert all(np.isfinite(array).all() for named in arrays.values() for array in named.values())


def test_a_gradient_that_overflows_moves_nothing_and_is_named(
    clicks: sparse.csr_matrix, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, gradients = MultVAE(**SMALL), MultVAE._gradients

    def spoilt(self: MultVAE, *arguments: Any) -> Any:
        terms, grads = gradients(self, *arguments)
        if self.optimizers["all"].arrays().get("t.w_in", [0])[0] == 3:
            grads["b_mu"] = np.full_like(grads["b_mu"], np.inf)
        return terms, grads

    monkeypatch.setattr(MultVAE, "_gradients", spoilt)
    with pytest.raises(NumericalError, match="the gradient of b_mu became nan or infinite at step 4 "):
        model.fit(clicks, run=tmp_path, checkpoint_seconds=0)
    arrays, state = checkpoint.load(tmp_path)
    assert state["step"] == 3
    for name, array in arrays["weights"].items():  # the other weights have not moved either
        np.testing.assert_array_equal(array, model.params[name])


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize(
    ("spoilt", "value", "named"),
    [
        ("w_out", np.inf, r"dense_forward \[eq:dense-forward\] made"),
        ("w_mu", 1e38, r"(dense_forward|gaussian_kl_forward|reparameterise_forward) \[eq:"),
        ("b_log_var", 200.0, r"(gaussian_kl_forward|reparameterise_forward) \[eq:"),
    ],
)
def test_debug_numerics_names_the_first_operation(
    backend: str, spoilt: str, value: float, named: str, clicks: sparse.csr_matrix
) -> None:
    model = MultVAE(**SMALL, backend=backend)
    model.start(clicks)
    model.params[spoilt][...] = value
    with (
        np.errstate(all="ignore"),
        pytest.raises(NumericalError, match=named + ".* at step 1 "),
        faults_raised(),
    ):
        train(model, clicks, Plan(epochs=1, batch=16))


def test_debug_numerics_names_the_optimiser_where_its_step_was_too_far(clicks: sparse.csr_matrix) -> None:
    model = MultVAE(**SMALL | {"optimizer": "sgd", "lr": 1e38})
    model.start(clicks)
    model.params["w_out"] *= 1e3
    with (
        np.errstate(all="ignore"),
        pytest.raises(NumericalError, match=r"(optimiser's step|\[eq:[a-z-]+\]) made .*(inf|nan)"),
        faults_raised(),
    ):
        train(model, clicks, Plan(epochs=2, batch=16))


@pytest.mark.parametrize("name", ["mult-vae", "seed-vae", "recvae", "cfgan"])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_debug_numerics_gives_no_false_alarm(name: str, backend: str, clicks: sparse.csr_matrix) -> None:
    kind = model_class(name)
    small = {"hidden": 8, "latent": 3, "batch": 16, "epochs": 2} | {"backend": backend}
    model = kind(**{key: value for key, value in small.items() if key in kind().settings})
    if backend != "numpy" and "backend" not in model.settings:
        pytest.skip(f"{name} has no backends")
    held = HeldOut(clicks[:5], clicks[5:10], [*"abcde"])
    with faults_raised():
        model.fit(clicks, held)
    assert model.state.step > 0


@pytest.mark.parametrize("kind", [GAN, WGAN, VAE, IWAE])
def test_debug_numerics_gives_no_false_alarm_on_points(kind: Any) -> None:
    with faults_raised():
        points(kind, np.random.default_rng(0).standard_normal((40, 2)).astype(np.float32))


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_logits_of_ten_thousand(backend: str) -> None:
    ops = backends.load(backend)
    logits = np.float32([[1e4, -1e4, 0, 5], [-1e4, -1e4, -1e4, -1e4], [1e4, 1e4, -1e4, 1e4]])
    x = np.float32([[0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 2, 0]])
    nll, cache = ops.softmax_nll_forward(logits, sparse.csr_matrix(x))
    assert nll == pytest.approx((2e4 + 9995 + np.log(4) + 2 * (2e4 + np.log(3))) / 3, rel=1e-6)
    assert np.isfinite(ops.softmax_nll_backward(1.0, cache)).all()
    nll, cache = ops.bernoulli_nll_forward(logits, np.minimum(x, 1))
    assert np.isfinite(nll)
    assert np.isfinite(ops.bernoulli_nll_backward(1.0, cache)).all()


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("kind", [MultVAE, SeedVAE])
@pytest.mark.parametrize("batch", [1, 16])
def test_users_with_one_item_and_with_all_and_items_without_a_user(
    kind: Any, backend: str, batch: int
) -> None:
    dense = np.zeros((6, 20), np.float32)
    dense[0, :19] = 1  # everything that anybody has
    dense[1, 3] = dense[2, :2] = dense[3, 18] = dense[4, 5] = 1  # one or two; the sixth user has nothing
    rows = sparse.csr_matrix(dense)
    with np.errstate(all="raise", under="ignore"):
        model = kind(**SMALL | {"batch": batch, "backend": backend}).fit(rows)
    for fitted in (model, Popularity().fit(rows), EASE().fit(rows)):
        items, scores = fitted.recommend(rows[:5], k=20)
        assert (
            sorted(items[0].tolist())[:19] == [-1] * 19
        )  # the one item left, of which nobody knows anything
        assert np.isfinite(scores[items >= 0]).all()
        assert np.isfinite(fitted.score(rows[:5])).all()


@pytest.mark.parametrize("kind", [GAN, WGAN, VAE, IWAE])
@pytest.mark.parametrize("batch", [1, 7])
def test_a_constant_column_and_a_batch_of_one(kind: Any, batch: int, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    numbers = np.random.default_rng(0).standard_normal((25, 3))
    numbers[:, 1] = 4.0
    np.savetxt(path, numbers, delimiter=",")
    rows = load_vectors(str(path)).train
    model = points(kind, rows, batch=batch)
    assert np.isfinite(model.sample(9, np.random.default_rng(0))).all()
    whole = points(kind, np.ones((20, 2), np.float32), batch=batch)  # every column constant
    assert np.isfinite(whole.sample(9, np.random.default_rng(0))).all()
