"""`minigen generate`: pictures, figures and a run that can be resumed; one clear line for bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minigen.cli.generate import generate, plan_runs
from minigen.cli.pictures import tile
from minigen.data.vectors import Vectors
from minigen.errors import InputError, Interrupted
from minigen.gan_training import GAN

TINY = ["hidden=8", "epochs=2", "batch=2560"]


def made(model="gan", **options):
    options = {"data": "ring", "settings": TINY, "vary": None, "seed": 0, "seeds": 1} | options
    generate(model, **{"resume": False, "checkpoint_seconds": 60.0, "json": None} | options)


@pytest.mark.parametrize("model", ["gan", "wgan-gp"])
def test_a_run_leaves_pictures_and_figures(model, tmp_path):
    made(model, out=tmp_path / "run", json=tmp_path / "rows.json")
    assert (tmp_path / "run" / "samples.png").read_bytes().startswith(b"\x89PNG")
    gif = (tmp_path / "run" / "training.gif").read_bytes()
    assert gif.startswith(b"GIF8")
    assert b"NETSCAPE2.0" in gif  # it moves
    document = json.loads((tmp_path / "rows.json").read_text())
    (row,) = document["rows"]
    assert (document["command"], row["model"], row["family"]) == ("generate", model, "generative")
    assert row["metrics"]["of"] == 8
    assert 0.4 < row["metrics"]["nn_accuracy_real"] < 0.6
    assert document["provenance"]["data_hash"] == document["settings"]["data_hash"]


def test_one_row_for_each_value(tmp_path):
    made(out=tmp_path, vary="loss=minimax,non-saturating", json=tmp_path / "rows.json")
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [row["settings"]["loss"] for row in rows] == ["minimax", "non-saturating"]
    assert (tmp_path / "loss=minimax" / "samples.png").exists()


def test_runs_are_values_times_seeds():
    runs = plan_runs("gan", ["hidden=9"], "loss=minimax,non-saturating", seed=4, seeds=2)
    assert [folder for folder, _ in runs] == [
        f"loss={loss}/seed-{seed}" for loss in ("minimax", "non-saturating") for seed in (4, 5)
    ]
    assert runs[3][1] == {"hidden": 9, "loss": "non-saturating", "seed": 5}
    assert plan_runs("gan", [], None, seed=4, seeds=1) == [("", {"seed": 4})]


def test_images_get_traversals_and_their_own_defaults(tmp_path, monkeypatch, rng):
    x = rng.random((400, 20), dtype=np.float32)
    monkeypatch.setattr(
        "minigen.data.vectors.load_vectors", lambda source: Vectors(source, x[:300], x[300:], (4, 5))
    )
    made(data="tiny", out=tmp_path, settings=["epochs=1"], json=tmp_path / "rows.json")
    (row,) = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert row["settings"]["latent"] == GAN.images.latent
    assert set(row["metrics"]) == {"nn_accuracy", "nn_accuracy_real", "mmd", "mmd_real"}
    for name in ("samples.png", "traversals.png", "training.gif"):
        assert (tmp_path / name).stat().st_size > 1000


def test_a_stopped_run_goes_on_to_the_same_samples(tmp_path, monkeypatch):
    made(out=tmp_path / "whole")

    step = GAN.train_step

    def stop(self, rows, rng, number):
        if number == 15:
            raise KeyboardInterrupt
        return step(self, rows, rng, number)

    monkeypatch.setattr(GAN, "train_step", stop)
    with pytest.raises(Interrupted, match="add --resume to go on"):
        made(out=tmp_path / "cut", checkpoint_seconds=0)
    monkeypatch.undo()
    made(out=tmp_path / "cut", checkpoint_seconds=0, resume=True)
    frames = [np.load(tmp_path / name / "frames" / "00002.npy") for name in ("whole", "cut")]
    assert np.array_equal(*frames)
    with pytest.raises(InputError, match="holds a run already: resume it, or choose another folder"):
        made(out=tmp_path / "cut")
    with pytest.raises(InputError, match="was made with another settings"):
        made(out=tmp_path / "cut", settings=["hidden=9"], resume=True)


def test_numbers_of_a_file(tmp_path, rng):
    np.savetxt(tmp_path / "x.csv", rng.standard_normal((300, 3)), delimiter=",")
    made(data=str(tmp_path / "x.csv"), out=tmp_path / "run", settings=["hidden=8", "epochs=1"])
    assert (tmp_path / "run" / "samples.png").exists()


@pytest.mark.parametrize(
    "options, line",
    [
        ({"model": "pixelcnn"}, "there is no model 'pixelcnn' to generate with; there are gan, wgan-gp"),
        ({"settings": ["width=3"]}, "gan has no setting 'width'"),
        ({"settings": ["hidden=0"]}, "hidden: want at least 1, got 0"),
        ({"vary": "loss=minimax,hinge"}, "loss: want minimax or non-saturating, got hinge"),
        ({"data": "spiral"}, "spiral: no such file, nor one of ring, grid, fashion-mnist"),
        ({"seeds": 0}, "--seeds: want at least 1, got 0"),
    ],
)
def test_bad_input_is_refused_before_any_work(options, line, tmp_path):
    with pytest.raises(InputError, match=line):
        made(out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["mine.npy", "00009.npy"])
def test_a_file_among_the_frames_that_is_none_is_told_before_training(name, tmp_path):
    (tmp_path / "run" / "frames").mkdir(parents=True)
    (tmp_path / "run" / "frames" / name).write_text("mine")
    with pytest.raises(InputError, match=f"{name} is no frame of an animation"):
        made(out=tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["frames"]


def test_images_are_framed_side_by_side():
    rows = np.arange(16, dtype=float)[:, None] * np.ones(6) / 20
    picture = tile(rows, (2, 3))
    assert picture.shape == (2 * 3, 8 * 4)
    assert np.array_equal(picture[1:3, 5:8], rows[1].reshape(2, 3))
    assert np.array_equal(picture[4:6, 1:4], rows[8].reshape(2, 3))
    assert (picture[0] == 1).all()
    assert tile(2 * np.ones((2, 5, 6)), (2, 3)).max() == 1
