"""What was touched before, lifted by a gain for each behaviour: the most likely one for what came next."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import logsumexp
from test_behaviours import ITEMS, SMALL, actions

from minigen.application.uncertainty import sample_scores
from minigen.data.interactions import HeldOut
from minigen.ladder import BehaviourVAE, load_model
from minigen.ladder.blocks import best_gains, lift


def test_gains_are_the_most_likely_ones(rng):
    """Against a minimiser that knows nothing of the derivatives, over dense arrays."""
    n, k, m = 9, 2, 11
    scores = rng.standard_normal((n, m))
    dense = (rng.random((n, k + 1, m)) < 0.3).astype(float)
    target = np.zeros_like(dense)
    target[:, k] = (rng.random((n, m)) < 0.3) & (dense[:, k] == 0)
    histories, wanted = (sparse.csr_matrix(x.reshape(n, -1)) for x in (dense, target))

    def cost(gains):
        logits = scores + np.einsum("b,ubi->ui", gains, dense[:, :k])
        logits = np.where(dense[:, k] > 0, -np.inf, logits)
        log_p = logits - logsumexp(logits, axis=1, keepdims=True)
        return -(target[:, k] * np.where(target[:, k] > 0, log_p, 0)).sum() + 5e-4 * gains @ gains

    halves = [(scores[part], histories[part], wanted[part]) for part in (slice(0, 4), slice(4, n))]
    found = best_gains(halves, k)
    assert found == pytest.approx(minimize(cost, np.zeros(k), method="Nelder-Mead", tol=1e-12).x, abs=1e-5)
    lifted = scores.copy()
    lift(lifted, histories, found)
    assert lifted == pytest.approx(scores + np.einsum("b,ubi->ui", found, dense[:, :k]))


def test_what_people_take_next_of_what_they_have_viewed_sets_the_gain(tmp_path):
    rows = actions(200, seed=5)
    shown = rows.toarray().reshape(200, 3, ITEMS)
    bought, shown[:, 2] = shown[:, 2].copy(), 0  # all that is bought has been viewed
    target = np.zeros_like(shown)
    target[:, 2] = bought
    held = HeldOut(
        *(sparse.csr_matrix(x.reshape(200, -1)) for x in (shown, target)), [str(n) for n in range(200)]
    )
    model = BehaviourVAE(**SMALL).fit(rows, held, run=tmp_path / "run")
    assert model.params["gain"].min() > 1
    again = load_model(tmp_path / "run")
    np.testing.assert_array_equal(again.params["gain"], model.params["gain"])
    viewed = np.zeros((1, 24), np.float32)
    viewed[0, [0, 2]] = 1
    items, _ = model.recommend(sparse.csr_matrix(viewed), k=2)
    assert set(items[0]) == {16, 18}
    assert BehaviourVAE(**SMALL).fit(rows).params["gain"].tolist() == [0, 0]


def test_a_drawn_code_stands_beside_the_same_history():
    model = BehaviourVAE(**SMALL | {"epochs": 1}).fit(actions())
    rows = actions(5, seed=3)
    plain = sample_scores(model, rows, np.random.default_rng(0))
    model.params["gain"] = np.array([30, 0], np.float32)
    lifted = sample_scores(model, rows, np.random.default_rng(0))
    np.testing.assert_allclose(
        lifted[:, 16:] - plain[:, 16:], 30 * rows.toarray()[:, :ITEMS], rtol=0, atol=1e-4
    )
