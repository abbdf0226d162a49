"""The k best of each row: against a full sort, with many ties, seen items and short rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from minigen.ops.topk import numpy_topk
from minigen.ops.topk.numpy_topk import top_k


def sorted_out(scores: np.ndarray, k: int, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort everything by (-score, item), drop what is seen, pad to k."""
    items = np.full((len(scores), k), -1)
    best = np.full((len(scores), k), -np.inf, dtype=scores.dtype)
    for u, row in enumerate(scores):
        order = sorted((i for i in range(row.size) if not seen[u, i]), key=lambda i: (-row[i], i))[:k]
        items[u, : len(order)], best[u, : len(order)] = order, row[order]
    return items, best


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(0, 7),
    n_items=st.integers(1, 40),
    spread=st.sampled_from([1, 3, 1000]),
    density=st.sampled_from([0, 0.3, 0.9, 1]),
    dtype=st.sampled_from([np.float32, np.float64]),
    data=st.data(),
)
def test_equals_a_full_sort(seed, rows, n_items, spread, density, dtype, data) -> None:
    rng = np.random.default_rng(seed)
    k = data.draw(st.integers(1, n_items))
    scores = rng.integers(-spread, spread, (rows, n_items)).astype(dtype)
    seen = rng.random((rows, n_items)) < density
    items, best = top_k(scores, k, csr_matrix(seen.astype(np.float32)))
    want_items, want_best = sorted_out(scores, k, seen)
    np.testing.assert_array_equal(items, want_items)
    np.testing.assert_array_equal(best, want_best)
    assert items.dtype == np.intp
    assert best.dtype == dtype


def test_rows_do_not_depend_on_their_block(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 9, (11, 30)).astype(np.float32)
    seen = csr_matrix(rng.random((11, 30)) < 0.2)
    whole = top_k(scores, 5, seen)
    monkeypatch.setattr(numpy_topk, "_BLOCK", 64)  # two rows at a time, one in the last block
    for a, b in zip(whole, top_k(scores, 5, seen)):
        np.testing.assert_array_equal(a, b)


def test_without_seen_items_everything_is_ranked() -> None:
    items, best = top_k(np.array([[1.0, 3.0, 2.0, 3.0]]), 4)
    assert items.tolist() == [[1, 3, 2, 0]]
    assert best.tolist() == [[3, 3, 2, 1]]


def test_infinite_scores() -> None:
    items, best = top_k(np.array([[-np.inf, 0.0, np.inf]]), 3)
    assert items.tolist() == [[2, 1, -1]]
    assert best.tolist() == [[np.inf, 0, -np.inf]]


def test_pattern_alone_says_what_is_seen() -> None:
    seen = csr_matrix((np.array([0.0, 5.0, 1.0]), np.array([2, 0, 2]), np.array([0, 3])), shape=(1, 3))
    assert top_k(np.array([[3.0, 2.0, 1.0]]), 2, seen)[0].tolist() == [[1, -1]]


def test_arguments_stay_as_they_were() -> None:
    scores = np.asfortranarray(np.random.default_rng(0).random((4, 6), dtype=np.float32))
    seen = csr_matrix(np.eye(4, 6, dtype=np.float32))
    before, data = scores.copy(), seen.copy()
    scores.flags.writeable = False
    top_k(scores, 3, seen)
    np.testing.assert_array_equal(scores, before)
    assert (seen != data).nnz == 0


@pytest.mark.parametrize(
    ("scores", "k", "seen", "message"),
    [
        (np.ones((2, 3)), 4, None, "k: want 1 to 3"),
        (np.ones((2, 3)), 0, None, "k: want 1 to 3"),
        (np.array([[1.0, np.nan]]), 1, None, "NaN"),
        (np.ones((2, 3), dtype=int), 1, None, "floats"),
        (np.ones(3), 1, None, "shape"),
        (np.ones((2, 3)), 1, csr_matrix((2, 4)), "shape"),
    ],
)
def test_refuses(scores, k, seen, message) -> None:
    with pytest.raises(ValueError, match=message):
        top_k(scores, k, seen)
