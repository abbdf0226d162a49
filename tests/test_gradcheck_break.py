"""Right and broken side by side: the slip of the checks is the slip in training, and nothing else differs."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from test_cli import minigen, refused

from minigen import gan_training, vae_training
from minigen.cli.gradcheck import gradcheck
from minigen.errors import InputError
from minigen.gradcheck.side_by_side import (
    FAMILIES,
    UnknownSlipError,
    clicks,
    find,
    images,
    looks_fine,
    run,
    trainable,
)
from minigen.gradcheck.side_by_side.families import UNFIT
from minigen.gradcheck.side_by_side.scene import Curve, Family, Figure, Images, Points, Scene, Side
from minigen.gradcheck.slips import MUTANTS
from minigen.plots.side_by_side import side_by_side
from minigen.plots.style import png
from minigen.recommender import MultVAE

STEPS = 3


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """A few clothes, few samples, and the shoppers drawn but once."""
    full = images.pieces_of_clothing()
    few = replace(full, train=full.train[:300], test=full.test[:60])
    monkeypatch.setattr(images, "pieces_of_clothing", lambda: few)
    monkeypatch.setattr(images, "SAMPLES", 5)
    monkeypatch.setattr(images, "EPOCHS", {"vae": 2, "iwae": 2})
    monkeypatch.setattr(clicks, "EPOCHS", 2)


def scene_of(name: str, planted: bool) -> Scene:
    mutant = find(name)
    return FAMILIES[mutant.quantity].build(mutant, planted, 0, None)


def steps(model, rows):
    """The losses and the arrays after a few steps."""
    model.start(rows)
    logged = []
    with np.errstate(all="ignore"):
        for n in range(STEPS):
            rng = np.random.default_rng(n)
            logged.append(model.train_step(rows[100 * n : 100 * (n + 1)], rng, n)["loss"])
    return logged, model.params


def same(a, b) -> bool:
    return a[0] == b[0] and all(np.array_equal(a[1][name], b[1][name], equal_nan=True) for name in a[1])


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gan-minimax-ascends", gan_training.GAN),
        ("wgan-critic-flipped-sign", gan_training.WGAN),
        ("gaussian-kl-ascends", vae_training.VAE),
        ("iwae-bernoulli-equal-weights", vae_training.IWAE),
        ("mult-vae-kl-path-cut", MultVAE),
    ],
)
def test_the_right_side_is_the_librarys_own_training(name, model):
    scene = scene_of(name, planted=False)
    assert same(steps(scene.model, scene.rows), steps(model(**scene.model.settings), scene.rows))


@pytest.mark.parametrize("name", [mutant.name for mutant in trainable()])
def test_every_slip_changes_what_is_trained(name):
    scenes = [scene_of(name, planted) for planted in (False, True)]
    assert scenes[0].model.settings == scenes[1].model.settings
    assert not same(*(steps(scene.model, scene.rows) for scene in scenes))


def test_the_classic_slips_can_be_trained_and_the_others_say_why_not():
    names = {mutant.name for mutant in trainable()}
    assert len(names) >= 60
    assert names >= {
        "gaussian-kl-lost-half-of-kl",
        "reparameterise-exp-log-var",
        "softmax-nll-lost-batch",
        "gan-non-saturating-detached",
        "wgan-critic-flipped-sign",
        "dropout-scale-in-forward-only",
        "softmax-nll-diagonal-jacobian",
        "relu-mask-from-output",
        "gradient-penalty-tanh-no-second-order",
        "softmax-nll-no-shift",
    }
    assert set(UNFIT) < {mutant.name for mutant in MUTANTS}
    for mutant in MUTANTS:
        if mutant.name not in names:
            with pytest.raises(InputError, match=rf"--break {mutant.name}: cannot be trained: \w+"):
                find(mutant.name)


def test_a_name_may_be_short_where_that_is_enough():
    assert find("exp-log-var").name == "reparameterise-exp-log-var"
    with pytest.raises(UnknownSlipError, match=r"more than one such slip; did you mean .*-minimax-ascends"):
        find("ascends")
    with pytest.raises(UnknownSlipError, match=r"no such slip; did you mean .*lost-half-of-kl"):
        find("lost-half-in-kl")
    with pytest.raises(UnknownSlipError, match="no such slip; --break list shows them"):
        find("42")


def _family(**figures: Figure) -> Family:
    return Family("", None, figures)  # type: ignore[arg-type]


def test_a_picture_looks_fine_where_every_figure_that_shows_is_near():
    family = _family(up=Figure("", +1, 0.1), down=Figure("", -1, 0.1), hidden=Figure("", -1))
    right = Side({"up": 1.0, "down": 1.0, "hidden": 1.0}, {}, None, 0)
    fine_ones = [(0.95, 1.05, 99, True), (2, 0, 0, True)]
    for up, down, hidden, fine in [*fine_ones, (0.8, 1, 1, False), (1, 1.2, 1, False), (np.nan, 1, 1, False)]:
        broken = Side({"up": up, "down": down, "hidden": hidden}, {}, None, 0)
        assert looks_fine(family, right, broken) == fine
        assert not looks_fine(family, right, broken._replace(stopped="at step 1"))


@pytest.mark.parametrize("loss", [1.0, np.nan])
def test_a_training_that_overflows_has_no_figures_and_says_so(loss):
    model = SimpleNamespace(params={"w": np.array([np.inf])}, optimizers={}, start=lambda rows: None)
    model.train_step = lambda rows, rng, step: {"loss": loss}
    side = run(Scene(model, np.zeros((4, 1)), 1, 2, 0, measure=dict, picture=lambda: Curve([], "")))
    assert side.stopped
    assert not side.figures
    assert png(side_by_side("$", [side, side], ["right", "broken"]))


def test_a_code_without_variance_has_no_likelihood_and_the_rest_of_the_figures():
    scene = scene_of("gaussian-kl-ascends", planted=True)
    scene.model.start(scene.rows)
    assert scene.measure().keys() == {"reconstruction", "mmd", "nll_nats"}
    scene.model.params["encoder.b2"][:] = -200
    assert scene.measure().keys() == {"reconstruction", "mmd"}


def test_every_kind_of_picture_is_drawn():
    images_of = Images(np.full((2, 3, 4), 0.5), (2, 2), ("$x$", "y"))
    for picture in (Points(np.ones((3, 2)), np.eye(2)), images_of, Curve([0.1, 0.2], "score")):
        sides = [Side({}, {"loss": [2.0, value], "generator": [1.0, 1.0]}, picture, 0) for value in (1, 3)]
        figure = side_by_side("title", sides, ["right", "broken: $"])
        assert [axis.lines[0].get_ydata()[1] for axis in figure.axes[2:]] == [1, 3]
        assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "check", "words"),
    [
        ("softmax-nll-lost-batch", "derivative", "a lost 1/B"),
        ("exp-log-var", "sampler_has_the_variance", "variance of z"),
    ],
)
def test_the_command_shows_both_and_which_check_screams(name, check, words, tmp_path, capsys):
    gradcheck(broken=name, out=tmp_path / "new", json=tmp_path / "rows.json")
    right, broken = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert (right["side"], broken["side"]) == ("right", "broken")
    assert right["checks_failed"] == {}
    assert words in broken["checks_failed"][check]
    assert ("derivative" in broken["checks_failed"]) == (check == "derivative")
    assert right["metrics"] != broken["metrics"]
    assert (tmp_path / "new" / f"{find(name).name}.png").read_bytes().startswith(b"\x89PNG")
    printed = " ".join(capsys.readouterr().out.split())
    assert "right: every check passes." in printed
    assert words in printed


def test_names_are_listed_and_bad_ones_are_bad_input(tmp_path):
    done = minigen("gradcheck", "--break", "lost-half-in-kl", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "gaussian-kl-lost-half-of-kl" in done.stdout
    assert minigen("gradcheck", "--break", "list", cwd=tmp_path).stdout == done.stdout
    assert "cannot be trained" in refused("gradcheck", "--break", "sigmoid-applied-twice", cwd=tmp_path)
    assert "--mutants" in refused("gradcheck", "--break", "exp-log-var", "--mutants", cwd=tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    assert "is a file" in refused("gradcheck", "--break", "exp-log-var", "--out", "file", cwd=tmp_path)
