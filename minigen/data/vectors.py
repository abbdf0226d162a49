"""Rows of numbers to generate more of: mixtures in the plane, images, or a file of one's own."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np

from minigen.data.toy import MIXTURES, Mixture
from minigen.errors import InputError
from minigen.typing import Array

N_TRAIN, N_TEST = 25_600, 10_000  # draws from a mixture
HELD_OUT = 0.1  # of the rows of a file


@dataclass(frozen=True)
class Vectors:
    """Rows (N, D), float32, to train on and held out; images have a shape, draws from a mixture know it."""

    name: str
    train: Array
    test: Array
    shape: tuple[int, int] | None = None
    mixture: Mixture | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of the rows."""
        digest = hashlib.sha256()
        for part in (self.train, self.test):
            digest.update(repr(part.shape).encode() + np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    def describe(self) -> str:
        """One line about the data."""
        what = "numbers" if self.shape is None else f"pixels ({self.shape[0]} x {self.shape[1]})"
        return (
            f"{self.name}: {len(self.train):,} rows to train on, {len(self.test):,} held out, "
            f"{self.train.shape[1]} {what} each; hash {self.hash[:12]}"
        )


def load_vectors(source: str) -> Vectors:
    """The mixture called `source`, else the numbers of a .csv or .npy file, else images.

    Raises InputError for a file that cannot be used.
    """
    if source in MIXTURES:
        mixture, rng = MIXTURES[source](), np.random.default_rng(0)
        return Vectors(source, mixture.sample(N_TRAIN, rng), mixture.sample(N_TEST, rng), mixture=mixture)
    if Path(source).suffix in (".csv", ".npy"):
        return _of_file(Path(source))
    if source != "fashion-mnist" and not Path(source).exists():
        raise InputError(f"{source}: no such file, nor one of {', '.join(MIXTURES)}, fashion-mnist")
    from minigen.data.images import load_images

    return load_images(source)


def _of_file(path: Path) -> Vectors:
    if not path.is_file() or not path.stat().st_size:
        raise InputError(f"{path}: {'is empty' if path.is_file() else 'no such file'}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a header from Python 2, of a text without a row
            if path.suffix == ".npy":
                x = np.load(path, allow_pickle=False)
            else:
                x = np.loadtxt(path, delimiter=",", ndmin=2)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, EOFError, MemoryError, SyntaxError, TokenError) as error:
        raise InputError(f"{path}: want rows of numbers: {error}") from None
    if not isinstance(x, np.ndarray) or x.ndim != 2 or x.shape[1] < 2 or len(x) < 20:
        raise InputError(f"{path}: want 20 rows or more of 2 numbers or more, got {np.shape(x)}")
    if not np.issubdtype(x.dtype, np.number) or np.iscomplexobj(x):
        raise InputError(f"{path}: want numbers alone, got {x.dtype}")
    with np.errstate(over="ignore", under="ignore"):
        x = np.random.default_rng(0).permutation(x.astype(np.float32))
    if not np.isfinite(x).all():
        raise InputError(f"{path}: want finite numbers, of at most {np.finfo(np.float32).max:.3g}")
    n_test = max(2, int(HELD_OUT * len(x)))
    return Vectors(path.name, x[n_test:], x[:n_test])
