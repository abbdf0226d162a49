"""GANs: each player's gradient, the value of the game, and that training finds all the modes."""

from __future__ import annotations

import numpy as np
import pytest

from minigen import gan
from minigen.data.toy import grid, ring
from minigen.errors import InputError
from minigen.gan_training import GAN
from minigen.gradcheck import check_direction, check_gradient
from minigen.mlp import init_mlp, mlp_forward
from minigen.training.loop import Plan, train


def players(rng, latent=2, wide=6, dim=3):
    """Small players in float64, with every parameter away from 0."""
    g = init_mlp([latent, wide, dim], rng, "relu", np.float64)
    d = init_mlp([dim, wide + 1, wide - 1, 1], rng, "leaky-relu", np.float64)
    return ({n: w + rng.standard_normal(w.shape) / 3 for n, w in p.items()} for p in (g, d))


def smooth_loss(g, d, z, name):
    return gan.generator_forward(g, d, z, name, ("tanh", "softplus"))


@pytest.mark.parametrize("name", gan.GENERATOR_LOSSES)
def test_every_generator_parameter_through_the_discriminator(name, rng):
    g, d = players(rng)
    z = rng.standard_normal((7, 2))
    grads = gan.generator_backward(1.0, smooth_loss(g, d, z, name)[1])
    reports = check_gradient(lambda p: smooth_loss(p, d, z, name)[0], grads, g, batch=7)
    assert [r.message for r in reports if not r.ok] == []
    assert all(np.abs(grad).max() > 1e-4 for grad in grads.values())


def test_players_of_working_size_along_a_random_direction(rng):
    g = init_mlp([8, 64, 64, 20], rng, "tanh", np.float64)
    d = init_mlp([20, 64, 64, 1], rng, "softplus", np.float64)
    z, real = rng.standard_normal((32, 8)), rng.standard_normal((48, 20))
    report = check_direction(
        lambda p: smooth_loss(p, d, z, "minimax")[0],
        gan.generator_backward(1.0, smooth_loss(g, d, z, "minimax")[1]),
        g,
    )
    assert report.ok, report.message
    fake = rng.standard_normal((32, 20))
    loss = lambda p: gan.discriminator_forward(p, real, fake, "softplus", 0.9)  # noqa: E731
    report = check_direction(lambda p: loss(p)[0], gan.discriminator_backward(1.0, loss(d)[1]), d)
    assert report.ok, report.message


def test_the_discriminator_does_not_move_in_the_generators_step(rng):
    g, d = players(rng)
    before = {n: w.copy() for n, w in d.items()}
    grads = gan.generator_backward(1.0, gan.generator_forward(g, d, rng.standard_normal((5, 2)))[1])
    assert set(grads) == set(g)
    assert all(np.array_equal(d[n], before[n]) for n in d)


def test_each_player_has_its_own_activation(rng):
    g, d = players(rng)
    z = rng.standard_normal((5, 2))
    fake = mlp_forward(z, g, "tanh")[0]
    logits = mlp_forward(fake, d, "softplus")[0]
    loss, _ = smooth_loss(g, d, z, "non-saturating")
    assert loss == pytest.approx(np.log1p(np.exp(-logits)).mean(), rel=1e-12)


def test_the_best_discriminator_gives_2_jsd_minus_log_4(rng):
    """x ~ N(1/2, 1) against G(z) ~ N(-1/2, 1): D* = sigmoid(log p/q) = sigmoid(x), a single dense layer."""
    best = {"w0": np.array([[1.0]]), "b0": np.array([0.0])}
    x = np.linspace(-12, 12, 20_001)
    p, q = (np.exp(-((x - m) ** 2) / 2) / np.sqrt(2 * np.pi) for m in (0.5, -0.5))
    m = (p + q) / 2
    jsd = (p * np.log(p / m) + q * np.log(q / m)).sum() * (x[1] - x[0]) / 2
    n = 400_000
    noise = rng.standard_normal((2, n, 1))
    loss, cache = gan.discriminator_forward(best, noise[0] + 0.5, noise[1] - 0.5)
    assert -loss == pytest.approx(2 * jsd - np.log(4), abs=4 / np.sqrt(n))
    grads = gan.discriminator_backward(1.0, cache)
    assert all(np.abs(grad).max() < 5 / np.sqrt(n) for grad in grads.values())
    worse = {"w0": np.array([[0.6]]), "b0": np.array([0.1])}
    assert gan.discriminator_forward(worse, noise[0] + 0.5, noise[1] - 0.5)[0] > loss


def test_where_d_is_sure_only_the_non_saturating_loss_has_a_slope(rng):
    g, d = players(rng)
    sure = {n: 0 * w + 0.01 for n, w in d.items()} | {"b2": np.array([-30.0])}
    z = rng.standard_normal((5, 2))
    slope = {}
    for name in gan.GENERATOR_LOSSES:
        _, cache = gan.generator_forward(g, sure, z, name)
        slope[name] = max(np.abs(grad).max() for grad in gan.generator_backward(1.0, cache).values())
    assert slope["minimax"] < 1e-12 * slope["non-saturating"]


@pytest.mark.parametrize("logit", [-800.0, 800.0])
def test_saturated_logits_stay_finite(logit, rng):
    g, d = players(rng)
    d |= {"w2": 0 * d["w2"], "b2": np.array([logit])}
    x, z = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    loss, cache = gan.discriminator_forward(d, x, x)
    assert loss == pytest.approx(800)
    grads = [gan.discriminator_backward(1.0, cache)]
    for name, wanted in (("minimax", min(-logit, 0)), ("non-saturating", max(-logit, 0))):
        loss, cache = gan.generator_forward(g, d, z, name)
        assert loss == pytest.approx(wanted)
        grads.append(gan.generator_backward(1.0, cache))
    assert all(np.isfinite(grad).all() for found in grads for grad in found.values())


@pytest.mark.parametrize("name", gan.GENERATOR_LOSSES)
def test_a_discriminator_that_knows_nothing_costs_a_coin(name, rng):
    g, d = players(rng)
    knows_nothing = {n: 0 * w for n, w in d.items()}
    loss, cache = gan.generator_forward(g, knows_nothing, rng.standard_normal((5, 2)), name)
    assert abs(loss) == pytest.approx(np.log(2), rel=1e-12)
    assert not any(grad.any() for grad in gan.generator_backward(1.0, cache).values())


def test_one_example(rng):
    _, d = players(rng)
    loss, cache = gan.discriminator_forward(d, rng.standard_normal((1, 3)), rng.standard_normal((1, 3)))
    assert np.isfinite(loss)
    assert gan.discriminator_backward(1.0, cache)["w0"].shape == d["w0"].shape


def fit(model, rows, run=None, resume=False, **options):
    model.start(rows)
    config = model.config
    plan = Plan(config.epochs, model.batch, config.seed, checkpoint_seconds=0)
    return train(model, rows, plan, run=run, resume=resume, **options)


def test_training_moves_towards_the_data():
    mixture = ring(modes=4, std=0.3)
    rows = mixture.sample(4096, np.random.default_rng(0))
    model = GAN(hidden=16, g_layers=2, epochs=20)
    fit(model, rows)
    x = model.sample(2000, np.random.default_rng(1))
    assert np.abs(x.mean(axis=0)).max() < 0.4
    assert np.linalg.norm(x, axis=1).mean() == pytest.approx(2.0, abs=0.4)


def test_a_run_that_was_stopped_ends_in_the_same_bytes(tmp_path):
    rows = ring().sample(1000, np.random.default_rng(0))
    settings = {"hidden": 8, "epochs": 3, "batch": 100}
    whole = GAN(**settings)
    fit(whole, rows)

    def stop(state, logged):
        if state.step == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(GAN(**settings), rows, tmp_path, report=stop)
    again = GAN(**settings)
    state = fit(again, rows, tmp_path, resume=True)
    assert state.step == 30
    assert all(np.array_equal(whole.params[n], again.params[n]) for n in whole.params)


@pytest.mark.parametrize(
    "settings, line",
    [
        ({"latent": 0}, "latent: want at least 1, got 0"),
        ({"loss": "hinge"}, "loss: want minimax or non-saturating, got hinge"),
        ({"smooth": 0.2}, "smooth: want above 0.5 and at most 1, got 0.2"),
        ({"lr": float("nan")}, "lr: want a number above 0, got nan"),
        ({"seed": -3}, "seed: want at least 0, got -3"),
        ({"penalty": 1.0}, "gan has no setting 'penalty'"),
    ],
)
def test_bad_settings_are_one_clear_line(settings, line):
    with pytest.raises(InputError, match=line):
        GAN(**settings)


def test_toy_mixtures_have_the_spread_they_say(rng):
    for mixture, modes in ((ring(), 8), (grid(), 25)):
        x = mixture.sample(50_000, rng)
        assert mixture.centres.shape == (modes, 2)
        nearest = ((x[:, None] - mixture.centres) ** 2).sum(axis=2)
        assert np.sqrt(nearest.min(axis=1).mean() / 2) == pytest.approx(mixture.std, rel=0.02)
        assert np.bincount(nearest.argmin(axis=1)).min() > 0.8 * 50_000 / modes
        assert np.abs(mixture.centres.mean(axis=0)).max() < 1e-12
