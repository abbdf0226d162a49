"""Wasserstein GANs: the critic's signs, the penalty and its second derivative, clipping."""

from __future__ import annotations

import numpy as np
import pytest

from minigen import wgan
from minigen.data.toy import grid
from minigen.diagnose import mmd
from minigen.errors import InputError
from minigen.gan_training import WGAN
from minigen.gradcheck import check_direction, check_gradient
from minigen.mlp import init_mlp, mlp_forward
from minigen.training.loop import Plan, train


def critic(rng, sizes=(3, 6, 5, 1), activation="tanh"):
    f = init_mlp(sizes, rng, activation, np.float64)
    return {name: w + rng.standard_normal(w.shape) / 3 for name, w in f.items()}


@pytest.fixture
def between(rng):
    return rng.standard_normal((6, 3)), rng.standard_normal((6, 3)), rng.random((6, 1))


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_every_parameter_of_the_penalty(activation, between, rng):
    f = critic(rng)
    grads = wgan.penalty_backward(1.0, wgan.penalty_forward(f, *between, activation)[1])
    reports = check_gradient(lambda p: wgan.penalty_forward(p, *between, activation)[0], grads, f, batch=6)
    assert [r.message for r in reports if not r.ok] == []
    assert np.abs(grads["b0"]).max() > 1e-3  # only the second-order term reaches a bias


def test_the_whole_critic_loss_at_working_size(rng):
    f = critic(rng, (20, 64, 48, 1))
    real, fake, t = rng.standard_normal((32, 20)), rng.standard_normal((32, 20)), rng.random((32, 1))

    def loss(p):
        on_data, cache = wgan.critic_forward(p, real, fake, "tanh")
        penalty, penalty_cache = wgan.penalty_forward(p, real, fake, t, "tanh")
        return on_data + 10 * penalty, cache, penalty_cache

    _, cache, penalty_cache = loss(f)
    grads, more = wgan.critic_backward(1.0, cache), wgan.penalty_backward(10.0, penalty_cache)
    report = check_direction(lambda p: loss(p)[0], {n: grads[n] + more[n] for n in f}, f, step=1e-4)
    assert report.ok, report.message


def test_a_plane_of_slope_2_pays_1_and_one_of_slope_1_nothing(between):
    for slope, penalty in ((1.0, 0.0), (2.0, 1.0), (0.25, 0.5625)):
        plane = {"w0": slope * np.array([[0.6], [0.0], [-0.8]]), "b0": np.array([3.0])}
        assert wgan.penalty_forward(plane, *between)[0] == pytest.approx(penalty)


def test_a_flat_critic_has_a_finite_penalty_and_gradient(between, rng):
    flat = {name: 0 * w for name, w in critic(rng).items()}
    loss, cache = wgan.penalty_forward(flat, *between, "tanh")
    assert loss == 1.0
    assert not any(grad.any() for grad in wgan.penalty_backward(1.0, cache).values())


def test_t_runs_from_fake_to_real(between, rng):
    real, fake, t = between
    f = critic(rng)
    assert wgan.penalty_forward(f, real, fake, 0 * t + 1)[0] == wgan.penalty_forward(f, real, real, t)[0]
    with pytest.raises(ValueError, match=r"t: want shape \(6, 1\), got \(6,\)"):
        wgan.penalty_forward(f, real, fake, t[:, 0])
    with pytest.raises(ValueError, match="fake: want the shape of real"):
        wgan.penalty_forward(f, real, fake[:5], t)


def test_the_best_critic_on_a_line_tells_the_distance(rng):
    """Between N(3, 1) and N(0, 1) W1 = 3, and f(x) = x attains it."""
    f = {"w0": np.array([[1.0]]), "b0": np.array([7.0])}
    n = 100_000
    loss, _ = wgan.critic_forward(f, rng.standard_normal((n, 1)) + 3, rng.standard_normal((n // 2, 1)))
    assert -loss == pytest.approx(3, abs=5 * np.sqrt(3 / n))


def test_a_step_against_the_gradient_lowers_each_players_loss(rng):
    f, g = critic(rng), init_mlp([2, 5, 3], rng, "tanh", np.float64)
    real, z = rng.standard_normal((8, 3)), rng.standard_normal((4, 2))
    fake = mlp_forward(z, g, "tanh")[0]
    before, cache = wgan.critic_forward(f, real, fake, "tanh")
    grads = wgan.critic_backward(1.0, cache)
    better = {n: f[n] - 1e-3 * grads[n] for n in f}
    assert wgan.critic_forward(better, real, fake, "tanh")[0] < before
    before, cache = wgan.generator_forward(g, f, z, ("tanh", "tanh"))
    grads = wgan.generator_backward(1.0, cache)
    better = {n: g[n] - 1e-3 * grads[n] for n in g}
    assert wgan.generator_forward(better, f, z, ("tanh", "tanh"))[0] < before
    assert mlp_forward(mlp_forward(z, better, "tanh")[0], f, "tanh")[0].mean() > -before


def test_clipping_is_in_place_and_leaves_small_weights_alone():
    f = {"w0": np.array([[-2.0, 0.01], [0.05, 9.0]]), "b0": np.array([0.0, -0.06])}
    w = f["w0"]
    wgan.clip_weights(f, 0.05)
    assert f["w0"] is w
    assert np.array_equal(w, [[-0.05, 0.01], [0.05, 0.05]])
    assert np.array_equal(f["b0"], [0.0, -0.05])


@pytest.mark.parametrize("penalty", [0.1, 0.0])
def test_training_moves_towards_the_data(penalty):
    rows = grid(side=2, spacing=4.0, std=0.3).sample(4096, np.random.default_rng(0))
    model = WGAN(hidden=24, g_layers=2, d_layers=2, epochs=30, penalty=penalty)
    model.start(rows)

    def distance():
        return mmd(model.sample(1000, np.random.default_rng(1)), rows[:1000])

    before = distance()
    train(model, rows, Plan(model.config.epochs, model.batch))
    assert distance() < before / 3
    largest = max(np.abs(w).max() for n, w in model.params.items() if n.startswith("discriminator"))
    assert (largest <= np.float32(model.config.clip)) == (penalty == 0)


@pytest.mark.parametrize(
    "settings, line",
    [({"penalty": -1.0}, "want penalty of at least 0"), ({"loss": "minimax"}, "wgan-gp has no")],
)
def test_bad_settings_are_one_clear_line(settings, line):
    with pytest.raises(InputError, match=line):
        WGAN(**settings)
