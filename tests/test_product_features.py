"""Product features: n-grams and bands, their generator, and items that nobody has yet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse, stats

from minigen.application import cold_items
from minigen.application.feature_generator import FeatureGenerator, Features, feature_nll_forward
from minigen.application.item_features import name_ngrams, ngrams, price_bands
from minigen.data import HeldOut, Split
from minigen.errors import InputError
from minigen.recommender import MultVAE

THINGS = ("bag", "lantern", "teacup", "cushion", "doorstop", "garland", "apron", "clock")
COLOURS = ("red", "blue", "green", "pink", "ivory", "black", "white", "orange")
NAMES = [f"{colour} {thing}" for thing in THINGS for colour in COLOURS]
N_ITEMS = len(NAMES)


@pytest.fixture(scope="module")
def features() -> Features:
    """64 items: a thing in a colour; the band is the thing's."""
    grams, _ = name_ngrams(NAMES, 256)
    return Features(grams, np.repeat(np.arange(8), 8), 8)


def people(n, seed):
    """Whoever likes a thing has five of eight colours of it, and one item else."""
    rng = np.random.default_rng(seed)
    dense = np.zeros((n, N_ITEMS), dtype=np.float32)
    for row in dense:
        row[8 * rng.integers(8) + rng.choice(8, 5, replace=False)] = 1
        row[rng.integers(N_ITEMS)] = 1
    return sparse.csr_matrix(dense)


def vae(seed=0):
    return MultVAE(hidden=24, latent=6, epochs=25, batch=50, lr=5e-3, dropout=0.3, patience=0, seed=seed)


@pytest.fixture(scope="module")
def trained(features):
    train = people(400, 0)
    model = vae().fit(train)
    return model, FeatureGenerator(epochs=60, lr=1e-2, batch=50).fit(model, train, features)


def test_ngrams_are_words_pairs_and_beginnings():
    found = ngrams("Set of 3 RED Retrospot-Bags")
    assert {"red", "retrospot", "bags", "red retrospot", "retrospot bags", "retro~", "bag~"} <= set(found)
    assert "3" not in found
    assert "bag~" in ngrams("bags") and "bag" in ngrams("bag")  # noqa: PT018 - one claim
    assert ngrams("") == []


def test_hashed_ngrams_are_ones_and_the_same_everywhere():
    features, words = name_ngrams(["red bag", "RED BAG!", "blue bag", ""], 64)
    assert set(features.data.tolist()) == {1.0}
    assert (features[0] != features[1]).nnz == 0
    both = features[0].multiply(features[2]).nnz
    assert 0 < both < features[0].nnz
    assert features[3].nnz == 0
    assert {"red", "bag"} <= set(words)
    crowded, words = name_ngrams(["red red bag"], 1)
    assert crowded.toarray().tolist() == [[1.0]]
    assert len(words) == 1


def test_bands_have_like_sizes_and_an_edge_belongs_above():
    prices = np.array([1.0, 2, 3, 4, 5, 6, 7, 8])
    band, edges = price_bands(prices, 4)
    np.testing.assert_array_equal(np.bincount(band), 2)
    assert price_bands(edges, 4)[0].shape == edges.shape
    np.testing.assert_array_equal(np.searchsorted(edges, edges, side="right"), [1, 2, 3])
    assert set(price_bands(np.ones(5), 4)[0].tolist()) == {1}  # all prices alike: one band
    with pytest.raises(ValueError, match="a number for each"):
        price_bands(np.array([1.0, np.nan]))


def test_the_loss_is_the_mean_over_products_of_their_log_probability(rng, features):
    """Shares of products give the same number as the products one by one."""
    params = {"w0": rng.standard_normal((3, 264)), "b0": rng.standard_normal(264)}
    z, items = rng.standard_normal((1, 3)), [2, 9, 50]
    share = sparse.csr_matrix((np.full(3, 1 / 3), items, [0, 3]), shape=(1, N_ITEMS))
    grams, bands = (sparse.csr_matrix(share @ part) for part in (features.grams, features.bands()))
    for part in (grams, bands):
        part.sort_indices()
    loss, _ = feature_nll_forward(params, z, grams, bands)
    logits = (z @ params["w0"] + params["b0"])[0]
    p = 1 / (1 + np.exp(-logits[:256]))
    q = np.exp(logits[256:]) / np.exp(logits[256:]).sum()
    one = [
        -stats.bernoulli.logpmf(features.grams[i].toarray()[0], p).sum() - np.log(q[features.band[i]])
        for i in items
    ]
    assert loss == pytest.approx(np.mean(one), rel=1e-9)


def test_at_first_it_generates_the_catalogue(features):
    """Without any training step nobody's code says anything but what all items are like."""
    base = features.base()
    generator = FeatureGenerator()
    generator.base, generator.n_grams = base, 256
    generator.params = {"w0": np.zeros((6, 264), np.float32), "b0": base}
    z = np.ones((2, 6), np.float32)
    assert not generator.lift(z, features).any()
    bits, band = generator.draw(np.ones((20_000, 6), np.float32), np.random.default_rng(0))
    rate = np.asarray(features.grams.mean(axis=0)).ravel()
    assert np.abs(bits.mean(axis=0) - rate).max() < 0.02
    np.testing.assert_allclose(np.bincount(band, minlength=8) / 20_000, 0.125, atol=0.02)


def test_lift_is_the_ratio_of_likelihoods_but_for_what_all_items_share(trained, features):
    model, generator = trained
    z = model.codes(people(3, 9))
    logits = generator.logits(z).astype(float)

    def log_p(row):
        p = 1 / (1 + np.exp(-row[:256]))
        q = row[256:] - np.logaddexp.reduce(row[256:])
        bits = features.grams.toarray()
        return (bits * np.log(p) + (1 - bits) * np.log1p(-p)).sum(axis=1) + q[features.band]

    wanted = np.array([log_p(row) - log_p(generator.base.astype(float)) for row in logits])
    off = generator.lift(z, features, power=0.0) - wanted
    np.testing.assert_allclose(off - off[:, :1], 0, atol=1e-3)


def test_a_person_of_bags_is_given_words_and_price_of_bags(trained, features):
    model, generator = trained
    bags = sparse.csr_matrix(np.repeat([[1.0, 0]], [4, 60], axis=1).astype(np.float32))
    lift = generator.lift(model.codes(bags), features)[0]
    assert set(np.argsort(-lift)[:8].tolist()) == set(range(8))
    bits, band = generator.draw(np.repeat(model.codes(bags), 200, axis=0), np.random.default_rng(1))
    assert np.mean(band == 0) > 0.6
    nearest = (features.grams @ bits.T.astype(np.float32)).argmax(axis=0)
    assert np.mean(nearest < 8) > 0.6


def test_training_is_seeded_and_leaves_the_model_alone(trained, features):
    model, _ = trained
    before = {name: array.copy() for name, array in model.params.items()}
    one, two, other = (
        FeatureGenerator(hidden=5, epochs=2, seed=s).fit(model, people(60, 3), features) for s in (0, 0, 1)
    )
    for name in one.params:
        np.testing.assert_array_equal(one.params[name], two.params[name])
    assert (one.params["w0"] != other.params["w0"]).any()
    for name, array in before.items():
        np.testing.assert_array_equal(model.params[name], array)


def test_simple_ways_by_hand(features):
    warm = np.arange(58)
    simple = cold_items.ColdItems(features, warm, np.arange(58))
    rest = features.of(np.arange(58, 64))  # clocks but for red and blue ones
    np.testing.assert_allclose(simple.band_popularity(rest), 56.5)  # of clocks 56 and 57
    cos = simple.cosines(rest)
    assert cos[0].argmax() in (56, 57)
    histories = sparse.csr_matrix(np.eye(58, dtype=np.float32)[[56]])
    np.testing.assert_allclose(simple.neighbours(histories, rest, 2.0)[0], cos[:, 56] ** 2, rtol=1e-5)
    near = np.argsort(-cos[0], kind="stable")[:20]
    mean = (cos[0][near] * near).sum() / cos[0][near].sum()
    assert simple.neighbour_popularity(rest)[0] == pytest.approx(mean, rel=1e-5)
    np.testing.assert_allclose(cold_items.standard(np.array([[1.0, 3], [2, 2]])), [[-1, 1], [0, 0]])


def test_items_are_divided_once_and_held_out_ones_are_never_trained_on():
    warm, first, second = cold_items.split_items(50, seed=3)
    assert (len(first), len(second)) == (5, 5)
    assert sorted([*warm, *first, *second]) == list(range(50))
    with pytest.raises(InputError, match="too few"):
        cold_items.split_items(4, 0)


def held_out(seed):
    """People of whose items three of ten are hidden."""
    whole = people(80, seed)
    rng = np.random.default_rng(seed)
    hidden = rng.random(whole.nnz) < 0.3
    target, shown = whole.copy(), whole.copy()
    target.data, shown.data = hidden.astype(np.float32), (~hidden).astype(np.float32)
    for part in (target, shown):
        part.eliminate_zeros()
    return HeldOut(shown, target, [f"{seed}-{n}" for n in range(80)])


def shop():
    """People of the 64 items, and others to choose and to measure by."""
    return Split("t", people(400, 0), [str(n) for n in range(400)], NAMES, held_out(1), held_out(2))


def test_cold_items_are_found_by_what_they_are(features):
    split = shop()
    seen = []

    class Watched(MultVAE):
        def fit(self, train_rows, *args, **kwargs):
            seen.append(train_rows.shape[1])
            return super().fit(train_rows, *args, **kwargs)

    def make(seed):
        return Watched(**vae(seed).settings)

    found = cold_items.run(split, features, make, seed=0, hidden=(0,))
    assert seen == [N_ITEMS - 12]
    mean = {name: figures.ndcg.mean() for name, figures in found.cold.items()}
    assert mean[cold_items.GENERATOR] > mean["chance"] + 0.1
    assert mean[cold_items.KNN] > mean["popularity of the price band"]
    assert found.warm[cold_items.GENERATOR].ndcg.mean() > found.warm["popularity"].ndcg.mean()
    assert found.chosen["hidden"] == 0
    with pytest.raises(InputError, match="no validation users"):
        cold_items.run(replace(split, validation=None), features, make, seed=0)
