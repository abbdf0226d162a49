"""The stopwatch: interleaved, against the machine's own limits, and saying who agrees with whom."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from minigen.bench import growth, race, table
from minigen.bench.cases import long_tailed_rows
from minigen.bench.machine import Roofline
from minigen.bench.mult_vae import Sizes, Step
from minigen.bench.numba_memory import add, scale
from minigen.bench.presets import PRESETS, cases_of
from minigen.cli import bench, main
from minigen.cli.bench import OTHERS
from minigen.errors import InputError


def test_rows_have_a_long_tail_and_no_repetition():
    x = long_tailed_rows(400, 300, 30)
    assert x.has_canonical_format
    assert (np.diff(x.indptr) == 30).all()
    popularity = np.asarray(x.sum(axis=0)).ravel()
    assert popularity[:30].mean() > 4 * popularity[-100:].mean()
    assert (long_tailed_rows(400, 300, 30) != x).nnz == 0


def test_floor_adds_products_and_memory():
    assert Roofline(100.0, 10.0).floor_ms(5.0, 2.0) == pytest.approx(50 + 200)


def test_the_roofline_is_that_of_the_best_probes():
    probes = {"a": (2.0, 0.0), "b": (1.0, 0.0), "c": (0.0, 6.0), "d": (0.0, 2.0)}
    about = {name: {"gflop": gflop, "gb": gb} for name, (gflop, gb) in probes.items()}
    assert Roofline.of(about, {"a": 0.1, "b": 0.02, "c": 0.5, "d": 0.1}) == Roofline(50.0, 20.0)


@pytest.mark.kernels
def test_the_probes_go_over_every_entry():
    x, y = np.arange(70_000, dtype=np.float32), np.ones(70_000, np.float32)
    scale(x, np.float32(2))
    add(x, y, np.float32(3))
    np.testing.assert_array_equal(x, 2 * np.arange(70_000, dtype=np.float32) + 3)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors have other instructions")
def test_the_probes_are_vectorised():
    x, y = np.zeros(9, np.float32), np.zeros(9, np.float32)
    for probe, arguments in ((scale, (x, np.float32(2))), (add, (x, y, np.float32(3)))):
        fresh = numba.njit(parallel=True)(probe.py_func)  # Numba shows no code that comes from its cache
        fresh(*arguments)
        assert re.search(r"v?(mul|fmadd\w*)ps", "".join(fresh.inspect_asm().values()))


def test_work_of_a_step_is_counted_from_its_arrays():
    sizes = Sizes(50, hidden=8, latent=3, batch=4, clicks=5)
    step = Step(sizes)
    assert sizes.n_params == sum(w.size for w in step.model.params.values())
    products = [(8, 50), (8, 3), (8, 3), (3, 8)]  # every dense layer; the clicks' layer has no product
    assert sizes.step_gflop == pytest.approx(sum(3 * 2 * 4 * i * o for i, o in products) / 1e9)


def test_interval_is_of_the_median_over_rounds():
    assert race.with_interval("ratio", np.full(3, 2.0)) == {"ratio": 2.0, "ratio_95": [2.0, 2.0]}
    low, high = race.with_interval("ratio", np.array([1.0, 2.0, 3.0, 4.0]))["ratio_95"]
    assert 1 <= low < 2.5 < high <= 4


def test_exponent_of_a_power_is_that_power():
    rows = [{"size": n, "median_ms": 3 * n**1.5} for n in (10, 100, 1000)]
    assert growth.exponent(rows, "median_ms") == pytest.approx(1.5)


def test_every_growth_size_can_be_made():
    for axis, sizes in growth.AXES.items():
        made = [growth.sizes_of(axis, size) for size in sizes]
        assert [getattr(one, axis.removesuffix("-sampled")) for one in made] == list(sizes)
        assert all(bool(one.negatives) == axis.endswith("-sampled") for one in made)
        assert max(sizes) >= 40 * min(sizes)


def test_backends_take_the_same_steps():
    sizes = Sizes(60, hidden=8, latent=3, batch=10, clicks=5)
    ours = [Step(sizes, backend) for backend in ("numpy", "numba")]
    losses = np.array([[step() for step in ours] for _ in range(6)])
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=1e-5)
    assert len(set(losses[:, 0])) == 6  # it learns from other rows each time


def test_torch_takes_the_same_steps():
    pytest.importorskip("torch")
    from minigen.bench.torch_mult_vae import TorchStep

    sizes = Sizes(60, hidden=8, latent=3, batch=10, clicks=5)
    ours, theirs = Step(sizes), TorchStep(sizes, "torch-eager")
    np.testing.assert_allclose([ours() for _ in range(20)], [theirs() for _ in range(20)], rtol=1e-4)


def test_a_worker_answers_in_json_and_ends_with_its_parent():
    asked = [
        {"preset": "growth items 1000", "backend": "numpy"},
        {"run": "step", "times": 2, "values": False},
        {"run": "step", "times": 1, "values": True},
        {},
    ]
    done = subprocess.run(
        [sys.executable, "-m", "minigen.bench.worker"],
        input="".join(json.dumps(line) + "\n" for line in asked),
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    cases, seconds, losses, memory = map(json.loads, done.stdout.splitlines())
    assert cases["step"]["gflop"] > 0
    assert cases["step"]["gb"] > 0
    assert len(seconds) == 2
    assert min(seconds) > 0
    assert losses[0] > 0
    assert memory is None or memory > 10


def test_a_race_has_a_row_for_everyone(monkeypatch):
    monkeypatch.setattr(race, "_TURN_SECONDS", 0.01)
    rows, roofline = race.race("growth items 1000", ("numpy", "numba"), threads=1, rounds=3)
    assert [row["backend"] for row in rows] == ["numpy", "numba"]
    assert roofline.gflops > 1
    assert roofline.gb_per_second > 1
    numpy, numba = rows
    assert numpy["ratio"] == 1
    assert numba["ratio"] > 0
    assert numba["loss_rel_difference"] < 1e-4
    for row in rows:
        assert row["floor_ms"] >= 0.999 * roofline.floor_ms(*_work())  # the best round allows the least
        low, high = row["times_floor_95"]
        assert low <= row["times_floor"] <= high


def _work():
    case = cases_of("growth items 1000", "numpy")["step"]
    return case.gflop, case.gb


def test_a_failing_process_is_one_line():
    with pytest.raises(InputError, match="ended with code"):
        race.Racer("growth items 1000", "no such backend", 1)


def test_presets_say_what_they_are():
    assert {"mult-vae-ml20m", "gowalla", "vae-mnist", "gan-ring", "serve"} <= set(PRESETS)
    assert {"growth", "ladder", "epochs", "cuda-kernels"} == set(OTHERS)


def _bench(*args):
    with pytest.raises(SystemExit) as stop:
        main(["bench", *args])
    return int(stop.value.code or 0)


def test_a_file_holds_the_rows_of_every_preset_once(tmp_path, monkeypatch):
    def rows(n):
        return lambda *_: bench.Measured([{"op": "step", "n": n}], {"threads": n})

    path = tmp_path / "bench.json"
    for preset, n in (("growth", 1), ("ladder", 2), ("growth", 3)):
        monkeypatch.setattr(bench, f"_{preset}", rows(n))
        assert _bench("--preset", preset, "--json", str(path)) == 0
    document = json.loads(path.read_text("utf-8"))
    assert [(row["preset"], row["n"]) for row in document["rows"]] == [("ladder", 2), ("growth", 3)]
    assert document["settings"] == {"growth": {"threads": 3}, "ladder": {"threads": 2}}
    assert set(document["provenance"]) == {"growth", "ladder"}
    for record in document["provenance"].values():  # who else wanted the cores, and who came first
        assert record["load_average"] is None or record["load_average"] >= 0
        assert record["scheduling"] is None or record["scheduling"].startswith("SCHED_")


def test_epochs_have_a_row_for_every_model_and_for_what_is_refused(tmp_path, capsys):
    events, path, ladder = tmp_path / "events.csv", tmp_path / "epochs.json", tmp_path / "ladder.json"
    pairs = [(u, i) for u in range(40) for i in range(30) if (u + i) % 3 == 0]
    events.write_text("user,item\n" + "".join(f"u{u},i{i}\n" for u, i in pairs), "utf-8")
    small = {"hidden": 4, "latent": 2, "batch": 9}
    rows = [{"model": "mult-vae", "settings": small}, {"model": "spectral", "settings": {"factors": 99}}]
    ladder.write_text(json.dumps({"rows": rows}), "utf-8")
    asked = ("--events", str(events), "--models", "mult-vae,ials,spectral", "--ladder", str(ladder))
    asked += ("--set", "factors=3", "--set", "batch=5")
    assert _bench("--preset", "epochs", *asked, "--threads", "1", "--json", str(path)) == 0
    trained, fitted, refused = json.loads(path.read_text("utf-8"))["rows"]
    assert trained["settings"]["batch"] == 9
    assert min(trained[name] for name in ("median_ms", "median_cpu_ms", "start_ms", "peak_memory_mb")) > 0
    assert fitted["start_ms"] > 0
    assert fitted["settings"]["factors"] == 3
    assert "median_ms" not in fitted
    assert refused["error"].startswith("factors is 99: want at most")
    assert "factors is 99" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("text", ["", "[1]", '{"command": "train"}'])
def test_another_file_is_refused_before_anything_is_timed(text, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "_race", lambda *_: pytest.fail("timed"))
    path = tmp_path / "other.json"
    path.write_text(text, "utf-8")
    assert _bench("--json", str(path)) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert path.read_text("utf-8") == text


@pytest.mark.parametrize(
    "args",
    [
        ["--preset", "none"],
        ["--peer", "jax"],
        ["--preset", "growth", "--peer", "torch"],
        ["--vectors", "256"],
        ["--preset", "ladder", "--vectors", "128"],
        ["--preset", "cuda-kernels", "--plot", "x.png"],
        ["--preset", "epochs"],
        ["--events", "online-retail"],
        ["--preset", "epochs", "--events", "online-retail", "--models", "svm"],
        ["--preset", "epochs", "--events", "online-retail", "--ladder", "none.json"],
        ["--preset", "epochs", "--events", "online-retail", "--models", "ease", "--set", "foo=1"],
    ],
)
def test_what_does_not_go_together_is_one_line(args, capsys):
    assert _bench(*args) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_readme_shows_what_was_measured():
    root = Path(__file__).parents[1]
    document = json.loads((root / "results" / "bench.json").read_text("utf-8"))
    readme = (root / "README.md").read_text("utf-8")
    for part in table.all_tables(document):
        assert part in readme, "run python -m minigen.bench.table, and put what it prints into the README"
        assert part.count("\n") > 3
