"""Makes the four files of this folder again from the published ones; run: python build.py FOLDER [OUT]."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from minigen.data.images import read_images, write_idx

HERE = Path(__file__).parent
TRAIN, TEST = 1200, 200  # of each of the ten classes


def build(original: Path, out: Path = HERE) -> None:
    """Keep the first images of each class, in the order in which they stand."""
    whole = read_images(original)
    for part, images, labels, each in (
        ("train", whole.train, whole.train_labels, TRAIN),
        ("t10k", whole.test, whole.test_labels, TEST),
    ):
        kept = np.sort(np.concatenate([np.flatnonzero(labels == label)[:each] for label in range(10)]))
        write_idx(out / f"{part}-images-idx3-ubyte.xz", images[kept])
        write_idx(out / f"{part}-labels-idx1-ubyte.xz", labels[kept])


if __name__ == "__main__":
    build(*map(Path, sys.argv[1:3]))
