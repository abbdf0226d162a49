"""Generated behaviour and history, made into one ranking."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from minigen.recommender import EASE
from minigen.recommender.combine import combine, generated, softmax

HISTORIES = sparse.csr_matrix(np.array([[0, 3, 0, 1, 0, 0], [2, 0, 0, 0, 0, 2]], dtype=np.float32))
BEHAVIOUR = np.array([[0.1, 0.3, 0.2, 0.2, 0.15, 0.05], [0.5, 0.1, 0.1, 0.1, 0.1, 0.1]])


def test_softmax_is_exact_at_scores_that_overflow():
    p = softmax(np.array([[800.0, 800.0 + np.log(3), -800.0]]))
    np.testing.assert_allclose(p, [[0.25, 0.75, 0]], rtol=1e-12)


def test_generated_behaviour_is_a_probability_that_keeps_the_order_of_scores(rng):
    model = EASE(2.0).fit(sparse.csr_matrix(rng.random((40, 6)) < 0.4))
    p = generated(model, HISTORIES)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    scores = model.score(HISTORIES)
    np.testing.assert_allclose(np.log(p[:, 1:] / p[:, :1]), scores[:, 1:] - scores[:, :1], atol=1e-5)


def test_new_items_alone_are_ranked_as_the_model_recommends_them(rng):
    model = EASE(2.0).fit(sparse.csr_matrix(rng.random((40, 6)) < 0.4))
    ranking = combine(generated(model, HISTORIES), HISTORIES)
    items, _ = model.recommend(HISTORIES, k=4)
    np.testing.assert_array_equal(np.argsort(-ranking, axis=1, kind="stable")[:, :4], items)
    assert not ranking[HISTORIES.toarray() > 0].any()


@pytest.mark.parametrize(
    ("repeat", "first"),
    [
        (0.0, [0.2, 0, 0.4, 0, 0.3, 0.1]),
        (0.25, [0.15, 0.1875, 0.3, 0.0625, 0.225, 0.075]),
        (1.0, [0, 0.75, 0, 0.25, 0, 0]),
    ],
)
def test_the_mixture_by_hand(repeat, first):
    ranking = combine(BEHAVIOUR, HISTORIES, repeat)
    np.testing.assert_allclose(ranking[0], first, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(ranking.sum(axis=1), 1, rtol=1e-12)


def test_the_arguments_stay_as_they_were():
    behaviour, data = BEHAVIOUR.copy(), HISTORIES.data.copy()
    combine(behaviour, HISTORIES, 0.5)
    np.testing.assert_array_equal(behaviour, BEHAVIOUR)
    np.testing.assert_array_equal(HISTORIES.data, data)


def test_bad_arguments_are_named():
    for repeat in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="share between 0 and 1"):
            combine(BEHAVIOUR, HISTORIES, repeat)
    with pytest.raises(ValueError, match=r"behaviour: want the shape of histories, \(2, 6\), got \(1, 6\)"):
        combine(BEHAVIOUR[:1], HISTORIES)
    with pytest.raises(ValueError, match="at least one click"):
        combine(BEHAVIOUR, sparse.csr_matrix((2, 6)))
    with pytest.raises(ValueError, match="new"):
        combine(BEHAVIOUR, sparse.csr_matrix(np.ones((2, 6))))
