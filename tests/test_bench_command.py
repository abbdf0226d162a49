"""`minigen bench` from its words to its table, its picture and its file, on work that takes seconds."""

from __future__ import annotations

import json
import runpy
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from minigen.bench import growth, ladder, mult_vae, presets, race, table
from minigen.bench.presets import PRESETS, cases_of
from minigen.cli import main
from minigen.cli.bench import OTHERS
from minigen.reproduce import iwae_mnist


def run(*words, code=0):
    with pytest.raises(SystemExit) as stop:
        main(["bench", *words])
    assert (stop.value.code or 0) == code


def test_the_presets_are_listed_with_what_they_are(capsys):
    run("--preset", "list")
    said = " ".join(capsys.readouterr().out.split())
    for name in (*PRESETS, *OTHERS):
        assert name in said
    assert "registers, shared memory and spills" in said


OWN = {"command": "bench", "rows": [], "settings": {}, "provenance": {}}


@pytest.mark.parametrize(
    "document", [[], None, 3, {}, {"command": "bench"}, OWN | {"rows": [1]}, OWN | {"settings": [1]}]
)
def test_a_file_that_is_not_of_bench_is_refused_before_anything_is_timed(document, tmp_path, capsys):
    (tmp_path / "b.json").write_text(json.dumps(document))
    run("--preset", "cuda-kernels", "--json", str(tmp_path / "b.json"), code=2)
    assert "b.json: holds something else than what bench measured" in capsys.readouterr().err


def test_without_pytorch_a_race_against_it_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    run("--preset", "gan-ring", "--peer", "torch", code=2)
    assert capsys.readouterr().err == (
        "minigen: --peer torch: PyTorch is not here; pip install 'minigen[oracle]'\n"
    )


def test_a_race_prints_a_table_and_draws_its_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(race, "_TURN_SECONDS", 0.01)
    file, picture = tmp_path / "race.json", tmp_path / "race.png"
    words = ["--preset", "gan-ring", "--rounds", "3", "--threads", "1"]
    run(*words, "--json", str(file), "--plot", str(picture))
    (row,) = json.loads(file.read_text("utf-8"))["rows"]
    assert (row["op"], row["backend"], row["ratio"]) == ("gan_step", "numpy", 1)
    assert row["median_ms"] > 0
    assert f"{row['median_ms']:.3g}" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_growth_fits_exponents_and_draws_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(growth, "AXES", {"batch": (2, 40)})
    monkeypatch.setattr(growth, "_MOST", 3)
    file, picture = tmp_path / "growth.json", tmp_path / "growth.png"
    run("--preset", "growth", "--threads", "1", "--json", str(file), "--plot", str(picture))
    rows = json.loads(file.read_text("utf-8"))["rows"]
    assert [(row["backend"], row["size"]) for row in rows] == [
        (b, n) for b in ("numpy", "numba") for n in (2, 40)
    ]
    assert ["exponents" in row for row in rows] == [False, True] * 2
    assert f"{rows[1]['exponents']['median_ms']:.2f}" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("bits", [None, 512])
def test_the_ladder_prints_a_rung_a_line_and_draws_them(bits, tmp_path, monkeypatch, capsys):
    """How rungs are timed is tested beside them: here is what a person sees of it."""
    chosen, asked = [], {}
    rungs = [
        {"rung": rung, "size": size, "threads": 1, "median_ms": 2.5, "gflops": gflops, "ratio": gflops / 80}
        for size in (32, 64)
        for rung, gflops in (("matmul", 80.0), ("tiles", 60.0))
    ]
    rungs[1]["vector_bits"] = bits

    def timed(report, **options):
        asked.update(options)
        report(4, 4)
        return rungs

    monkeypatch.setattr(ladder, "ladder", timed)
    monkeypatch.setattr(ladder, "choose_vectors", chosen.append)
    file, picture = tmp_path / "ladder.json", tmp_path / "ladder.png"
    words = ["--vectors", str(bits)] if bits else []
    run(
        "--preset",
        "ladder",
        "--threads",
        "1",
        "--rounds",
        "3",
        *words,
        "--json",
        str(file),
        "--plot",
        str(picture),
    )
    assert (chosen, asked) == ([bits] if bits else [], {"repeats": 3, "threads": 1})
    said = capsys.readouterr().out
    assert ["tiles", "64", "1", "2.5", "60", "0.750"] in [line.split() for line in said.splitlines()]
    assert f"vectors here have {bits or 'an unknown number of'} bits" in said
    assert picture.read_bytes().startswith(b"\x89PNG")
    document = json.loads(file.read_text("utf-8"))
    name = f"ladder-{bits}" if bits else "ladder"
    assert document["rows"] == [{"preset": name, **row} for row in rungs]
    assert document["settings"][name]["vectors"] == bits
    run("--preset", "ladder", "--threads", "1", "--rounds", "3", *words)  # without files
    assert capsys.readouterr().out == said
    assert {path.name for path in tmp_path.iterdir()} == {file.name, picture.name}


def test_kernels_are_shown_with_their_registers(tmp_path, monkeypatch, capsys):
    """What is compiled, and how, is the compiler's: here is what a person sees of it."""
    kernel = {"kernel": "_tile", "arch": "sm_80", "dtype": "float32", "registers": 40}
    kernel |= {"shared_bytes": 8448, "stack_bytes": 0, "spill_bytes": 0}
    monkeypatch.setattr("minigen.backends.cuda_compile.settings", lambda: {"ptxas": "13.0"})
    monkeypatch.setattr("minigen.backends.cuda_compile.rows", lambda: iter([kernel]))
    file = tmp_path / "kernels.json"
    run("--preset", "cuda-kernels", "--json", str(file))
    assert ["_tile", "sm_80", "float32", "40", "8448", "0", "0"] in [
        line.split() for line in capsys.readouterr().out.splitlines()
    ]
    document = json.loads(file.read_text("utf-8"))
    assert document["rows"] == [{"preset": "cuda-kernels", **kernel}]
    assert document["settings"] == {"cuda-kernels": {"ptxas": "13.0"}}


@pytest.fixture
def narrow(monkeypatch):
    """Presets at their items and clicks, with a layer of 8 and a batch of 3."""
    monkeypatch.setattr(mult_vae, "Sizes", partial(mult_vae.Sizes, hidden=8, latent=3, batch=3))


def test_both_backends_do_the_same_work(narrow):
    ours, theirs = (cases_of("mult-vae-ml20m", backend) for backend in ("numpy", "numba"))
    assert set(ours) - set(theirs) == {"clicks_as_dense_forward", "clicks_as_dense_backward"}
    for name in ("dense_forward", "sparse_dense_forward"):
        y, y_theirs = ours[name].run()[0], theirs[name].run()[0]
        np.testing.assert_allclose(y_theirs, y, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ours["top_k"].run()[0], theirs["top_k"].run()[0])
    assert theirs["step"].run() == pytest.approx(ours["step"].run(), rel=1e-5)
    # The clicks as a dense matrix cost more, and come to the same.
    dense, sparse = (ours[name].run()[0] for name in ("clicks_as_dense_forward", "sparse_dense_forward"))
    np.testing.assert_allclose(dense, sparse, rtol=1e-4, atol=1e-5)


def test_sizes_are_told_apart_by_their_names(monkeypatch):
    monkeypatch.setattr(presets, "_GRID", ((2, 40, 6, 5), (3, 50, 4, 5)))
    names = set(cases_of("sizes", "numpy"))
    assert {"dense_forward 2 x 40 x 6", "top_k 3 x 50 x 4"} <= names
    assert not any("clicks_as_dense" in name for name in names)


def test_a_person_is_answered_and_told_why(narrow):
    cases = cases_of("serve", "numpy")
    (items,) = cases["serve"].run()
    assert len(set(items.tolist())) == 10
    assert len(cases["serve_compact"].run()[0]) == 10
    assert len(cases["explain"].run()) == 10
    assert cases["serve_compact"].gb == cases["serve"].gb / 2


@pytest.mark.parametrize("preset, op", [("vae-mnist", "vae_step"), ("gan-ring", "gan_step")])
def test_steps_of_small_models_learn(preset, op):
    step = cases_of(preset, "numpy")[op].run
    losses = [step() for _ in range(12)]
    assert losses[0] != losses[-1]
    if preset == "vae-mnist":
        assert losses[-1] < losses[0]


def test_the_compiled_step_is_one_of_the_experiments(monkeypatch):
    """Compiling it takes a minute: that it is the written-out one is tested beside the experiment."""
    taken = []

    class Experiment:
        def __init__(self, settings, images, steps):
            taken.append((settings.k, steps, images.shape[1:], images.dtype))

        def train_step(self, rows, rng, step):
            taken.append(len(rows))
            return {"loss": 9.5}

    monkeypatch.setattr(iwae_mnist, "Experiment", Experiment)
    assert cases_of("vae-mnist", "numba")["vae_step"].run() == 9.5
    assert taken == [(1, 1, (28, 28), np.uint8), iwae_mnist.BATCH]


class Runner:
    """A process that says what it would take: 4 ms of NumPy, 2 of Numba, 8 of PyTorch, each a round alike."""

    def __init__(self, preset, backend, threads):
        self.backend = backend
        self.seconds = {"numpy": 0.004, "numba": 0.002, "torch-eager": 0.008}[backend]
        self.name = "machine" if preset == "machine" else backend
        about = {"gflop": 0.0, "gb": 0.01, "first_seconds": 1.0}
        machine = {"gemm": about | {"gflop": 1.0, "gb": 0.0}, "memory": about | {"gb": 1.0}}
        own = {"serve": about} | ({"explain": about | {"gb": 0.0}} if backend == "numba" else {})
        self.cases = machine if self.name == "machine" else own

    def run(self, case, times, values=False):
        return [0.1 if self.name == "machine" else self.seconds] * times

    def peak_memory_mb(self):
        return 50.0

    def close(self):
        pass


def test_a_race_holds_everyone_against_numpy_pytorch_and_the_machine(monkeypatch):
    monkeypatch.setattr(race, "Racer", Runner)
    rows, roofline = race.race("serve", ("numpy", "numba", "torch-eager"), threads=1, rounds=3)
    assert roofline == pytest.approx((10, 10))  # GFLOP/s, GB/s
    explain, *served = rows
    assert (explain["op"], explain["backend"]) == ("explain", "numba")
    assert not {"ratio", "against", "floor_ms"} & set(
        explain
    )  # nobody else does it, and it has no least work
    by = {row["backend"]: row for row in served}
    assert {name: row["ratio"] for name, row in by.items()} == {"numpy": 1, "numba": 2, "torch-eager": 0.5}
    assert by["numba"]["against"]["torch-eager"] == {"ratio": 4, "ratio_95": [4, 4]}
    assert by["numpy"]["against"]["torch-eager"]["ratio"] == 2
    assert "against" not in by["torch-eager"]
    assert by["numpy"]["floor_ms"] == pytest.approx(1)
    assert by["numba"]["times_floor"] == pytest.approx(2)
    assert by["numba"]["peak_memory_mb"] == 50


def test_the_tables_are_printed_to_be_put_into_the_readme(monkeypatch, capsys):
    root = Path(__file__).parents[1]
    monkeypatch.chdir(root)
    runpy.run_path(str(root / "minigen/bench/table.py"), run_name="__main__")
    document = json.loads((root / "results" / "bench.json").read_text("utf-8"))
    assert capsys.readouterr().out == "\n\n".join(table.all_tables(document)) + "\n"
