"""The figures of a generative model: its samples against held-out rows, and real rows in their place."""

from __future__ import annotations

from collections.abc import Callable

from minigen.data.vectors import Vectors
from minigen.diagnose import mmd, mode_coverage, nearest_neighbour_accuracy
from minigen.typing import Array

N_COVERAGE, N_TWO_SAMPLE = 10_000, 1000


def measure_samples(draw: Callable[[int], Array], data: Vectors) -> dict[str, float]:
    """Modes covered and precision of a mixture; 1-NN accuracy and MMD of n samples against n held-out rows.

    `*_real`: the same figure for n rows of the training data in the samples' place.
    """
    figures: dict[str, float] = {}
    if data.mixture is not None:
        coverage = mode_coverage(draw(N_COVERAGE), *data.mixture)
        figures |= {"modes": coverage.covered, "of": coverage.modes, "precision": coverage.precision}
    n = min(N_TWO_SAMPLE, len(data.test), len(data.train))
    test, real, fake = data.test[:n], data.train[:n], draw(n)
    figures |= {
        "nn_accuracy": nearest_neighbour_accuracy(fake, test),
        "nn_accuracy_real": nearest_neighbour_accuracy(real, test),
        "mmd": mmd(fake, test),
        "mmd_real": mmd(real, test),
    }
    return figures
