"""The IWAE experiment: its schedule, and a compiled step that is the written-out one, to rounding."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import typer

from minigen import iwae, vae
from minigen.errors import InputError
from minigen.ops import AdamState, adam_step
from minigen.reproduce import iwae_mnist
from minigen.reproduce.iwae_mnist import BATCH, SIZES, STEPS, Experiment, Settings, nll_nats, row_of
from minigen.training import checkpoint
from minigen.training.loop import Plan, train


@pytest.fixture
def images(rng):
    """120 pictures of 28 x 28, a fifth of their pixels grey."""
    grey = rng.integers(1, 256, (120, 28, 28)) * (rng.random((120, 28, 28)) < 0.2)
    return grey.astype(np.uint8)


def drawn(images, rows, shape, rng):
    """Bits and noise (B, K, Z) as the compiled step draws them: by pixel, the black ones passed over."""
    x = np.zeros((len(rows), images[0].size), np.float32)
    for bits, image in zip(x, images[rows].reshape(len(rows), -1)):
        for pixel in np.flatnonzero(image):
            bits[pixel] = rng.random() < image[pixel] / np.float32(255)
    eps = np.array([rng.standard_normal() for _ in range(len(rows) * shape[0] * shape[1])], np.float32)
    return x, eps.reshape(len(rows), *shape)


def test_the_schedule_is_the_papers():
    settings = Settings()
    assert settings.epochs == 3280
    assert settings.epochs * 59_600 // BATCH == 9_774_400
    firsts = [0, 1, 4, 13, 40, 121, 364, 1093]
    rates = [1e-3, 7.2e-4, 5.2e-4, 3.7e-4, 2.7e-4, 1.9e-4, 1.4e-4, 1e-4]
    np.testing.assert_allclose([settings.lr(epoch) for epoch in firsts], rates)
    np.testing.assert_allclose([settings.lr(e - 1) for e in [*firsts[1:], 3280]], rates)


SMALL = pytest.param(3, (36, 7, 6, 4), 66, marks=pytest.mark.kernels)  # and so many that moments are flushed


@pytest.mark.parametrize("k, sizes, n", [(1, SIZES, 10), (5, SIZES, 10), SMALL])
def test_compiled_steps_are_those_written_out(images, k, sizes, n, monkeypatch):
    """Some steps against `iwae_forward`, `iwae_backward` and `adam_step`; then the estimate of the NLL."""
    monkeypatch.setattr(iwae_mnist, "SIZES", sizes)
    side, latent = math.isqrt(sizes[0]), sizes[-1]
    images = images[:, :side, :side]
    experiment = Experiment(Settings(k), images, steps=n)
    params = {name: w.astype(np.float64) for name, w in experiment.params.items()}
    before = {name: w.copy() for name, w in params.items()}
    states = {name: AdamState.zeros_like(w) for name, w in params.items()}
    rows = np.random.default_rng(3).integers(0, 120, n * BATCH)
    logged = experiment.train_step(rows, np.random.default_rng(7), step=0)

    rng, losses = np.random.default_rng(7), []
    for batch in rows.reshape(n, BATCH):
        x, eps = (a.astype(np.float64) for a in drawn(images, batch, (k, latent), rng))
        loss, cache = iwae.iwae_forward(params, x, eps)
        grads = iwae.iwae_backward(1.0, cache)
        losses.append(loss)
        for name, w in params.items():
            adam_step(w, grads[name], states[name], 1e-3, *iwae_mnist.ADAM)
    assert logged["loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    arrays = experiment.optimizers["adam"].arrays()
    for name, w in params.items():
        m, v = states[name].m, states[name].v
        np.testing.assert_allclose(arrays[f"m.{name}"], m, atol=1e-4 * np.abs(m).max(), err_msg=name)
        np.testing.assert_allclose(arrays[f"v.{name}"], v, atol=1e-4 * v.max(), err_msg=name)
        assert arrays[f"t.{name}"] == n
        # Adam divides by |d_w|: where that is next to nothing, rounding may turn a whole step around.
        off = np.linalg.norm(experiment.params[name] - w)
        assert off < 1e-3 * np.linalg.norm(w - before[name]), name

    got = nll_nats(experiment.params, images[:3], 100, seed=4)
    x, eps = drawn(images, np.arange(3), (50, latent), rng := np.random.default_rng([4, 5, 0]))
    more = [rng.standard_normal() for _ in range(3 * 50 * latent)]
    eps = np.concatenate([eps, np.array(more, np.float32).reshape(eps.shape)], axis=1)
    log_w, _ = iwae.log_weights(experiment.params, x, eps, vae.Form())
    np.testing.assert_allclose(got, np.log(100) - np.logaddexp.reduce(log_w, axis=1), rtol=1e-5)


def test_a_run_cut_short_resumes_to_the_same_bytes_and_says_how_far_it_came(images, tmp_path):
    def run(folder, stop_after=None, resume=False):
        settings = Settings(1, stages=2)
        plan = Plan(settings.epochs, 2 * BATCH, checkpoint_seconds=0)

        def report(state, logged):
            if state.step == stop_after:
                raise KeyboardInterrupt

        experiment = Experiment(settings, images, steps=2)
        rows = np.arange(len(images))
        train(experiment, rows, plan, run=folder, resume=resume, about=settings.about, report=report)

    run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", stop_after=5)
    state = json.loads((checkpoint.latest_folder(tmp_path / "cut") / "state.json").read_text())
    before = json.dumps(state)
    state["calls"] = 3  # of this small set
    state["sums"]["seconds"], state["history"][0]["seconds"] = 100, 10
    (checkpoint.latest_folder(tmp_path / "cut") / "state.json").write_text(json.dumps(state))
    row = row_of(tmp_path / "cut", images[:5], samples=50)
    assert row["model"] == "vae-k1"
    assert row["epochs"] == pytest.approx(4 / 3)
    assert row["epochs_planned"] == 4
    assert row["complete"] is False
    assert row["steps"] == 4 * STEPS
    assert row["seconds"] == 100 + 3 * 10  # this epoch so far, and three calls of the one before
    assert row["metrics"]["nll_nats"] > 0
    assert 0 <= row["metrics"]["active_units"] <= 50
    (checkpoint.latest_folder(tmp_path / "cut") / "state.json").write_text(before)

    run(tmp_path / "cut", resume=True)
    whole, _ = checkpoint.load(tmp_path / "whole")
    cut, _ = checkpoint.load(tmp_path / "cut")
    assert {n: w.tobytes() for n, w in cut["weights"].items()} == {
        n: w.tobytes() for n, w in whole["weights"].items()
    }


def test_a_row_is_replaced_and_other_k_seeds_and_epochs_stay(tmp_path):
    from minigen.cli.reproduce import _put

    def row(k, nll, seed=0, epochs=4.0):
        metrics = {"nll_nats": nll}
        return {"model": f"k{k}", "settings": {"k": k}, "seeds": [seed], "epochs": epochs, "metrics": metrics}

    file = tmp_path / "rows.json"
    for args in ((5, 87.0), (1, 88.0), (5, 86.0), (5, 85.5, 1), (1, 89.0, 0, 1.5)):
        _put(file, row(*args), {"seed": 0})
    document = json.loads(file.read_text())
    assert [(r["model"], r["seeds"], r["metrics"]["nll_nats"]) for r in document["rows"]] == [
        ("k1", [0], 89.0), ("k1", [0], 88.0), ("k5", [0], 86.0), ("k5", [1], 85.5),
    ]  # fmt: skip
    file.write_text('{"command": "train"}')
    with pytest.raises(InputError, match="holds something else"):
        _put(file, row(1, 88.0), {})


@pytest.mark.parametrize("settings", [{"k": 0}, {"stages": 9}, {"stages": 0}, {"seed": -1}])
def test_bad_settings_are_one_clear_line(settings):
    with pytest.raises(InputError, match="want k of at least 1, 1 to 8 stages"):
        Settings(**settings)


def test_what_is_no_mnist_or_no_run_is_told(tmp_path):
    from minigen.cli.reproduce import app

    command = typer.main.get_command(app)
    with pytest.raises(InputError, match="want the 60,000 training images of MNIST, got"):
        command(["iwae-mnist", str(iwae_mnist.read_images.__globals__["EMBEDDED"])], standalone_mode=False)
    with pytest.raises(InputError, match="there is no run at"):
        row_of(tmp_path / "nothing", np.zeros((1, 28, 28), np.uint8), 50)
    checkpoint.save(tmp_path / "other", 1, {"weights": {}}, {})
    with pytest.raises(InputError, match="is not a run of iwae-mnist"):
        row_of(tmp_path / "other", np.zeros((1, 28, 28), np.uint8), 50)
