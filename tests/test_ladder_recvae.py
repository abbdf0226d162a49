"""RecVAE: its prior against scipy, its turns, the same bytes after a stop, and what it learns and refuses."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from scipy import sparse, special, stats
from test_recommender import split_of_groups
from test_training import StopError, clicks, held_out, stop_at

from minigen import ops
from minigen.cli.settings import parse_settings
from minigen.errors import InputError
from minigen.evaluation.evaluate import evaluate
from minigen.gradcheck.differences import five_point
from minigen.ladder import RecVAE, load_model, recvae_model
from minigen.losses import gaussian_log_prob_forward
from minigen.ops.composite_prior.numpy_composite_prior import SHARES
from minigen.ops.sparse import with_data
from minigen.recommender import Popularity
from minigen.recommender.explain import because
from minigen.schedules import cosine_decay

SMALL = {"hidden": 12, "latent": 5, "layers": 3, "batch": 20, "epochs": 8, "patience": 0, "lr": 3e-3}
STEPS = 3  # of an epoch of 50 rows
DECODER = {"w_out", "b_out"}


@pytest.mark.parametrize("shares", [SHARES, (0.5, 0.5, 0.0), (0.0, 0.2, 0.8), (1.0, 0.0, 0.0)])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_prior_is_the_mixture_of_scipys_gaussians(shares, scale, rng):
    z, mu, log_var = scale * rng.standard_normal((7, 4)), *rng.standard_normal((2, 7, 4))
    stds = np.ones_like(mu), np.exp(log_var / 2), np.full_like(mu, math.exp(5))
    logs = [stats.norm.logpdf(z, m, s) for m, s in zip((0 * mu, mu, 0 * mu), stds)]
    kept = [n for n in range(3) if shares[n]]
    weights = np.array([shares[n] for n in kept])[:, None, None]
    wanted = special.logsumexp(np.stack([logs[n] for n in kept]), axis=0, b=weights).sum(axis=1)
    np.testing.assert_allclose(ops.composite_log_prob_forward(z, mu, log_var, shares)[0], wanted, rtol=1e-12)


def test_shares_that_are_no_shares_are_refused():
    z = np.zeros((2, 3))
    for shares in ((0.5, 0.5), (0.5, 0.6, -0.1), (0.5, 0.2, 0.2)):
        with pytest.raises(ValueError, match=r"^shares: want three of at least 0 and of sum 1, got \(0\.5"):
            ops.composite_log_prob_forward(z, z, z, shares)


def test_with_the_standard_gaussian_alone_the_sampled_kl_is_the_closed_one_on_average(rng):
    n, mu, log_var = 50_000, np.array([0.4, -1.0, 2.0]), np.array([0.7, -1.2, 0.1])
    mu, log_var = np.tile(mu, (n, 1)), np.tile(log_var, (n, 1))
    z, _ = ops.reparameterise_forward(mu, log_var, rng.standard_normal((n, 3)))
    far = np.full_like(mu, 9.0)  # whatever the old posterior was
    log_prior, _ = ops.composite_log_prob_forward(z, far, far, (1, 0, 0))
    kl = gaussian_log_prob_forward(z, mu, log_var)[0] - log_prior
    wanted, _ = ops.gaussian_kl_forward(mu[:1], log_var[:1])
    assert kl.mean() == pytest.approx(wanted, abs=5 * kl.std() / math.sqrt(n))


def test_an_old_posterior_that_is_the_present_one_costs_at_most_its_share(rng):
    mu, log_var = rng.standard_normal((2, 9, 4))
    z, _ = ops.reparameterise_forward(mu, log_var, rng.standard_normal((9, 4)))
    kl = gaussian_log_prob_forward(z, mu, log_var)[0] - ops.composite_log_prob_forward(z, mu, log_var)[0]
    assert np.all(kl <= -4 * math.log(SHARES[1]))
    zeros = np.zeros_like(kl)
    none, _ = ops.composite_log_prob_forward(z, mu, log_var, (0, 1, 0))
    np.testing.assert_allclose(gaussian_log_prob_forward(z, mu, log_var)[0] - none, zeros, atol=1e-12)


def test_layer_norm_and_swish_name_the_shapes_that_differ():
    for shapes in (((2, 4), 3, 3), ((2, 3), 3, 2), ((2, 3), (1, 3), (1, 3))):
        with pytest.raises(ValueError, match=r"want (the )?shape"):
            ops.layer_norm_forward(*map(np.ones, shapes))
    for backward, cache in (
        (ops.layer_norm_backward, ops.layer_norm_forward(np.ones((2, 3)), np.ones(3), np.ones(3))[1]),
        (ops.swish_backward, ops.swish_forward(np.ones((2, 3)))[1]),
    ):
        with pytest.raises(ValueError, match=r"d_y: want the shape of x, \(2, 3\), got \(3, 2\)"):
            backward(np.ones((3, 2)), cache)


def test_the_loss_weighs_the_kl_of_each_user_by_its_clicks(rng):
    x = clicks(7)
    params = recvae_model.init_params(30, 6, 4, 2, rng)
    old = {name: array + 0.1 for name, array in params.items()}
    form = recvae_model.Form(gamma=0.3)
    eps = rng.standard_normal((7, 4), dtype=np.float32)
    whole, _ = recvae_model.forward(params, old, x, form, None, eps)
    parts = [recvae_model.forward(params, old, x[n : n + 1], form, None, eps[n : n + 1])[0] for n in range(7)]
    n_clicks = np.diff(x.indptr)
    wanted = np.mean([p.nll + 0.3 * n * p.kl for p, n in zip(parts, n_clicks)])
    assert len(set(n_clicks)) > 1
    assert whole.loss == pytest.approx(wanted, rel=1e-5)
    assert whole.kl == pytest.approx(np.mean([p.kl for p in parts]), rel=1e-5)
    alike, _ = recvae_model.forward(params, old, x, form._replace(beta=0.7), None, eps)
    assert alike.loss == pytest.approx(whole.nll + 0.7 * whole.kl, rel=1e-5)


@pytest.mark.parametrize(
    ("epochs", "turn", "rest"),
    [((2, 1), 2 * STEPS, STEPS), ((0.7, 0.3), 2, 1), ((0.01, 1), 1, STEPS)],
)
def test_the_players_take_turns_and_the_old_encoder_is_that_of_the_rounds_beginning(epochs, turn, rest):
    model = RecVAE(**SMALL, encoder_epochs=epochs[0], decoder_epochs=epochs[1])
    seen = {}

    def report(state, logged):
        if "epoch" not in logged:
            old = {name: array.copy() for name, array in model.optimizers["encoder"].old.items()}
            seen[state.step] = {name: array.copy() for name, array in model.params.items()}, old

    model.fit(clicks(), report=report)
    for step in range(2, 8 * STEPS + 1):
        (before, _), (after, old) = seen[step - 1], seen[step]
        moved = {name for name in after if not np.array_equal(before[name], after[name])}
        place = (step - 1) % (turn + rest)
        assert moved == (DECODER if place >= turn else set(after) - DECODER), step
        if place == 0:
            for name, array in old.items():
                np.testing.assert_array_equal(array, before[name])
        elif step > turn + rest:
            np.testing.assert_array_equal(old["w1"], seen[step - place][1]["w1"])


@pytest.mark.parametrize("drops", [(0.5, 0.0), (0.0, 0.25), (0.5, 0.25)])
def test_each_player_drops_its_own_share_of_the_clicks(drops, monkeypatch):
    model, kept, forward = (
        RecVAE(**SMALL, dropout=drops[0], decoder_dropout=drops[1]),
        [],
        recvae_model.forward,
    )

    def spy(params, old, x, form, mask, *rest):
        kept.append((form.keep, mask is None))
        return forward(params, old, x, form, mask, *rest)

    monkeypatch.setattr(recvae_model, "forward", spy)
    model.fit(clicks())
    wanted = [(1 - drop, drop == 0) for drop in (drops[0],) * 3 + (drops[1],) for _ in range(STEPS)]
    assert kept == wanted * 2


def test_a_cosine_takes_the_steps_of_both_players_to_zero():
    fitted = RecVAE(**SMALL, lr_schedule="cosine").fit(clicks())
    n = 8 * STEPS
    for name, last in (("encoder", 7 * STEPS - 1), ("decoder", n - 1)):  # of two rounds of 3 + 1 epochs
        assert fitted.optimizers[name].lr == pytest.approx(cosine_decay(last, n, SMALL["lr"])), name
    assert RecVAE(**SMALL).fit(clicks()).optimizers["decoder"].lr == SMALL["lr"]


@pytest.mark.parametrize("step", [1, STEPS, 3 * STEPS, 3 * STEPS + 1, 4 * STEPS, 4 * STEPS + 1, 20])
@pytest.mark.parametrize("seconds", [0, 1e9])
def test_resume_after_a_stop_ends_in_the_same_bytes(step, seconds, tmp_path):
    rows, held = clicks(), held_out()
    whole = RecVAE(**SMALL).fit(rows, held, run=tmp_path / "whole")
    with pytest.raises(StopError):
        RecVAE(**SMALL).fit(
            rows, held, run=tmp_path / "cut", checkpoint_seconds=seconds, report=stop_at(step)
        )
    resumed = RecVAE(**SMALL).fit(rows, held, run=tmp_path / "cut", resume=True)
    assert resumed.state == whole.state
    for name, array in whole.params.items():
        assert array.tobytes() == resumed.params[name].tobytes(), name
    weights = [run / f"step-{8 * STEPS}" for run in (tmp_path / "whole", tmp_path / "cut")]
    assert [sorted(file.name for file in folder.iterdir()) for folder in weights] == [
        ["state.json", "weights.safetensors"]
    ] * 2


@pytest.mark.parametrize("settings", [{}, {"old_share": 0.0, "broad_share": 0.0}, {"layers": 0}])
def test_learns_what_popularity_cannot_know_and_says_why(settings):
    split = split_of_groups()
    baseline = evaluate(Popularity().fit(split.train), split.test, ("recall@8",)).mean("recall@8")
    model = RecVAE(**SMALL | {"hidden": 32, "batch": 50, "epochs": 60, "dropout": 0.3} | settings)
    model.fit(split.train)
    assert evaluate(model, split.test, ("recall@8",)).mean("recall@8") > 1.8 * baseline
    history = split.test.fold_in[0]
    items = model.recommend(history, k=3)[0][0]
    assert all(
        reasons[0][0] // 8 == item // 8 for item, reasons in zip(items, because(model, history, items))
    )


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_click_gradient_is_the_derivative_of_the_scores(layers, rng):
    model = RecVAE(**SMALL | {"epochs": 1, "layers": layers}).fit(clicks())
    model.params = {name: array.astype(float) for name, array in model.params.items()}
    histories = clicks(4, seed=3).astype(float)
    d_scores = rng.standard_normal((4, 30))

    def scores(data):
        codes, _, _ = recvae_model.encode(model.params, with_data(histories, data))
        return codes @ model.params["w_out"] + model.params["b_out"]

    wanted = five_point(scores, histories.data, d_scores)
    found = model.click_gradient(histories, d_scores).data
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


def test_numba_learns_the_same():
    rows = clicks(60, 40)
    one, two = (RecVAE(**SMALL | {"epochs": 4}, backend=name).fit(rows) for name in ("numpy", "numba"))
    np.testing.assert_allclose(two.score(rows), one.score(rows), rtol=0, atol=1e-3)
    for row, twin in zip(one.state.history, two.state.history):
        assert twin["loss"] == pytest.approx(row["loss"], rel=1e-5)


def test_a_step_holds_nothing_of_the_size_of_the_logits_but_the_logits(rng):
    n, m = 60, 20_000
    rows = sparse.random(n, m, 1e-3, "csr", np.float32, random_state=np.random.RandomState(0))
    model = RecVAE(hidden=4, latent=4, layers=2, batch=n)
    model.start(rows)
    for step in range(4):  # the buffers and Adam's moments come with each player's first
        model.train_step(rows, rng, step)
    tracemalloc.start()
    for step in range(4, 8):
        model.train_step(rows, rng, step)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * n * m / 2


def test_damaged_arrays_and_other_runs_are_refused(tmp_path):
    model = RecVAE(**SMALL | {"epochs": 1}).fit(clicks())
    model.params["w2"] = model.params["w2"][1:]
    model.save(tmp_path / "run")
    with pytest.raises(InputError, match="no complete recvae model: the arrays have other names or shapes"):
        load_model(tmp_path / "run")


BAD = "hidden=0 layers=-1 decoder_epochs=0 encoder_epochs=inf gamma=-0.1 gamma=nan beta=-1 dropout=1"
BAD += " decoder_dropout=-0.1 old_share=0.95 broad_share=-0.1 lr=nan lr_schedule=steps backend=cuda"
BAD += " likelihood=bernoulli"


@pytest.mark.parametrize("setting", BAD.split())
def test_a_bad_setting_is_named(setting):
    with pytest.raises(InputError, match=setting.split("=")[0]) as error:
        RecVAE(**parse_settings(RecVAE, [setting]))
    assert "\n" not in str(error.value)


def test_settings_come_from_the_command_line():
    given = parse_settings(RecVAE, ["gamma=0.01", "layers=2", "backend=numba"])
    assert RecVAE(**given).settings == RecVAE().settings | {"gamma": 0.01, "layers": 2, "backend": "numba"}
    form = RecVAE(dropout=0.2, gamma=0.01, old_share=0.5, broad_share=0.2).config.form
    assert (form.keep, form.gamma, form.shares) == (0.8, 0.01, pytest.approx((0.3, 0.5, 0.2)))
