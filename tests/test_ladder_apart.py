"""A linear path and a decoder that learn apart: the decoder is Mult-VAE, the gain is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from test_ladder_linear import TINY
from test_training import SMALL, clicks, held_out

from minigen.errors import InputError
from minigen.evaluation.evaluate import evaluate
from minigen.ladder import EDLAE, LinearVAE, linear_vae, load_model
from minigen.ladder.linear_path import log_shares_forward
from minigen.recommender import MultVAE, autoencoder


def test_apart_the_decoder_is_mult_vae_and_validation_chooses_the_gain(tmp_path):
    rows, held = clicks(), held_out()
    settings = TINY | {"joint": False, "path": "spectral", "patience": 0}
    model = LinearVAE(**settings).fit(rows, held, run=tmp_path / "run")
    alone = MultVAE(**SMALL | {"patience": 0}).fit(rows, held)
    for name, array in alone.params.items():
        np.testing.assert_array_equal(model.params[name], array, err_msg=name)
    scores = {}
    for gain in linear_vae.GAINS:
        tried = LinearVAE(**settings | {"gain": gain}).fit(rows)
        scores[gain] = evaluate(tried, held, ("ndcg@30",)).mean("ndcg@30")
    assert scores[model.chosen["gain"]] == max(scores.values()) > min(scores.values())
    assert model.chosen == {"epochs": model.state.best_epoch, "gain": float(model.params["gain"][0])}
    again = load_model(tmp_path / "run")
    np.testing.assert_array_equal(again.params["gain"], model.params["gain"])


def test_a_path_that_nobody_can_be_left_out_of_joins_a_decoder_that_learnt_alone():
    settings = TINY | {"path": "edlae", "path_locality": 1.7}
    with pytest.raises(InputError, match=r"^joint: want false with path=edlae"):
        LinearVAE(**settings)
    model = LinearVAE(**settings, joint=False).fit(clicks(), held_out())
    path = EDLAE(l2=settings["path_l2"], locality=1.7).fit(clicks())
    np.testing.assert_array_equal(model.path.score(clicks()), path.score(clicks()))
    said, _ = log_shares_forward(path.score(clicks()))
    alone = MultVAE(**SMALL)
    alone.params = {name: model.params[name] for name in autoencoder.shapes(30, 8, 5)}
    np.testing.assert_allclose(
        model.score(clicks()), alone.score(clicks()) + model.params["gain"] * said, rtol=1e-5, atol=1e-5
    )
