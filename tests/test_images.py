"""Images: the embedded set, idx files in every wrapping, ten files of digits, and files that lie."""

from __future__ import annotations

import gzip
import importlib.util
import lzma
import os
from pathlib import Path

import numpy as np
import pytest

from minigen.data.images import EMBEDDED, load_images, read_digits, read_idx, read_images, write_idx
from minigen.errors import InputError

DATA = Path(os.environ.get("MINIGEN_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
PARTS = {"train": 12, "t10k": 5}


@pytest.fixture
def folder(tmp_path, rng):
    """A small set in the layout of MNIST, images 4 x 3."""
    for part, n in PARTS.items():
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (n, 4, 3)).astype(np.uint8))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", np.arange(n, dtype=np.uint8))
    return tmp_path


def test_the_embedded_set_is_what_its_readme_says():
    images = read_images("fashion-mnist")
    assert images.train.shape == (12_000, 28, 28)
    assert images.test.shape == (2000, 28, 28)
    np.testing.assert_array_equal(np.bincount(images.train_labels), [1200] * 10)
    np.testing.assert_array_equal(np.bincount(images.test_labels), [200] * 10)
    assert sum(file.stat().st_size for file in EMBEDDED.iterdir() if file.is_file()) < 6e6
    assert {"LICENSE", "README.md", "build.py"} <= {file.name for file in EMBEDDED.iterdir()}


def test_rows_are_float32_in_0_to_1(folder):
    vectors = load_images(str(folder))
    assert vectors.shape == (4, 3)
    assert vectors.train.shape == (12, 12)
    assert vectors.train.dtype == np.float32
    whole = read_images(folder)
    np.testing.assert_allclose(vectors.test.reshape(5, 4, 3) * 255, whole.test, atol=1e-4)
    assert 0 <= vectors.train.min() < vectors.train.max() <= 1


@pytest.mark.parametrize("end, pack", [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_packed_files_are_the_same(folder, end, pack):
    before = read_images(folder)
    for file in list(folder.iterdir()):
        file.with_name(file.name + end).write_bytes(pack(file.read_bytes()))
        file.unlink()
    after = read_images(folder)
    for name in ("train", "train_labels", "test", "test_labels"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


def test_the_build_script_keeps_the_first_of_each_class_in_order(tmp_path, monkeypatch):
    labels = np.repeat(np.arange(10), 3)[np.random.default_rng(0).permutation(30)].astype(np.uint8)
    (tmp_path / "out").mkdir()
    for part in PARTS:
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", np.arange(30, dtype=np.uint8).reshape(30, 1, 1))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", labels)
    spec = importlib.util.spec_from_file_location("build_fashion", EMBEDDED / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "TRAIN", 2)
    monkeypatch.setattr(module, "TEST", 1)
    module.build(tmp_path, tmp_path / "out")
    kept = read_images(tmp_path / "out")
    wanted = sorted(n for label in range(10) for n in np.flatnonzero(labels == label)[:2])
    np.testing.assert_array_equal(kept.train.ravel(), wanted)
    np.testing.assert_array_equal(kept.train_labels, labels[wanted])
    assert len(kept.test) == 10


@pytest.fixture
def digits(tmp_path, rng):
    """Ten files: 4 images of each digit, one of them a test image, and 2 rows of other digits."""
    images = rng.integers(0, 256, (10, 4, 12)).astype(np.uint8)
    for digit in range(10):
        other = rng.integers(0, 256, (2, 12)).astype(np.uint8)
        y = np.array([[0.0]] * 4 + [[1.0]] * 2)
        np.savez(tmp_path / f"mnist{digit}.npz", x=np.concatenate([images[digit], other]), y=y)
    write_idx(tmp_path / "t10k-images-idx3-ubyte", images[:, 1].reshape(10, 4, 3))
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.arange(10, dtype=np.uint8))
    return tmp_path, images


def test_digits_without_the_test_images_are_the_training_set(digits):
    folder, images = digits
    whole = read_images(folder)
    assert whole.train.shape == (30, 4, 3)
    np.testing.assert_array_equal(np.bincount(whole.train_labels), [3] * 10)
    assert (np.diff(whole.train_labels.astype(int)) < 0).any()  # not digit by digit
    for image, label in zip(whole.train.reshape(30, 12), whole.train_labels):
        assert any((image == wanted).all() for wanted in images[label][[0, 2, 3]])


def test_a_test_image_that_is_no_digit_is_told(digits):
    folder, _ = digits
    with pytest.raises(InputError, match="1 of the test images are not among those of the ten digits"):
        read_digits(folder, np.zeros((1, 4, 3), np.uint8))


def _idx(sizes, data=b""):
    return bytes([0, 0, 8, len(sizes)]) + np.array(sizes, ">u4").tobytes() + data


@pytest.mark.parametrize(
    "content, told",
    [
        (b"", "is not an idx file of unsigned bytes"),
        (b"\x89PNG....", "is not an idx file of unsigned bytes"),
        (b"\x00\x00\x0d\x01" + b"\x00" * 8, "is not an idx file of unsigned bytes"),
        (b"\x00\x00\x08\x00", "is not an idx file of unsigned bytes"),
        (_idx([2, 3])[:-2], "its head is damaged, or it is larger"),
        (_idx([2**32 - 1, 2**32 - 1, 2**32 - 1]), "its head is damaged, or it is larger"),
        (_idx([2, 3], b"12345"), "want 6 bytes of data, got 5"),
        (_idx([2, 3], b"1234567"), "want 6 bytes of data, got more"),
    ],
)
@pytest.mark.parametrize("end, pack", [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)])
def test_a_file_that_lies_is_one_clear_line(tmp_path, content, told, end, pack):
    path = tmp_path / f"x{end}"
    path.write_bytes(pack(content))
    with pytest.raises(InputError, match=told) as error:
        read_idx(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("end, pack", [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_a_damaged_archive_is_one_clear_line(tmp_path, end, pack):
    whole = pack(_idx([300], bytes(300)))
    path = tmp_path / f"x{end}"
    for broken in (whole[:-5], whole[:15], b"no archive", whole[:12] + b"\xff" * 8 + whole[20:]):
        path.write_bytes(broken)
        with pytest.raises(InputError) as error:
            read_idx(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(_idx([3]) + bytes(50_000_000)))
    with pytest.raises(InputError, match="want 3 bytes of data, got more"):
        read_idx(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x80\x04].", b"\x93NUMPY\x01\x00"])
def test_a_damaged_digit_is_one_clear_line(digits, content):
    folder, _ = digits
    (folder / "mnist3.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"mnist3.npz: is no zip archive, or is damaged"):
        read_images(folder)


def test_digits_of_another_form_are_told(digits):
    folder, _ = digits
    np.savez(folder / "mnist3.npz", x=np.zeros((2, 12)), y=np.zeros((2, 1)))
    with pytest.raises(InputError, match=r"mnist3.npz: want x \(N, 12\) of uint8"):
        read_images(folder)
    np.savez(folder / "mnist3.npz", x=np.zeros((2, 12), np.uint8))
    with pytest.raises(InputError, match=r"mnist3.npz is damaged, or lacks x or y"):
        read_images(folder)
    np.savez(folder / "mnist3.npz", x=np.array([{}]), y=np.zeros((1, 1)))
    with pytest.raises(InputError, match=r"mnist3.npz is damaged, or lacks x or y"):
        read_images(folder)
    (folder / "mnist3.npz").unlink()
    with pytest.raises(InputError, match=r"mnist3.npz: no such file"):
        read_images(folder)


def test_parts_must_be_there_and_fit(folder):
    with pytest.raises(InputError, match="there are no images 'nowhere'"):
        read_images("nowhere")
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(3, np.uint8))
    with pytest.raises(InputError, match="12 train images, and 3 labels"):
        read_images(folder)
    write_idx(folder / "t10k-images-idx3-ubyte", np.zeros((5, 2, 2), np.uint8))
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(12, np.uint8))
    with pytest.raises(InputError, match="train and t10k have images of different sizes"):
        read_images(folder)
    write_idx(folder / "t10k-images-idx3-ubyte", np.zeros((5, 4), np.uint8))
    with pytest.raises(InputError, match="want t10k images of three dimensions and labels of one"):
        read_images(folder)
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match=r"has no file t10k-labels-idx1-ubyte, bare, \.gz or \.xz"):
        read_images(folder)


def test_mnist_itself():
    if not (DATA / "mnist").is_dir():
        pytest.skip("MNIST is not at hand: set MINIGEN_DATA to the folder that holds mnist")
    images = read_images(DATA / "mnist")
    assert images.train.shape == (60_000, 28, 28)
    assert images.test.shape == (10_000, 28, 28)
    published = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    np.testing.assert_array_equal(np.bincount(images.train_labels), published)
