"""Synthetic users: sequences of a chain, histories of a decoder, and reports that tell true from made up."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, stats
from test_recommender import FAST, grouped, split_of_groups

from minigen.errors import InputError
from minigen.recommender import EASE, MultVAE, SeedVAE
from minigen.synthetic import fidelity, privacy
from minigen.synthetic.chain import (
    EARLIER,
    NEW,
    SAME,
    distances,
    generate,
    ks_distance,
    portrait,
    read_portraits,
    together,
    write_portraits,
)
from minigen.synthetic.users import _without_replacement, csr_of, sample_users

VIEW, CART, BUY = 0, 1, 2
ONE = [(VIEW, 4), (CART, 4), (VIEW, 2), (BUY, 4), (CART, 2)]


def test_a_portrait_counts_moves_triples_and_orders():
    found = portrait([ONE, [(VIEW, 1)]], 3)
    moves = {tuple(place): found.moves[tuple(place)] for place in np.argwhere(found.moves)}
    assert moves == {
        (3, NEW, VIEW): 2,
        (VIEW, SAME, CART): 1,
        (CART, NEW, VIEW): 1,
        (VIEW, EARLIER + CART, BUY): 1,
        (BUY, EARLIER + VIEW, CART): 1,
    }
    assert found.triples[VIEW, CART, VIEW] == found.triples[CART, VIEW, BUY] == 1
    assert found.triples.sum() == 3
    assert found.after.tolist() == [[0, 2, 1], [0, 0, 1], [0, 0, 0]]
    assert found.items.tolist() == [3, 2, 1]
    assert found.lengths.tolist() == [5, 1]
    assert found.chain[VIEW].sum() == 1
    assert found.chain[VIEW, SAME, CART] == 0.5


def shoppers(n: int, seed: int) -> list[list[tuple[int, int]]]:
    """View; with .5 the same into the cart; sometimes buy what is in the cart."""
    rng = np.random.default_rng(seed)
    people = []
    for _ in range(n):
        person, cart = [], []
        for item in rng.permutation(12)[: rng.integers(2, 9)]:
            person.append((VIEW, int(item)))
            if rng.random() < 0.5:
                person.append((CART, int(item)))
                cart.append(int(item))
            if cart and rng.random() < 0.3:
                person.append((BUY, cart.pop()))
        people.append(person)
    return people


def test_generated_sequences_have_the_moves_triples_and_orders_of_real_ones(rng):
    real = portrait(shoppers(3000, 0), 3)
    logits = rng.standard_normal((3, 12))
    made = [generate(real.chain, logits, len(s), rng) for s in shoppers(3000, 1)]
    assert all(len(set(sequence)) == len(sequence) for sequence in made)  # nothing twice
    found, among_real = distances(portrait(made, 3), real), distances(portrait(shoppers(3000, 1), 3), real)
    assert among_real["moves"] < found["moves"] < 0.03  # of twelve items, views run out near the end
    assert found["triples"] < 0.06
    assert found["orders"] < 0.05
    shuffled = [[s[n] for n in rng.permutation(len(s))] for s in made]
    far = distances(portrait(shuffled, 3), real)
    assert far["orders"] > 0.3
    assert far["triples"] > 2 * found["triples"]


def test_items_of_a_sequence_follow_the_heads(rng):
    chain = portrait(shoppers(300, 0), 3).chain
    logits = np.zeros((3, 12))
    logits[VIEW, :3] = 4
    first = [generate(chain, logits, 1, rng)[0] for _ in range(600)]
    assert {behaviour for behaviour, _ in first} == {VIEW}
    share = np.mean([item < 3 for _, item in first])
    wanted = 3 * np.exp(4) / (3 * np.exp(4) + 9)
    assert share == pytest.approx(wanted, abs=4 * np.sqrt(wanted * (1 - wanted) / 600))


def test_a_history_is_continued_and_an_exhausted_catalogue_ends(rng):
    chain = portrait(shoppers(300, 0), 3).chain
    done = np.zeros((3, 4), dtype=bool)
    done[VIEW] = done[CART, :2] = True
    done[BUY, 0] = True
    sequence = generate(chain, np.zeros((3, 4)), 50, rng, done)
    assert not {(b, i) for b, i in sequence} & set(zip(*np.nonzero(done)))
    assert len(sequence) < 9
    assert csr_of([sequence], 12, 3).nnz == len(sequence)


def test_portraits_survive_the_round_trip(tmp_path):
    assert read_portraits(tmp_path) is None
    people = shoppers(40, 0)
    write_portraits(tmp_path, people, 3)
    both = together(*read_portraits(tmp_path))
    for name, array in portrait(people, 3)._asdict().items():
        np.testing.assert_array_equal(np.sort(getattr(both, name), axis=0), np.sort(array, axis=0))
    (tmp_path / "sequences.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="damaged"):
        read_portraits(tmp_path)


@pytest.fixture(scope="module")
def trained():
    split = split_of_groups()
    return MultVAE(**FAST | {"beta": 1.0, "anneal_epochs": 0, "epochs": 60}, lr=5e-3).fit(split.train), split


@pytest.mark.parametrize("source", ["prior", "posterior"])
def test_sampled_histories_have_the_sizes_and_the_groups_of_real_ones(source, trained, rng):
    model, split = trained
    made = sample_users(model, split, 400, rng, source).rows
    assert made.shape == (400, 32)
    assert (made.data == 1).all()
    sizes = np.bincount(np.diff(split.train.indptr)) / split.train.shape[0]
    assert ks_distance(np.diff(made.indptr), np.diff(split.train.indptr)) < 0.1
    assert sizes.argmax() == np.bincount(np.diff(made.indptr)).argmax()
    in_group = [np.bincount(row.indices // 8, minlength=4).max() / row.nnz for row in made]
    by_chance = [np.bincount(rng.integers(4, size=6), minlength=4).max() / 6 for _ in range(400)]
    assert np.mean(in_group) > np.mean(by_chance) + 0.1


def test_items_come_one_by_one_by_the_softmax_of_those_left(rng):
    p = np.array([0.5, 0.3, 0.15, 0.05])
    logits = np.tile(np.log(p), (4000, 1))
    one = _without_replacement(logits, np.ones(4000, int), rng)
    assert one.mean(axis=0) == pytest.approx(p, abs=0.03)
    two = _without_replacement(logits, np.full(4000, 2), rng)
    assert (two.sum(axis=1) == 2).all()
    second = [sum(p[j] * p[i] / (1 - p[j]) for j in range(4) if j != i) for i in range(4)]
    assert two.mean(axis=0) == pytest.approx(p + second, abs=0.03)
    assert not _without_replacement(logits, np.zeros(4000, int), rng).any()


def test_people_like_somebody_have_that_taste(trained, rng):
    model, split = trained
    history = split.test.fold_in[:1]
    group = np.bincount(history.indices // 8, minlength=4).argmax()
    made = sample_users(model, split, 100, rng, history=history).rows
    shares = np.bincount(made.indices // 8, minlength=4) / made.nnz
    assert shares.argmax() == group


def test_a_fixed_seed_makes_the_same_people(trained):
    model, split = trained
    one, two = (sample_users(model, split, 20, np.random.default_rng(3)).rows for _ in range(2))
    np.testing.assert_array_equal(one.toarray(), two.toarray())


def test_what_cannot_generate_histories_is_refused(trained, rng):
    model, split = trained
    for other in (EASE().fit(split.train), SeedVAE(**FAST | {"epochs": 1, "dropout": 0.0}).fit(split.train)):
        with pytest.raises(InputError, match=f"{other.id} is no generator of histories"):
            sample_users(other, split, 5, rng)
    with pytest.raises(InputError, match="users: want at least 1, got 0"):
        sample_users(model, split, 0, rng)
    with pytest.raises(InputError, match="no source 'dream'; there are prior, posterior"):
        sample_users(model, split, 5, rng, "dream")


def test_distances_are_0_for_the_same_and_tell_shuffled_items_apart(rng):
    real, again = grouped(2000, 0), grouped(2000, 1)
    items = fidelity.popular_items(real)
    assert set(fidelity.distances(real, real, items).values()) == {0.0}
    near = fidelity.distances(again, real, items)
    shuffled = sparse.csr_matrix(np.stack([row[rng.permutation(32)] for row in again.toarray()]))
    far = fidelity.distances(shuffled, real, items)
    assert near["cooccurrence"] < 0.3 < far["cooccurrence"]
    assert far["lengths"] == near["lengths"] < 0.05
    assert max(near["popularity"], far["popularity"]) < 0.1  # every item is as popular as any other
    a, b = rng.standard_normal(50), 0.5 + rng.standard_normal(70)
    assert ks_distance(a, b) == pytest.approx(stats.ks_2samp(a, b).statistic)


def test_nearest_is_the_largest_jaccard_likeness(monkeypatch):
    monkeypatch.setattr(privacy, "_BLOCK", 7)
    a, b = grouped(20, 0), grouped(15, 1)
    sets = [[set(row.indices.tolist()) for row in x] for x in (a, b)]
    wanted = [max(len(one & other) / len(one | other) for other in sets[1]) for one in sets[0]]
    assert privacy.nearest(a, b) == pytest.approx(wanted)
    assert privacy.nearest(b, b) == pytest.approx(np.ones(15))


def test_membership_is_the_area_under_the_curve(rng):
    members, others = rng.integers(0, 5, 300) + 1.0, rng.integers(0, 5, 200).astype(float)
    attack = privacy.membership(members, others)
    u = stats.mannwhitneyu(members, others).statistic / (300 * 200)
    assert attack.auc == pytest.approx(u)
    draws = [privacy.membership(rng.choice(members, 300), rng.choice(others, 200)).auc for _ in range(400)]
    assert attack.se == pytest.approx(np.std(draws), rel=0.2)


def test_copies_of_training_users_are_given_away(trained):
    _, split = trained
    held = sparse.csr_matrix(split.test.fold_in + split.test.target)
    attack = privacy.membership(privacy.nearest(split.train, split.train), privacy.nearest(held, split.train))
    assert attack.auc > 0.95
