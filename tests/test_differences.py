"""What a hybrid adds to its own linear path, where it is trained and measured."""

from __future__ import annotations

import numpy as np
import pytest
from test_training import clicks, held_out

from minigen.cli import work
from minigen.evaluation.bootstrap import paired_bootstrap
from minigen.evaluation.evaluate import evaluate
from minigen.ladder import LinearVAE
from minigen.recommender import EASE

TINY = {"hidden": 12, "latent": 5, "batch": 16, "epochs": 3, "patience": 0, "path_l2": 3.0}


def test_the_row_of_a_hybrid_says_what_its_decoder_adds_to_its_path():
    model, held = LinearVAE(**TINY).fit(clicks()), held_out()
    row = work.measure(model, held, "ndcg@10,recall@5")
    alone = evaluate(EASE(3.0).fit(clicks()), held, ("ndcg@10", "recall@5"))
    for name in ("ndcg@10", "recall@5"):
        assert row["path"][name] == pytest.approx(alone.mean(name))
        assert row["differences"][name]["difference"] == pytest.approx(
            row["metrics"][name] - row["path"][name]
        )
    own = evaluate(model, held, ("ndcg@10",)).per_user["ndcg@10"]
    wanted = paired_bootstrap(own, alone.per_user["ndcg@10"])
    assert row["differences"]["ndcg@10"] == pytest.approx(wanted._asdict())


def test_a_decoder_that_says_nothing_adds_nothing():
    model = LinearVAE(**TINY).fit(clicks())
    for name in ("w_out", "b_out"):
        model.params[name][:] = 0
    row = work.measure(model, held_out(), "ndcg@10")
    assert row["differences"]["ndcg@10"]["difference"] == 0


def test_models_without_a_path_have_no_such_row():
    row = work.measure(EASE(3.0).fit(clicks()), held_out(), "ndcg@10")
    assert not {"path", "differences"} & set(row)
    assert np.isfinite(row["metrics"]["ndcg@10"])
