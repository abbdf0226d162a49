"""Measures of samples: what they say of samples whose quality is known."""

from __future__ import annotations

import numpy as np
import pytest

from minigen.data.toy import ring
from minigen.data.vectors import load_vectors
from minigen.diagnose import mmd, mode_coverage, nearest_neighbour_accuracy
from minigen.errors import InputError
from minigen.evaluation.samples import measure_samples


def test_exact_samples_cover_every_mode(rng):
    mixture = ring()
    found = mode_coverage(mixture.sample(20_000, rng), *mixture)
    assert (found.covered, found.modes) == (8, 8)
    assert found.precision == pytest.approx(1 - np.exp(-4.5), abs=0.004)
    assert found.counts.sum() == round(found.precision * 20_000)


def test_a_collapsed_sample_is_precise_and_covers_one(rng):
    mixture = ring()
    collapsed = mixture.centres[[3] * 1000] + mixture.std * rng.standard_normal((1000, 2))
    found = mode_coverage(collapsed, *mixture)
    assert found.covered == 1
    assert found.counts[3] > 970


def test_three_standard_deviations_is_the_border():
    centre, std = np.zeros((1, 2)), 0.5
    x = np.array([[1.499, 0.0], [1.501, 0.0], [1.2, 1.2]])
    assert mode_coverage(x, centre, std).counts.tolist() == [1]


def test_a_few_stray_samples_do_not_cover_a_mode():
    centres = np.array([[0.0, 0.0], [9.0, 0.0]])
    x = np.repeat(centres, [991, 9], axis=0)
    assert mode_coverage(x, centres, 0.1).covered == 1  # 9 of the 500 that are its due
    assert mode_coverage(x, centres, 0.1, share=0.01).covered == 2


def test_two_samples_of_one_kind_cannot_be_told_apart(rng):
    x, y = rng.standard_normal((2, 1500, 3))
    assert nearest_neighbour_accuracy(x, y) == pytest.approx(0.5, abs=0.04)
    assert abs(mmd(x, y)) < 0.002


def test_two_kinds_can(rng):
    x, y = rng.standard_normal((2, 300, 3))
    assert nearest_neighbour_accuracy(x, y + 20) == 1.0
    assert mmd(x, y + 2) > 0.2
    assert mmd(x, 2 * y) > 0.01  # the same mean, another spread


def test_copies_of_the_data_fall_below_a_half(rng):
    x = rng.standard_normal((200, 3))
    assert nearest_neighbour_accuracy(x, x + 1e-6) == 0.0


def test_mmd_is_the_sum_that_defines_it_and_has_mean_0(rng):
    x, y = rng.standard_normal((5, 2)), rng.standard_normal((4, 2))
    rows = np.concatenate([x, y])
    distances = [np.linalg.norm(a - b) for i, a in enumerate(rows) for b in rows[:i]]
    k = lambda a, b: np.exp(-np.sum((a - b) ** 2) / (2 * np.median(distances) ** 2))  # noqa: E731
    within = [np.mean([k(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j]) for s in (x, y)]
    across = np.mean([k(a, b) for a in x for b in y])
    assert mmd(x, y) == pytest.approx(sum(within) - 2 * across, rel=1e-12)
    values = [mmd(*rng.standard_normal((2, 20, 2))) for _ in range(400)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


def test_what_cannot_be_compared_is_refused(rng):
    x = rng.standard_normal((5, 2))
    for measure in (mmd, nearest_neighbour_accuracy):
        with pytest.raises(InputError, match="want two sets of 2 rows or more of one length"):
            measure(x, x[:, :1])
        with pytest.raises(InputError, match="want two sets of 2 rows or more of one length"):
            measure(x, x[:1])
    with pytest.raises(InputError, match="as many samples as rows of data, got 5 and 4"):
        nearest_neighbour_accuracy(x, x[:4])
    with pytest.raises(InputError, match="the median distance is 0"):
        mmd(np.ones((5, 2)), np.ones((4, 2)))


def test_the_row_of_figures_shows_real_rows_beside(rng):
    data = load_vectors("ring")
    row = measure_samples(lambda n: data.mixture.sample(n, rng), data)
    assert (row["modes"], row["of"]) == (8, 8)
    assert row["nn_accuracy"] == pytest.approx(row["nn_accuracy_real"], abs=0.04)
    assert row["mmd"] == pytest.approx(row["mmd_real"], abs=0.002)


@pytest.mark.parametrize(
    "name, text, line",
    [
        ("a.csv", "1,2\n" * 5, "want 20 rows or more"),
        ("a.csv", "1,b\n" * 30, "want rows of numbers"),
        ("a.csv", "1,nan\n" * 30, "want finite numbers, of at most 3.4e"),
        ("a.npy", "no array", "want rows of numbers"),
        ("a.csv", "", "a.csv: is empty"),
        ("b.csv", None, "b.csv: no such file"),
    ],
)
def test_files_that_are_no_numbers(name, text, line, tmp_path):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=line):
        load_vectors(str(path))


def test_a_file_of_numbers_is_cut_once_for_all(rng, tmp_path):
    x = rng.standard_normal((200, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    data = load_vectors(str(tmp_path / "x.npy"))
    assert (data.train.shape, data.test.shape) == ((180, 3), (20, 3))
    assert np.array_equal(np.sort(np.concatenate([data.train, data.test]), axis=0), np.sort(x, axis=0))
    assert data.hash == load_vectors(str(tmp_path / "x.npy")).hash
