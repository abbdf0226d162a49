"""The recommenders: what they learn, whom they can recommend to, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from minigen.data.interactions import HeldOut, Split
from minigen.errors import InputError
from minigen.evaluation.evaluate import evaluate
from minigen.ladder import MODELS, load_model
from minigen.recommender import EASE, MultVAE, Popularity, SeedVAE, baselines
from minigen.recommender.lookup import history_of_items, history_of_user
from minigen.recommender.runs import merged_training, read_split, write_split
from minigen.schedules import cosine_decay

N_GROUPS, GROUP = 4, 8


def grouped(n_users: int, seed: int) -> sparse.csr_matrix:
    """Users who love one of four groups of eight items: five clicks there, one anywhere."""
    rng = np.random.default_rng(seed)
    dense = np.zeros((n_users, N_GROUPS * GROUP), dtype=np.float32)
    for row in dense:
        start = GROUP * rng.integers(N_GROUPS)
        row[start + rng.choice(GROUP, 5, replace=False)] = 1
        row[rng.integers(row.size)] = 1
    return sparse.csr_matrix(dense)


def split_of_groups() -> Split:
    train, whole = grouped(300, 0), grouped(60, 1)
    target = sparse.lil_matrix(whole.shape, dtype=np.float32)
    fold_in = whole.tolil()
    for user in range(whole.shape[0]):
        found = whole.indices[whole.indptr[user]]
        target[user, found], fold_in[user, found] = 1, 0
    held = HeldOut(fold_in.tocsr(), target.tocsr(), [f"h{n}" for n in range(60)])
    items = [f"{n:03d}" for n in range(train.shape[1])]
    names = {item: f"Product {int(item)}" for item in items}
    return Split("groups", train, [f"t{n}" for n in range(300)], items, None, held, names)


FAST = {"hidden": 32, "latent": 8, "batch": 50, "epochs": 30, "patience": 0, "dropout": 0.3}


def small(name: str, epochs: int) -> dict[str, int]:
    """Settings of a short training, where there is any: those of these that the model has."""
    wanted = {"epochs": epochs, "hidden": 8, "latent": 3} if MODELS[name].family == "generative" else {}
    return {key: value for key, value in wanted.items() if key in MODELS[name]().settings}


@pytest.fixture(scope="module")
def split() -> Split:
    return split_of_groups()


@pytest.mark.parametrize(
    "model",
    [
        EASE(l2=10.0),
        MultVAE(**FAST, lr=5e-3),
        MultVAE(**FAST | {"hidden": 0}, lr=5e-3),
        SeedVAE(**FAST | {"dropout": 0.0, "lr": 0.05, "epochs": 60}),
    ],
)
def test_learns_what_popularity_cannot_know(model, split):
    baseline = evaluate(Popularity().fit(split.train), split.test, ("recall@8",)).mean("recall@8")
    learnt = evaluate(model.fit(split.train), split.test, ("recall@8",)).mean("recall@8")
    assert learnt > 1.8 * baseline


def test_mult_vae_loss_is_nll_plus_annealed_beta_kl(split):
    model = MultVAE(**FAST | {"epochs": 4, "beta": 0.3, "anneal_epochs": 2}).fit(split.train)
    steps = -(-300 // 50)
    betas = [min(0.3, 0.3 * step / (2 * steps)) for step in range(4 * steps)]
    for row in model.state.history:
        first = (row["epoch"] - 1) * steps
        assert row["beta"] == pytest.approx(np.mean(betas[first : first + steps]))
    last = model.state.history[-1]
    assert last["loss"] == pytest.approx(last["nll"] + 0.3 * last["kl"], rel=1e-6)


def test_ease_solves_each_column_as_a_ridge_without_the_item_itself(split):
    x, l2 = split.train.toarray().astype(float), 7.0
    weights = EASE(l2=l2).fit(split.train).params["weights"]
    assert np.all(np.diag(weights) == 0)
    for item in (0, 5, 31):
        others = np.delete(np.arange(x.shape[1]), item)
        ridge = np.linalg.solve(
            x[:, others].T @ x[:, others] + l2 * np.eye(len(others)), x[:, others].T @ x[:, item]
        )
        np.testing.assert_allclose(weights[others, item], ridge, atol=1e-6)


def test_ease_of_a_large_catalogue_is_the_same_in_float32(split, monkeypatch):
    exact = EASE(l2=7.0).fit(split.train)
    monkeypatch.setattr(baselines, "_DOUBLE", 0)
    monkeypatch.setattr(baselines, "_BLOCK", 7)  # the blocks do not divide the catalogue
    difference = EASE(l2=7.0).fit(split.train).params["weights"] - exact.params["weights"]
    assert 0 < np.abs(difference).max() < 1e-5


def test_ease_refuses_a_catalogue_that_memory_cannot_hold():
    with pytest.raises(InputError, match=r"needs [\d.]+ GiB .* are free"):
        EASE().fit(sparse.csr_matrix((2, 5_000_000), dtype=np.float32))


def test_seed_and_settings_fix_every_weight(split):
    one, two = (MultVAE(**FAST | {"epochs": 2}).fit(split.train) for _ in range(2))
    for name in one.params:
        np.testing.assert_array_equal(one.params[name], two.params[name])


@pytest.mark.parametrize("name", list(MODELS))
def test_fit_recommend_save_load(name, split, tmp_path):
    model = MODELS[name](**small(name, epochs=2)).fit(split.train)
    items, scores = model.recommend(split.test.fold_in, k=10)
    assert items.shape == scores.shape == (60, 10)
    assert np.all(np.diff(scores, axis=1) <= 0)
    seen = split.test.fold_in.toarray() > 0
    assert not np.take_along_axis(seen, items, axis=1).any()
    model.save(tmp_path / "run")
    again = load_model(tmp_path / "run")
    assert (type(again), again.settings) == (type(model), model.settings)
    np.testing.assert_array_equal(again.recommend(split.test.fold_in, k=10)[0], items)


def test_recommend_refuses_what_it_cannot_answer(split):
    model = Popularity().fit(split.train)
    one = split.test.fold_in[:1]
    with pytest.raises(InputError, match="call fit or load first"):
        Popularity().recommend(one)
    for k in (0, 33):
        with pytest.raises(InputError, match="want 1 to 32"):
            model.recommend(one, k=k)
    with pytest.raises(InputError, match="history 0 is empty"):
        model.recommend(sparse.csr_matrix((1, 32), dtype=np.float32))
    with pytest.raises(InputError, match="have 5 items, the model 32"):
        model.recommend(sparse.csr_matrix(np.ones((1, 5), dtype=np.float32)))


def test_recommend_pads_where_too_few_items_are_left(split):
    nearly_all = np.ones((1, 32), dtype=np.float32)
    nearly_all[0, [3, 9]] = 0
    items, scores = Popularity().fit(split.train).recommend(sparse.csr_matrix(nearly_all), k=5)
    assert [*sorted(items[0, :2]), *items[0, 2:]] == [3, 9, -1, -1, -1]
    assert np.all(np.isneginf(scores[0, 2:]))


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden": -1},
        {"lr_schedule": "steps"},
        {"dropout": 1.0},
        {"beta": float("nan")},
        {"lr": -1.0},
        {"momentum": 0.9},
        {"optimizer": "rmsprop"},
        {"activation": "gelu"},
        {"likelihood": "poisson"},
        {"depth": 3},
    ],
)
def test_a_bad_setting_is_named(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        MultVAE(**settings)


def test_run_data_survives_the_round_trip_and_notices_damage(split, tmp_path):
    write_split(tmp_path, split)
    again = read_split(tmp_path)
    assert again.hash == split.hash
    assert (again.items, again.item_names, again.test.users) == (
        split.items,
        split.item_names,
        split.test.users,
    )
    text = (tmp_path / "ids.json").read_text()
    (tmp_path / "ids.json").write_text(text.replace('"t0"', '"t0x"'))
    with pytest.raises(InputError, match="hash"):
        read_split(tmp_path)
    (tmp_path / "ids.json").write_text(text.replace('"t0", ', ""))
    with pytest.raises(InputError, match="damaged"):
        read_split(tmp_path)


def test_histories_of_known_users_and_of_items_by_id_or_name(split):
    np.testing.assert_array_equal(history_of_user(split, "h3").indices, split.test.fold_in[3].indices)
    np.testing.assert_array_equal(history_of_user(split, "t7").indices, split.train[7].indices)
    np.testing.assert_array_equal(history_of_items(split, ["product 4", "009"]).indices, [4, 9])
    with pytest.raises(InputError, match=r"does not know the user 'h999'; the nearest are 'h"):
        history_of_user(split, "h999")
    with pytest.raises(InputError, match=r"does not know the item 'Product 3x'; the nearest are 'Product 3"):
        history_of_items(split, ["Product 3x"])
    with pytest.raises(InputError, match="history is empty"):
        history_of_items(split, [])


def test_merged_training_puts_validation_clicks_back_and_keeps_people_held_out(split):
    target = split.train[:20].copy()
    target.data = (np.arange(target.nnz) % 3 == 0).astype(np.float32)
    target.eliminate_zeros()
    rest = split.train.tolil()
    for row, column in zip(*target.nonzero()):
        rest[row, column] = 0
    fold_in = rest.tocsr()[:20]
    cut = Split(
        "weak",
        rest.tocsr(),
        split.train_users,
        split.items,
        HeldOut(fold_in, target, split.train_users[:20]),
        split.test,
    )
    assert (merged_training(cut).train != split.train).nnz == 0
    strangers = Split("s", split.train, split.train_users, split.items, split.test, split.test)
    with pytest.raises(InputError, match="not in training"):
        merged_training(strangers)


@pytest.mark.parametrize("name", list(MODELS))
def test_repeated_and_zero_entries_of_a_matrix_change_nothing_but_their_sum(name, split):
    settings = small(name, epochs=1)
    whole, half = split.train, split.train.data / 2
    twice = np.repeat(np.arange(whole.nnz), 2)  # every click stands there as two halves
    halves = sparse.csr_matrix((half[twice], whole.indices[twice], 2 * whole.indptr), shape=whole.shape)
    assert not halves.has_canonical_format
    one, two = (MODELS[name](**settings).fit(x) for x in (whole, halves))
    for key, array in one.params.items():
        np.testing.assert_array_equal(array, two.params[key])


def test_without_hidden_layers_scores_are_linear_in_the_clicks(rng, split):
    model = MultVAE(hidden=0, latent=4, epochs=1, batch=8, normalise=False).fit(split.train)
    assert set(model.params) == {"w_mu", "b_mu", "w_log_var", "b_log_var", "w_out", "b_out"}
    one, other = (sparse.csr_matrix(rng.integers(1, 3, (3, model.n_items)).astype(np.float32)) for _ in "ab")
    together, apart = model.score(one + other), model.score(one) + model.score(other)
    np.testing.assert_allclose(together, apart - model.score(0 * one), 1e-4, 1e-5)


def test_a_cosine_takes_the_step_to_zero(split):
    fitted = MultVAE(**FAST | {"lr": 0.01, "lr_schedule": "cosine", "epochs": 5}).fit(split.train)
    n = 5 * fitted._steps_per_epoch
    assert fitted.optimizers["all"].lr == pytest.approx(cosine_decay(n - 1, n, 0.01))
    assert 0 < fitted.optimizers["all"].lr < 0.005
    kept = MultVAE(**FAST | {"lr": 0.01, "epochs": 5}).fit(split.train)
    assert kept.optimizers["all"].lr == 0.01
