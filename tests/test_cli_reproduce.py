"""`minigen reproduce`: what its commands print and write, where they stop and go on."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from minigen.cli import main
from minigen.cli.ledger import verdict
from minigen.cli.output import console
from minigen.data.published import Published
from minigen.reproduce import cfgan, iwae_mnist
from minigen.reproduce.cfgan import ALONE, FULL, METRICS, SQUARES, Difference


def run(*words, code=0):
    with pytest.raises(SystemExit) as stop:
        main(["reproduce", *map(str, words)])
    assert (stop.value.code or 0) == code


@pytest.fixture
def mnist(monkeypatch, rng, tmp_path):
    """The experiment of the IWAE paper on 120 pictures, with a step that trains nothing; gives its words."""
    images = rng.integers(0, 256, (120, 28, 28)).astype(np.uint8)

    class Idle(iwae_mnist.Experiment):
        def train_step(self, rows, rng, step):
            return {"loss": 9.5, "seconds": 1.0, "cpu_seconds": 1.0}

    monkeypatch.setattr(iwae_mnist, "training_images", lambda folder: (images, images[:30]))
    monkeypatch.setattr(iwae_mnist, "Experiment", Idle)
    monkeypatch.setattr(iwae_mnist, "nll_nats", lambda params, x, *_: np.linspace(86, 88, len(x)))
    folder = tmp_path / "run"
    return (
        "iwae-mnist",
        tmp_path,
        "--run",
        folder,
        "--stages",
        2,
        "--images",
        9,
        "--json",
        tmp_path / "r.json",
    )


def rows_of(folder):
    return json.loads((folder / "r.json").read_text("utf-8"))["rows"]


def test_a_run_stops_when_its_time_is_over_and_goes_on(mnist, tmp_path, capsys):
    run(*mnist, "--hours", 1e-9)
    said = capsys.readouterr().out
    (row,) = rows_of(tmp_path)
    assert (row["model"], row["images"], row["epochs_planned"]) == ("vae-k1", 9, 4)
    assert row["epochs"] < 2
    assert row["metrics"]["nll_nats"] == pytest.approx(87)
    assert "87.0000" in said
    run(*mnist[:-2], "--hours", 0)  # without a file: the same, and nothing trained
    assert capsys.readouterr().out == said
    assert rows_of(tmp_path) == [row]
    run(*mnist, "--resume")
    assert [one["epochs"] for one in rows_of(tmp_path)] == [row["epochs"], 4.0]


def test_ctrl_c_says_how_to_go_on(mnist, tmp_path, monkeypatch, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(iwae_mnist.Experiment, "train_step", stopped)
    run(*mnist, code=130)
    assert capsys.readouterr().err == f"minigen: interrupted; add --resume to go on with {tmp_path / 'run'}\n"
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize("words", [("--samples", 0), ("--images", 0)])
def test_nothing_to_measure_is_refused_before_any_training(words, mnist, tmp_path, capsys):
    run(*mnist, *words, code=2)
    assert capsys.readouterr().err == "minigen: --samples and --images: want at least 1\n"
    assert not (tmp_path / "run").exists()


def ledger_row(model, mean):
    figures = {"metrics": dict.fromkeys(METRICS, mean), "se": dict.fromkeys(METRICS, 0.002)}
    return {"model": model, "family": "generative", "users": 60, "seeds": [0, 1], **figures}


PUBLISHED = Published("groups", "CFGAN", dict.fromkeys(METRICS, 0.3), "Chae et al. 2018")


def test_the_verdict_counts_standard_errors_to_the_published_row():
    differences = {SQUARES: Difference(0.01, 0.004, 2), ALONE: Difference(-0.02, 0.003, 2)}
    ledger = SimpleNamespace(difference=lambda full, other: differences[other])
    above, _, squares, last = verdict(ledger, [ledger_row(FULL, 0.305)], [PUBLISHED])
    assert above == "precision@5: 2.5 standard errors above Chae et al. 2018"
    below, *_ = verdict(ledger, [ledger_row(FULL, 0.299)], [PUBLISHED])
    assert below == "precision@5: 0.5 standard errors below Chae et al. 2018"
    assert squares.startswith(
        "in the place of a squared error, it adds +0.0100 ± 0.0040 (N@20, paired over 60"
    )
    assert last.startswith("the adversary adds -0.0200 ± 0.0030")


def test_the_ledger_stands_beside_what_is_published(monkeypatch, tmp_path, capsys):
    """Without a file it is printed alone."""

    class Ledger:
        def __init__(self, split, runs, seeds, settings, watch):
            self.split, self.watch = split, watch

        def rows(self):
            with self.watch("one, seed 0", 7):
                yield [ledger_row(FULL, 0.305)]
            yield [ledger_row(FULL, 0.305), ledger_row(ALONE, 0.2)]

        def difference(self, full, other):
            return Difference(0.1, 0.01, 2)

    monkeypatch.setattr(cfgan, "Ledger", Ledger)
    monkeypatch.setattr("minigen.data.protocols.recognise", lambda work: SimpleNamespace(name="groups"))
    monkeypatch.setattr("minigen.data.published.PUBLISHED", (PUBLISHED,))
    (tmp_path / "A.train").write_text("0 7 3.0\n1 8 1.0\n")
    (tmp_path / "A.test").write_text("0 8 3.0\n")
    monkeypatch.setattr(console, "width", 200)
    run("cfgan", tmp_path)
    said = capsys.readouterr().out
    assert said.startswith("one, seed 0: at most 7 epochs\n")
    assert "0.3050 ± 0.0020" in said
    published = ["CFGAN,", "Chae", "et", "al.", "2018", *["0.300"] * len(METRICS)]
    assert published in [line.split() for line in said.splitlines()]
    assert said.splitlines()[-1].startswith("the adversary adds +0.1000 ± 0.0100")
    assert {path.name for path in tmp_path.iterdir()} == {"A.train", "A.test"}
