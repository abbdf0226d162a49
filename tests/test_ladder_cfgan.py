"""CFGAN: what its players see, who of them moves, what it learns, and the same bytes after a stop."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from test_recommender import grouped
from test_training import StopError, clicks, held_out, stop_at

from minigen.cli.settings import parse_settings
from minigen.data.interactions import HeldOut, Split
from minigen.errors import InputError
from minigen.evaluation.evaluate import evaluate
from minigen.gradcheck.differences import five_point
from minigen.ladder import CFGAN, cfgan_model, load_model
from minigen.ladder.cfgan import draw_places, nearest
from minigen.ladder.numba_cfgan import _adam
from minigen.ops.sparse import with_data
from minigen.recommender import Popularity

SMALL = {"hidden": 12, "hidden_d": 7, "batch_g": 8, "batch_d": 16, "epochs": 6, "patience": 0, "lr_g": 3e-3}
BOTH = pytest.mark.parametrize("rows", ["items", "users"])


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def known(n_users: int = 120) -> Split:
    """People of four groups: five of their clicks are trained on, the sixth is to be found again."""
    whole = grouped(n_users, seed=0)
    target = sparse.csr_matrix(whole.shape, dtype=np.float32).tolil()
    train = whole.tolil()
    for user, start in enumerate(whole.indptr[:-1]):
        found = whole.indices[start + user % 3]
        target[user, found], train[user, found] = 1, 0
    users, items = ([f"{n}" for n in range(size)] for size in whole.shape)
    held = HeldOut(train.tocsr(), target.tocsr(), users)
    return Split("groups", train.tocsr(), users, items, None, held)


def test_places_are_drawn_anew_without_replacement_among_those_without_a_click(rng):
    free = rng.random((40, 90)) < rng.random((40, 1))
    one, other = (draw_places(free, 0.7, rng) for _ in range(2))
    assert one.dtype == np.float32
    assert set(np.unique(one)) == {0, 1}
    assert not (one * ~free).any()
    np.testing.assert_array_equal(one.sum(axis=1), [n * 7 // 10 for n in free.sum(axis=1)])
    assert (one != other).any(axis=1).mean() > 0.8
    assert not draw_places(free, 0, rng).any()
    np.testing.assert_array_equal(draw_places(free, 1, rng), free)
    often = np.mean([draw_places(free[:1], 0.7, rng) for _ in range(400)], axis=0)[free[:1]]
    assert abs(often - 0.7).max() < 0.15  # every place has the same chance; its spread is .023


def test_one_draw_serves_both_schemes_the_smaller_within_the_larger():
    def drawn(draws, **settings):
        model = CFGAN(**SMALL | {"draws": draws} | settings)
        model.start(clicks())
        zeros, mask = model._places(np.random.default_rng(0))
        return zeros > 0, (mask > 0) & model._free

    zeros, seen = drawn("one")
    np.testing.assert_array_equal(zeros, seen)
    zeros, seen = drawn("one", pm=0.3)
    assert seen.sum() < zeros.sum()
    assert not (seen & ~zeros).any()
    zeros, seen = drawn("two")
    assert (zeros & ~seen).any()
    assert (seen & ~zeros).any()


def test_a_history_is_served_as_the_person_most_like_it():
    x = clicks()
    np.testing.assert_array_equal(nearest(x, sparse.csr_matrix(x.T)), np.arange(x.shape[0]))
    part = x[7].copy()
    part.data[:2] = 0
    part.eliminate_zeros()
    assert nearest(part, sparse.csr_matrix(x.T)) == 7


def test_scores_are_what_g_says_of_the_items_people_or_of_a_history():
    x = clicks()
    for rows, g_sees in (("items", x.T.toarray()), ("users", x.toarray())):
        model = CFGAN(**SMALL | {"epochs": 1}, rows=rows).fit(x)
        g = cfgan_model.player(model.params, "g")
        y = sigmoid(g_sees @ g["w_in"] + g["b_in"]) @ g["w_out"] + g["b_out"]
        wanted = y.T if rows == "items" else y
        np.testing.assert_allclose(model.score(x[5:9]), wanted[5:9], rtol=1e-4, atol=1e-6)
        assert model.n_items == x.shape[1]
        assert model.codes(x[5:9]).shape == (4, 12)


def test_click_gradients_go_through_g(rng):
    x = clicks()[:4]
    model = CFGAN(**SMALL, rows="users").fit(clicks())
    model.params = {name: array.astype(np.float64) for name, array in model.params.items()}
    d_scores = rng.standard_normal((4, x.shape[1]))
    grad = model.click_gradient(x.astype(np.float64), d_scores)
    g = cfgan_model.player(model.params, "g")
    numeric = five_point(
        lambda data: cfgan_model.generate(g, with_data(x, data))[0], x.data.astype(np.float64), d_scores
    )
    np.testing.assert_allclose(grad.data, numeric, rtol=1e-7, atol=1e-12)
    fixed = CFGAN(**SMALL | {"epochs": 1}).fit(clicks())
    assert not fixed.click_gradient(x, d_scores).data.any()


def test_each_part_moves_whom_it_should():
    def moved(**settings):
        model = CFGAN(**SMALL | {"epochs": 1} | settings)
        model.start(clicks())
        before = {name: array.copy() for name, array in model.params.items()}
        logged = model.train_step(None, np.random.default_rng(0), 0)
        return {n for n, a in model.params.items() if not np.array_equal(before[n], a)}, logged

    g = {"g.w_in", "g.b_in", "g.w_out", "g.b_out"}
    d = {"d.w_condition", "d.w_data", "d.b_in", "d.w_out", "d.b_out"}
    assert moved()[0] == g | d
    assert moved(noise=3)[0] == g | d | {"g.w_noise"}
    for settings in ({"passes_d": 0}, {"gan": 0.0}):
        players, logged = moved(**settings)
        assert players == g
        assert set(logged) == {"loss"}


def test_an_epoch_is_ds_passes_then_gs_over_every_row(monkeypatch):
    seen = {"d": [], "g": []}

    def record(player):
        right = getattr(cfgan_model, f"{player}_forward")

        def forward(params, *args):
            x = args[0] if player == "discriminator" else args[1]
            turn = seen[player[0]]
            turn.append(x.toarray())
            if player == "generator":
                assert len(seen["d"]) == 2 * 2, "G before the end of D's passes"
                mask, zeros = args[2], args[3]
                np.testing.assert_array_equal(mask[x.toarray() > 0], 1)
                assert not zeros[x.toarray() > 0].any()
            else:
                assert (args[1] == 0).any(axis=1).all(), "a fake is not masked"
            return right(params, *args)

        monkeypatch.setattr(cfgan_model, f"{player}_forward", forward)

    record("discriminator")
    record("generator")
    x = clicks()  # 50 rows of 30 items
    model = CFGAN(**SMALL | {"batch_g": 8, "batch_d": 16})
    model.start(x)
    model.train_step(None, np.random.default_rng(0), 0)
    for player, passes, n_batches in (("d", 2, 2), ("g", 4, 4)):
        assert len(seen[player]) == passes * n_batches
        one = np.concatenate(seen[player][:n_batches])
        np.testing.assert_array_equal(np.sort(one.sum(axis=1)), np.sort(np.asarray(x.sum(axis=0)).ravel()))
        assert any(not np.array_equal(a, b) for a, b in zip(seen[player], seen[player][n_batches:]))


def test_without_an_adversary_nothing_but_squares_holds_g_up():
    x = clicks()
    settings = SMALL | {"epochs": 25, "gan": 0.0, "lr_g": 0.03}
    none, squares = (CFGAN(**settings, clicks=c).fit(x).score(x)[x.nonzero()].mean() for c in (0.0, 1.0))
    assert abs(none) < 0.05
    assert squares > 0.6


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("seconds", [0, 1e9])
@BOTH
def test_resume_after_a_stop_ends_in_the_same_bytes(step, seconds, rows, tmp_path):
    x, held, settings = clicks(), held_out(), SMALL | {"rows": rows, "noise": 2}
    whole = CFGAN(**settings).fit(x, held, run=tmp_path / "whole")
    with pytest.raises(StopError):
        CFGAN(**settings).fit(x, held, run=tmp_path / "cut", checkpoint_seconds=seconds, report=stop_at(step))
    resumed = CFGAN(**settings).fit(x, held, run=tmp_path / "cut", resume=True)
    assert resumed.state == whole.state
    for name, array in whole.params.items():
        assert array.tobytes() == resumed.params[name].tobytes(), name
    again = load_model(tmp_path / "cut")
    np.testing.assert_array_equal(again.score(x), whole.score(x))


@BOTH
def test_learns_what_popularity_cannot_know(rows):
    split = known()
    settings = SMALL | {"epochs": 12, "hidden": 24, "lr_g": 0.01, "lr_d": 3e-3}
    model = CFGAN(**settings, rows=rows).fit(split.train)
    baseline, reached = (
        evaluate(m, split.test, ("recall@8",)).mean("recall@8")
        for m in (Popularity().fit(split.train), model)
    )
    assert reached > 1.5 * baseline


@pytest.mark.kernels
@pytest.mark.parametrize(
    "settings",
    [{}, {"noise": 2}, {"gan": 0.0, "clicks": 0.4}, {"zr": 0.0, "pm": 1.0, "clicks": 0.3}, {"batch_g": 64}],
)
def test_the_numba_backend_takes_the_same_steps(settings):
    x = with_data(clicks(), np.random.default_rng(1).uniform(0.5, 2, clicks().nnz))
    ends = []
    for backend in ("numpy", "numba"):
        model = CFGAN(**SMALL | {"passes_g": 20, "l2_d": 0.1} | settings, backend=backend)
        model.start(x.astype(np.float32))
        model.params = {name: array.astype(np.float64) for name, array in model.params.items()}
        model._rows = model._rows.astype(np.float64)
        logged = [model.train_step(None, np.random.default_rng(n), n) for n in range(2)]
        ends.append((logged, model.params, model.optimizers["g"].arrays()))
    (logs, params, moments), (twin_logs, twin, twin_moments) = ends
    for one, other in zip(logs, twin_logs):
        assert one == pytest.approx(other, rel=1e-9)
    for wanted, got in ((params, twin), (moments, twin_moments)):
        for name, array in wanted.items():
            np.testing.assert_allclose(got[name], array, rtol=1e-6, atol=1e-11, err_msg=name)


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden": 0}, {"zr": 1.1}, {"pm": float("nan")}, {"alpha": -1.0}, {"lr_d": 0.0}, {"rows": "pairs"},
        {"backend": "cuda"}, {"noise": -1}, {"batch_g": 0}, {"depth": 2},
    ],
)  # fmt: skip
def test_a_bad_setting_is_named(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        CFGAN(**settings)


def test_settings_come_from_the_command_line_and_other_arrays_are_refused(tmp_path, monkeypatch):
    given = parse_settings(CFGAN, ["gan=0", "zr=.5", "rows=users", "passes_d=0"])
    assert given == {"gan": 0.0, "zr": 0.5, "rows": "users", "passes_d": 0}
    model = CFGAN(**SMALL | {"epochs": 1}).fit(clicks())
    for other in ({"hidden": 13}, {"rows": "users"}, {"noise": 1}):
        with pytest.raises(ValueError, match="other names or shapes"):
            CFGAN(**SMALL | other).restore(model.params)
    monkeypatch.setattr("minigen.recommender.baselines._available_memory", lambda: 10_000)
    with pytest.raises(InputError, match=r"CFGAN, whose masks are dense, on 30 items needs .* are free"):
        CFGAN(**SMALL).fit(clicks())


def test_the_norm_that_numba_sums_keeps_its_digits():
    w, zeros = np.full(2**19, 0.1, np.float32), [np.zeros(2**19, np.float32) for _ in range(3)]
    norm = _adam(w, *zeros, (1e-3, 1.0, 0.9, 0.999, 0.1, 0.001, 1e-8, 0.0), 1)
    assert norm == pytest.approx(2**19 * float(np.float32(0.1)) ** 2, rel=1e-5)
