"""VAE and IWAE as models with settings: they learn, draw their pictures, and refuse bad values."""

from __future__ import annotations

import numpy as np
import pytest

from minigen import vae
from minigen.collapse import kl_per_dimension
from minigen.errors import InputError
from minigen.training.loop import NumericalError, Plan, train
from minigen.vae_training import IWAE, VAE

MODELS = pytest.mark.parametrize("kind", [VAE, IWAE])
SMALL = {"latent": 3, "hidden": 8, "layers": 1, "epochs": 3, "batch": 50}


@pytest.fixture
def greys(rng):
    """Two kinds of picture of 3 x 4, and all greys between black and white."""
    kind = rng.integers(0, 2, 600)[:, None]
    pixels = np.where(np.arange(12) < 6, 0.9 * kind, 0.9 * (1 - kind)) + 0.1 * rng.random((600, 12))
    return pixels.astype(np.float32)


def fit(model, rows, **options):
    model.start(rows)
    plan = Plan(model.config.epochs, model.batch, model.config.seed)
    return train(model, rows, plan, **options)


@MODELS
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_it_learns_and_draws(kind, likelihood, greys, rng):
    model = kind(likelihood=likelihood, **SMALL | {"epochs": 12})
    history = fit(model, greys).history
    assert history[-1]["loss"] < history[0]["loss"] - 0.5
    samples = model.sample(200, rng)
    assert samples.shape == (200, 12)
    assert samples.dtype == np.float32
    if likelihood == "bernoulli":
        assert 0 <= samples.min() <= samples.max() <= 1
    grids = model.pictures(greys[:40], rng)
    assert grids["reconstructions"].shape == (8, 8, 12)
    assert grids["traversals"].shape == (3, 8, 12)
    off = np.abs(model.reconstruct(greys) - greys).mean()
    assert off < 0.7 * np.abs(greys.mean(axis=0) - greys).mean()


@MODELS
def test_a_resumed_run_ends_in_the_same_bytes(kind, greys, tmp_path):
    whole = kind(likelihood="bernoulli", **SMALL)
    fit(whole, greys)
    cut = kind(likelihood="bernoulli", **SMALL)

    def stop(state, logged):
        if state.step == 17:
            raise KeyboardInterrupt

    cut.start(greys)
    plan = Plan(cut.config.epochs, cut.batch, checkpoint_seconds=0)
    with pytest.raises(KeyboardInterrupt):
        train(cut, greys, plan, run=tmp_path / "run", report=stop)
    again = kind(likelihood="bernoulli", **SMALL)
    fit(again, greys, run=tmp_path / "run", resume=True)
    assert {name: w.tobytes() for name, w in again.params.items()} == {
        name: w.tobytes() for name, w in whole.params.items()
    }


@MODELS
def test_a_traversal_moves_one_dimension(kind, greys):
    model = kind(likelihood="bernoulli", **SMALL)
    fit(model, greys)
    lines = model.traverse(greys[0], greys)
    mu, log_var, _ = vae.encode(model.params, greys, model.form)
    most = np.argsort(-kl_per_dimension(mu, log_var))
    for line, dimension in zip(lines, most):
        code = mu[:1].copy()
        code[0, dimension] = 2.5
        wanted = vae.mean_of_x(model.params, code, model.form)
        np.testing.assert_allclose(line[-1], wanted[0], rtol=1e-5)
    few = model.pictures(greys[:5], np.random.default_rng(0))
    assert set(few) == {"traversals"}  # less than a line of rows: no reconstructions


@MODELS
def test_black_images_train(kind):
    model = kind(likelihood="bernoulli", **SMALL)
    state = fit(model, np.zeros((100, 12), np.float32))
    assert np.isfinite(state.history[-1]["loss"])
    model = kind(likelihood="gaussian", **SMALL)
    assert np.isfinite(fit(model, np.zeros((100, 12), np.float32)).history[-1]["loss"])


def test_a_loss_that_is_no_number_ends_in_one_line(greys):
    with np.errstate(all="ignore"), pytest.raises((NumericalError, InputError)) as error:
        fit(VAE(likelihood="gaussian", **SMALL | {"lr": 1e6}), greys)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "kind, settings, told",
    [
        (VAE, {"beta": -1.0}, "beta: want at least 0, got -1.0"),
        (IWAE, {"k": 0}, "k: want at least 1, got 0"),
        (VAE, {"k": 2}, "vae has no setting 'k'; it has latent, "),
        (VAE, {"latent": 0}, "latent: want at least 1, got 0"),
        (VAE, {"likelihood": "poisson"}, "likelihood: want bernoulli, gaussian, got poisson"),
        (VAE, {"activation": "gelu"}, "activation: want tanh, "),
        (IWAE, {"lr": float("nan")}, "lr: want a number above 0, got nan"),
        (IWAE, {"seed": -1}, "seed: want at least 0, got -1"),
    ],
)
def test_bad_settings_are_one_clear_line(kind, settings, told):
    with pytest.raises(InputError, match=told):
        kind(**settings)


def test_numbers_outside_0_to_1_are_no_bits(greys):
    with pytest.raises(InputError, match=r"want rows in \[0, 1\]; --set likelihood=gaussian takes any"):
        VAE(likelihood="bernoulli").start(2 * greys)
    greys[3, 4] = np.nan
    with pytest.raises(InputError, match="want rows in"):
        VAE(likelihood="bernoulli").start(greys)
