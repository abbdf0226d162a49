"""Grey images in the idx format of MNIST, whole or in part: a folder of one's own, or the embedded set."""

from __future__ import annotations

import gzip
import lzma
import math
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from minigen.data.archives import open_zip
from minigen.data.vectors import Vectors
from minigen.errors import InputError

EMBEDDED = Path(__file__).parent / "sets" / "fashion_mnist"
FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
_OPEN: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
_BYTES = 0x08  # the idx code of unsigned bytes
_LARGEST = 2**31  # bytes of one file
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)  # what a damaged archive raises


@dataclass(frozen=True)
class Images:
    """Images (N, H, W) and labels (N,), all uint8, in a training and a test part."""

    name: str
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def load_images(source: str) -> Vectors:
    """The images of `read_images` as rows in [0, 1], float32.  Raises InputError as it does."""
    images = read_images(source)
    train, test = (
        (part.reshape(len(part), -1) / np.float32(255)).astype(np.float32)
        for part in (images.train, images.test)
    )
    height, width = images.train.shape[1:]
    return Vectors(images.name, train, test, (height, width))


def read_images(source: str | Path) -> Images:
    """The embedded set, called "fashion-mnist", or a folder in the layout of MNIST.

    The folder holds train-images-idx3-ubyte, train-labels-idx1-ubyte and the two of t10k, bare, .gz or .xz;
    or, in place of the training images, mnist0.npz ... mnist9.npz, see `read_digits`.
    Raises InputError for a missing or damaged file.
    """
    folder = EMBEDDED if str(source) == "fashion-mnist" else Path(source)
    if not folder.is_dir():
        raise InputError(f"there are no images {str(source)!r}: want fashion-mnist or a folder of idx files")
    test, test_labels = _part(folder, "t10k")
    if _find(folder, "train-images-idx3-ubyte") is None and (folder / "mnist0.npz").exists():
        train, train_labels = read_digits(folder, test)
    else:
        train, train_labels = _part(folder, "train")
    if train.shape[1:] != test.shape[1:]:
        raise InputError(f"{folder}: train and t10k have images of different sizes")
    return Images(
        "fashion-mnist" if folder == EMBEDDED else folder.name, train, train_labels, test, test_labels
    )


def read_idx(path: Path) -> np.ndarray:
    """One idx file of unsigned bytes, of any number of dimensions; .gz and .xz are unpacked.

    Raises InputError where it is missing, damaged, or longer or shorter than it says.
    """
    try:
        with _OPEN.get(path.suffix, open)(path, "rb") as file:
            return _parse_idx(path, file)
    except _BROKEN as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot read {path}: {reason}") from None


def read_digits(folder: Path, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The training images and labels, from files mnist0.npz to mnist9.npz without the images of `test`.

    Each holds x (N, 784), uint8, and y (N, 1), which is 0 for every image of its digit, of both parts; the
    other rows are other digits.  The order of the training set is lost: they come in one drawn once for all.
    Raises InputError where a file is missing or not of this form.
    """
    held_out = Counter(image.tobytes() for image in test)
    parts, labels = [], []
    for digit in range(10):
        images = _of_digit(folder / f"mnist{digit}.npz", math.prod(test.shape[1:]))
        keep = np.empty(len(images), bool)
        for n, image in enumerate(images):
            key = image.tobytes()
            keep[n] = held_out[key] == 0
            held_out[key] -= not keep[n]
        parts.append(images[keep])
        labels.append(np.full(len(parts[-1]), digit, np.uint8))
    if missing := sum(held_out.values()):
        raise InputError(f"{folder}: {missing} of the test images are not among those of the ten digits")
    images, names = np.concatenate(parts), np.concatenate(labels)
    order = np.random.default_rng(0).permutation(len(images))
    return images[order].reshape(-1, *test.shape[1:]), names[order]


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write unsigned bytes as an idx file, packed if the name ends in .xz."""
    header = bytes([0, 0, _BYTES, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    data = header + np.ascontiguousarray(array, np.uint8).tobytes()
    path.write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME) if path.suffix == ".xz" else data)


def _part(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = (_idx_of(folder, f"{name}-{what}-ubyte") for what in ("images-idx3", "labels-idx1"))
    if images.ndim != 3 or labels.ndim != 1 or not images.size:
        raise InputError(f"{folder}: want {name} images of three dimensions and labels of one")
    if len(images) != len(labels):
        raise InputError(f"{folder}: {len(images)} {name} images, and {len(labels)} labels")
    return images, labels


def _idx_of(folder: Path, name: str) -> np.ndarray:
    path = _find(folder, name)
    if path is None:
        raise InputError(f"{folder} has no file {name}, bare, .gz or .xz")
    return read_idx(path)


def _find(folder: Path, name: str) -> Path | None:
    return next((p for end in ("", *_OPEN) if (p := folder / f"{name}{end}").is_file()), None)


def _parse_idx(path: Path, file: IO[Any]) -> np.ndarray:
    head = file.read(4)
    if len(head) < 4 or head[:3] != bytes([0, 0, _BYTES]) or not head[3]:
        raise InputError(f"{path} is not an idx file of unsigned bytes")
    shape = file.read(4 * head[3])
    sizes = np.frombuffer(shape[: len(shape) // 4 * 4], ">u4").tolist()
    size = math.prod(sizes)
    if len(sizes) < head[3] or size > _LARGEST:
        raise InputError(f"{path}: its head is damaged, or it is larger than {_LARGEST} bytes")
    data = file.read(size + 1)  # no more than it says: an archive may unpack to anything
    if len(data) != size:
        raise InputError(
            f"{path}: want {size} bytes of data, got {'more' if len(data) > size else len(data)}"
        )
    return np.frombuffer(data, np.uint8).reshape(sizes)


def _of_digit(path: Path, pixels: int) -> np.ndarray:
    with open_zip(path), np.load(path, allow_pickle=False) as archive:
        try:
            x, y = archive["x"], archive["y"]
        except (ValueError, KeyError, TypeError, AttributeError, MemoryError) as error:
            raise InputError(f"{path} is damaged, or lacks x or y: {error}") from None
    if x.dtype != np.uint8 or x.shape != (y.size, pixels):
        raise InputError(f"{path}: want x (N, {pixels}) of uint8 and y (N, 1), got {x.shape} and {y.shape}")
    return x[y.reshape(-1) == 0]
