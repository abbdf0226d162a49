"""Exercises of the other chapters: an answer that is wrong in a way of its own is told so, in plain words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigen.exercises import progress
from minigen.exercises.judge import verdict
from minigen.exercises.registry import asking_for


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def told(**answers: Callable[..., Any]) -> str:
    found = asking_for(set(answers))
    assert found is not None
    return verdict(found, answers)


def softmax_in_float64(logits):
    p = np.exp(logits.astype(float) - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def core(x, a, b):
    rows, columns = np.arange(x.shape[0]), np.arange(x.shape[1])
    while True:
        kept = x[rows][:, columns]
        enough, popular = kept.sum(axis=1) >= a, kept.sum(axis=0) >= b
        if enough.all() and popular.all():
            return rows, columns
        rows, columns = rows[enough], columns[popular]


def core_counted_once(x, a, b):
    return np.flatnonzero(x.sum(axis=1) >= a), np.flatnonzero(x.sum(axis=0) >= b)


def core_without_the_first_row(x, a, b):
    return core(x * (np.arange(len(x)) > 0)[:, None], a, b)


def hide_everything(users, items, share, rng):
    return np.ones(len(users), bool)


def read_all_rows(indptr, indices, data, w):
    y = np.zeros((len(indptr) - 1, w.shape[1]))
    dense = np.zeros((len(y), w.shape[0]))
    for u in range(len(y)):
        dense[u, indices[indptr[u] : indptr[u + 1]]] = data[indptr[u] : indptr[u + 1]]
        for i in range(w.shape[0]):
            y[u] += dense[u, i] * w[i]
    return y


def columns_shared_out(d_y, d_b, prange):
    assert len(d_b) == d_y.shape[1]
    for j in prange(d_y.shape[1]):
        for i in range(d_y.shape[0]):
            d_b[j] += d_y[i, j]


def one_entry_a_thread(i, n_threads, x, y):
    y[i] = max(x[i], 0)


def one_entry_a_thread_guarded(i, n_threads, x, y):
    if i < len(x):
        one_entry_a_thread(i, n_threads, x, y)


def loose_bound(f):
    return 2 * np.prod([np.linalg.norm(w, 2) for name, w in f.items() if name[0] == "w"])


SLIPS = [
    ("softmax_rows", softmax_in_float64, "float32 went in, float64 came out"),
    ("core_of", core, ""),
    ("core_of", lambda x, a, b: (np.arange(0), np.arange(0)), "nothing is left, and something should be"),
    ("core_of", core_counted_once, "a kept row has "),
    ("core_of", core_without_the_first_row, "229 ones are left, the largest core has 253"),
    ("hide", hide_everything, "100% of the events are hidden, want 30%"),
    ("first_layer", read_all_rows, "nobody has clicked item 2, and its row of w is read"),
    ("column_sums", columns_shared_out, ""),
    ("relu_thread", one_entry_a_thread, "8 threads leave 13 of 21 entries unwritten"),
    ("relu_thread", one_entry_a_thread_guarded, "8 threads leave 13 of 21 entries unwritten"),
    ("relu_thread", lambda i, n, x, y: y.__setitem__(i + 1, 0), "thread 20 of 21 reaches beyond the 21"),
    ("next_place", lambda relevance, cosines, chosen, share: 1, "item 1 has been chosen already"),
    ("advantages", lambda r: (r - r.mean(axis=0))[None], "want one value a draw, (200000, 3), got (1, 2"),
    ("advantages", lambda r: r, "the variance has not become smaller"),
    ("slope_bound", loose_bound, " will do"),
    ("choose_l2", lambda split, candidates: candidates[0], "with your choice, "),
]


@pytest.mark.parametrize(("name", "answer", "words"), SLIPS)
def test_a_slip_is_named(name, answer, words):
    said = told(**{name: answer})
    assert words in said if words else said == ""
    assert "TypeError" not in said


def log_softmax(x):
    y = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    return y, y


def halved(d_y, y):
    return (d_y - np.exp(y) * d_y.sum(axis=1, keepdims=True)) / 2


@pytest.mark.parametrize(
    ("forward", "backward", "words"),
    [
        (log_softmax, halved, "half of it"),
        (log_softmax, lambda d_y, y: d_y * (1 - np.exp(y)), "this is the diagonal of the Jacobian alone"),
        (lambda x: (x, x), halved, "log_softmax_forward: probabilities of a row add up to "),
    ],
)
def test_a_wrong_log_softmax_is_told_of_its_diagonal_only_where_that_is_all(forward, backward, words):
    said = told(log_softmax_forward=forward, log_softmax_backward=backward)
    assert words in said
    assert ("diagonal" in said) is ("diagonal" in words)


def test_a_forward_pass_that_was_bent_to_fit_its_gradient_is_refused():
    """The task is to mend the gradient: a loss of B times as much would hide the slip."""
    said = told(
        squared_error_forward=lambda y, t: (((y - t) ** 2).sum(), (y, t)),
        squared_error_backward=lambda d_loss, cache: 2 * d_loss * (cache[0] - cache[1]),
    )
    assert said.startswith("squared_error_forward: want ")
    assert said.endswith(": leave it as it was")


def test_an_answer_whose_text_is_nowhere_counts_as_an_attempt():
    """As one that was typed at a prompt: no file tells whether it is still the skeleton."""
    typed: dict[str, Any] = {}
    exec("def same_beta(size):\n    return 0.5 * size", typed)
    assert "their cosine is" in told(same_beta=typed["same_beta"])
    assert progress.tried() == {"vae-3": False}
