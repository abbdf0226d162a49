"""The exercises' checker: where, by what factor, and which classic slip; what is remembered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigen import gan, ops
from minigen.errors import InputError
from minigen.exercises import check, progress, same_as, same_gradients
from minigen.exercises.judge import verdict
from minigen.exercises.registry import Exercise, asking_for, exercises
from minigen.exercises.sheet import answers_in
from minigen.gradcheck import GradientError
from minigen.gradcheck.catalogue import catalogue
from minigen.gradcheck.slips import MUTANTS
from minigen.mlp import init_mlp, mlp_backward, mlp_forward

BY_NAME = {mutant.name: mutant for mutant in MUTANTS}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def told(*answers: Callable[..., Any]) -> str:
    named = {answer.__name__: answer for answer in answers}
    found = asking_for(set(named))
    assert found is not None
    return verdict(found, named)


# Ten classic mistakes and more: the slip, planted where a reader would make it, and the words that name it.
CLASSICS = {
    "gaussian-kl-lost-half-of-kl": ["twice too much: a lost 1/2?", "d_log_var without its 1/2"],
    "gaussian-kl-sum-over-batch": ["B = 5 times too much", "1/B lost in backward"],
    "gaussian-kl-log-std": ["log_var read as a log standard deviation"],
    "reparameterise-exp-log-var": ["exp(log_var) as standard deviation"],
    "relu-mask-from-output": ["a mask that should be closed", "The mask asks whether the output is >= 0"],
    "softmax-nll-lost-batch": ["B = 5 times too much", "1/B lost"],
    "softmax-nll-sum-over-rows": ["A sum over the batch for the mean"],
    "softmax-nll-diagonal-jacobian": ["what is off the diagonal of the Jacobian is missing"],
    "softmax-nll-no-shift": ["without the log-sum-exp shift"],
    "softmax-nll-one-click": ["as if every row held one click"],
    "dropout-scale-in-forward-only": ["ratio 0.4", "1/keep lost in backward"],
    "dropout-unscaled": ["1/keep lost in both passes"],
    "dense-transposed-d-w": ["want shape (4, 3), got (3, 4)", "d_w = d_y^T x"],
    "dense-mean-d-b": ["1/B of it (B = 5)", "d_b averaged over examples"],
    "dense-overwrites-x": ["Backward writes d_x into the caller's x"],
    "gan-non-saturating-detached": ["nothing where there is something", "G(z) detached from G"],
    "wgan-critic-flipped-sign": ["the wrong sign", "mean f(x) - mean f(G(z)), minimised"],
}


@pytest.mark.parametrize("name", CLASSICS)
def test_a_classic_mistake_is_named(name):
    mutant = BY_NAME[name]
    planted = mutant.plant(catalogue()[mutant.quantity])
    with pytest.raises(GradientError) as error:
        same_as(mutant.quantity, planted.forward, planted.backward)
    for words in CLASSICS[name]:
        assert words in str(error.value)


def test_two_slips_at_once_are_both_named():
    def backward(d_y, cache):
        return d_y @ cache.w.T, d_y.T @ cache.x, d_y.mean(axis=0)

    with pytest.raises(GradientError, match=r"d_w = d_y\^T x; d_b averaged over examples"):
        same_as("dense", ops.dense_forward, backward)


def test_what_is_right_passes_and_what_is_unheard_of_is_not_named():
    same_as("dense", ops.dense_forward, ops.dense_backward)
    with pytest.raises(GradientError) as error:
        same_as("tanh", ops.tanh_forward, lambda d_y, y: 1.37 * ops.tanh_backward(d_y, y))
    assert "ratio 1.37" in str(error.value)
    assert "known slip" not in str(error.value)


def detached(g, d, z):
    return {name: np.zeros_like(w) for name, w in g.items()}


def climbs(g, d, z):
    fake, g_cache = mlp_forward(z, g, "tanh")
    logits, d_cache = mlp_forward(fake, d, "tanh")
    d_fake, _ = mlp_backward((1 - ops.sigmoid(logits)) / len(z), d_cache)
    return mlp_backward(d_fake, g_cache)[1]


def sums(g, d, z):
    return {name: -len(z) * grad for name, grad in climbs(g, d, z).items()}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (detached, "the fakes are detached"),
        (climbs, "the wrong sign"),
        (sums, "B = 8 times too much"),
        (lambda g, d, z: [], "want gradients by name"),
        (lambda g, d, z: {}, "d_w0: backward returned no gradient"),
    ],
)
def test_the_generators_gradient_is_judged(answer, words):
    answer.__name__ = "d_of_generator"
    assert words in told(answer)


def test_the_worst_of_several_arrays_is_told():
    rng = np.random.default_rng(0)
    d = init_mlp([3, 4, 1], rng, "tanh", np.float64)
    real, fake = rng.standard_normal((8, 3)), rng.standard_normal((4, 3))
    _, cache = gan.discriminator_forward(d, real, fake, "tanh")
    grads = gan.discriminator_backward(1.0, cache)
    same_gradients(lambda p: gan.discriminator_forward(p, real, fake, "tanh")[0], grads, d)
    grads["b1"] = 2 * grads["b1"]
    with pytest.raises(GradientError, match=r"d_b1.*a lost 1/2\? \(1 of 4 arrays are wrong\)"):
        same_gradients(lambda p: gan.discriminator_forward(p, real, fake, "tanh")[0], grads, d)


def test_no_two_exercises_ask_for_the_same_names():
    asked = [found.wants for found in exercises()]
    assert len(asked) == len(set(asked))
    assert all(asking_for(set(found.wants)) == found for found in exercises())


def test_check_prints_right_or_why_not(capsys):
    def first_weights(n_items, n_out, rng):
        return rng.standard_normal((n_items, n_out))

    check(first_weights)
    assert capsys.readouterr().out == "right\n"

    def first_weights(n_items, n_out, rng):
        return 0 * rng.standard_normal((n_items, n_out))

    check(first_weights)
    assert capsys.readouterr().out == "not yet: mean square of y: want 1, got 0\n"
    check(len)
    assert capsys.readouterr().out.startswith("not yet: no exercise asks for len")
    check()
    assert capsys.readouterr().out.startswith("not yet: no exercise asks for nothing")


def test_an_error_of_the_reader_is_one_line_with_its_place():
    def first_weights(n_items, n_out, rng):
        return rng.standard_normal(n_items, n_out)

    words = told(first_weights)
    assert words.startswith("first_weights, line ")
    assert "(return rng.standard_normal(n_items, n_out)): TypeError: " in words
    assert "\n" not in words


def test_an_overflow_is_told_with_its_line():
    def log_mean(log_w):
        return np.log(np.exp(log_w).mean(axis=1))

    assert "overflow encountered in exp" in told(log_mean)


@pytest.mark.parametrize("returned", [None, 3.0, "text", (), np.zeros(3)])
def test_what_cannot_be_used_is_one_line(returned):
    def my_dense_forward(x, w, b):
        return returned

    def my_dense_backward(d_y, cache):
        return returned

    words = told(my_dense_forward, my_dense_backward)
    assert words
    assert "\n" not in words


def test_attempts_are_remembered_and_right_stays_right(tmp_path):
    def same_beta(size):
        return answer * size

    answer = 0.5
    told(same_beta)
    assert progress.tried() == {"vae-3": False}
    answer = 1.0
    assert told(same_beta) == ""
    answer = 0.5
    told(same_beta)
    assert progress.tried() == {"vae-3": True}
    assert progress.path() == tmp_path / "cache/minigen/learn.json"


@pytest.mark.parametrize("damage", ["", "{", "[1]", "\0\xff", '{"vae-3": 3, "dense-1": true}', "[" * 100_000])
def test_a_damaged_file_counts_as_empty_and_is_replaced(damage):
    progress.path().parent.mkdir(parents=True)
    progress.path().write_text(damage, "latin-1")
    kept = {"dense-1": True} if "dense" in damage else {}
    assert progress.tried() == kept
    progress.remember(Exercise("vae", 3, len), True)
    assert json.loads(progress.path().read_text("utf-8")) == kept | {"vae-3": True}


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    progress.remember(Exercise("vae", 3, len), True)
    assert progress.tried() == {}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(:\n", "line 1: SyntaxError"),
        ("x = 1\ny = x / 0\n", "line 2: ZeroDivisionError"),
        ("import sys\nsys.exit(3)\n", "line 2: SystemExit: 3"),
        ("x = '\udcff'\n", "SyntaxError"),
        (None, "want a file of Python that is there"),
    ],
)
def test_a_file_that_cannot_be_run_is_one_line(tmp_path, source, words):
    path = tmp_path / "answer.py"
    if source is not None:
        path.write_bytes(source.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=words):
        answers_in(path)


def test_only_the_readers_own_functions_are_answers(tmp_path):
    path = tmp_path / "answer.py"
    path.write_text("from numpy import zeros\nimport numpy as np\n\ndef f(x):\n    return np.sum(x)\n")
    assert set(answers_in(path)) == {"f"}
    path.write_text("def f(x):\n    return 7\n")  # at once, and of no other size that a cache would notice
    assert answers_in(path)["f"](0) == 7
