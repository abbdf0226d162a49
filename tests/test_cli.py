"""The commands: from a file of events to recommendations, and one clear line for every bad input."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

FAST = ["--set", "hidden=8", "--set", "latent=3", "--set", "epochs=2", "--set", "batch=20", "--k-core", "1"]


def minigen(*args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "minigen", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, check=False)


def refused(*args: object, cwd: Path | None = None) -> str:
    """Run a command that must end with exit code 2 and one line; returns the line."""
    done = minigen(*args, cwd=cwd)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("minigen: ")
    return lines[0]


@pytest.fixture(scope="module")
def events(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    lines = ["customer,product,what,quantity"]
    for user in range(60):
        for item in rng.choice(25, 8, replace=False):
            lines.append(f"u{user:03d},{item:03d},{'buy' if item % 2 else 'view'},{rng.integers(1, 5)}")
    path = tmp_path_factory.mktemp("events") / "events.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


COLUMNS = ["--user", "customer", "--item", "product"]


@pytest.fixture(scope="module")
def run(events, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    done = minigen("train", events, *COLUMNS, *FAST, "--out", out, "--json", out.parent / "train.json")
    assert done.returncode == 0, done.stderr
    assert "mult-vae" in done.stdout
    return out


def test_train_writes_settings_figures_and_where_they_came_from(run):
    result = json.loads((run.parent / "train.json").read_text())
    assert result["command"] == "train"
    (row,) = result["rows"]
    assert (row["model"], row["family"], row["settings"]["hidden"]) == ("mult-vae", "generative", 8)
    assert set(row["metrics"]) == set(row["se"])
    assert {"recall@20", "recall_min@20"} <= set(row["metrics"])
    assert 0 < row["validation"]["se"] < row["validation"]["ndcg@100"] < 1
    assert result["provenance"]["data_hash"] == json.loads((run / "ids.json").read_text())["hash"]
    assert result["provenance"]["seed"] == 0
    assert result["provenance"]["peak_memory_mb"] > 0


def test_evaluate_gives_the_figures_that_train_gave(run, tmp_path):
    done = minigen("evaluate", run, "--json", tmp_path / "e.json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "e.json").read_text())["rows"]
    assert row["metrics"] == json.loads((run.parent / "train.json").read_text())["rows"][0]["metrics"]
    done = minigen("evaluate", run, "--metrics", "ndcg@5,hit@3", "--part", "validation")
    assert done.returncode == 0, done.stderr
    assert "hit@3" in done.stdout


def test_recommend_to_a_known_user_and_to_somebody_never_seen(run, tmp_path):
    known = minigen("recommend", run, "--user", "u007", "-k", "5", "--json", tmp_path / "r.json")
    assert known.returncode == 0, known.stderr
    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    assert all(re.fullmatch(r"\d{3}", row["item"]) for row in rows)  # leading zeros survive
    new = minigen("recommend", run, "--items", "003", "011", "-k", "5")
    assert new.returncode == 0, new.stderr
    everything = minigen("recommend", run, "--items", "003", "-k", "25")
    assert "Only 24 items are left" in everything.stdout


@pytest.mark.parametrize("model", ["popularity", "ease", "seed-vae"])
def test_every_model_trains_from_the_command_line(model, events, tmp_path):
    settings = FAST if model == "seed-vae" else ["--k-core", "1"]
    done = minigen("train", events, *COLUMNS, *settings, "--model", model, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert minigen("recommend", tmp_path / "run", "--user", "u001").returncode == 0


def test_tune_chooses_on_validation_and_refit_puts_validation_back(events, tmp_path):
    out, file = tmp_path / "run", tmp_path / "r.json"
    arguments = ["--model", "ease", "--split", "weak", "--tune", "l2=1,10,100", "--refit", "--k-core", "1"]
    done = minigen("train", events, *COLUMNS, *arguments, "--out", out, "--json", file, "--add")
    assert done.returncode == 0, done.stderr
    result = json.loads(file.read_text())
    trials = result["rows"][0]["trials"]
    assert [trial["l2"] for trial in trials] == [1.0, 10.0, 100.0]
    best = max(trials, key=lambda trial: trial["ndcg@100"])
    assert result["rows"][0]["settings"]["l2"] == best["l2"]
    assert "validation" not in result["rows"][0], "its people are among those that it was trained on"
    assert minigen("evaluate", out, "--part", "validation").returncode == 2  # it went back into training
    more = ["--set", "l2=5", *arguments[:4], "--refit", "--k-core", "1", "--out", tmp_path / "five"]
    done = minigen("train", events, *COLUMNS, *more, "--json", file, "--add", "--note", "by hand")
    assert done.returncode == 0, done.stderr
    assert [row["note"] for row in json.loads(file.read_text())["rows"]] == [None, "by hand"]
    other = ["--model", "ease", "--k-core", "1", "--out", tmp_path / "other", "--json", file, "--add"]
    assert "figures of other work" in refused("train", events, *COLUMNS, *other)
    assert not (tmp_path / "other").exists(), "refused before the work"
    vae = minigen("train", events, *COLUMNS, *FAST, "--split", "weak", "--refit", "--out", tmp_path / "vae")
    assert vae.returncode == 0, vae.stderr
    assert (tmp_path / "vae" / "choice" / "LATEST").exists()


def test_weights_of_behaviours_reach_the_matrix(events, tmp_path):
    from minigen.recommender.runs import read_split

    weights = ["--behaviour", "what", "--weights", "buy=1,view=0.25"]
    done = minigen(
        "train", events, *COLUMNS, *weights, *FAST, "--model", "popularity", "--out", tmp_path / "run"
    )
    assert done.returncode == 2  # popularity has no setting hidden
    done = minigen(
        "train", events, *COLUMNS, *weights, "--model", "popularity", "--k-core", 1, "--out", tmp_path / "r"
    )
    assert done.returncode == 0, done.stderr
    assert set(read_split(tmp_path / "r").train.data.tolist()) == {0.25, 1.0}


def test_resume_from_the_command_line_ends_in_the_same_bytes(events, run, tmp_path):
    out = tmp_path / "run"
    command = ["train", str(events), *COLUMNS, *FAST, "--out", str(out), "--checkpoint-seconds", "0"]
    process = subprocess.Popen([sys.executable, "-m", "minigen", *command], stdout=subprocess.DEVNULL)
    while not (out / "LATEST").exists() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = minigen(*command, "--resume")
    assert done.returncode == 0, done.stderr
    for file in run.rglob("weights.safetensors"):
        assert file.read_bytes() == (out / file.relative_to(run)).read_bytes()


def test_ctrl_c_keeps_the_checkpoint_and_exits_with_130(events, tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "minigen", "train", str(events), *COLUMNS, "--k-core", "1"]
    command += ["--set", "epochs=1000000", "--set", "patience=0", "--set", "batch=10", "--out", str(out)]
    process = subprocess.Popen([*command, "--checkpoint-seconds", "0"], stderr=subprocess.PIPE, text=True)
    while not (out / "LATEST").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.strip() == f"minigen: interrupted; add --resume to go on with {out}"
    assert minigen("evaluate", out).returncode == 0


def test_bad_events(events, tmp_path):
    train = ("train", "--out", tmp_path / "run")
    assert "no such file" in refused(*train, tmp_path / "absent.csv")
    (tmp_path / "empty.csv").write_text("")
    assert "empty" in refused(*train, tmp_path / "empty.csv")
    assert "'customer', 'product', 'what', 'quantity'" in refused(*train, events, "--user", "who")
    bad = tmp_path / "bad.csv"
    for value, says in (("two", "line 3"), ("nan", "line 3"), ("-1", "line 3"), ("inf", "line 3")):
        bad.write_text(f"user,item,weight\na,b,1\nc,d,{value}\n")
        assert says in refused(*train, bad)
    assert "largest k with something left is 8" in refused(*train, events, *COLUMNS, "--k-core", "1000")
    assert "at least 0" in refused(*train, events, *COLUMNS, "--weights", "buy=-1")
    assert "there is no model 'multvae'" in refused(*train, events, *COLUMNS, "--model", "multvae")
    assert "no setting 'depth'" in refused(*train, events, *COLUMNS, "--set", "depth=3")
    assert "wants a value like 600" in refused(*train, events, *COLUMNS, "--set", "hidden=wide")
    assert "no split 'random'" in refused(*train, events, *COLUMNS, "--split", "random")
    assert "held-out users are too many" in refused(
        *train, events, *COLUMNS, "--k-core", "1", "--held-out", 40
    )
    assert not (tmp_path / "run").exists()  # nothing half-written


def test_bad_questions_to_a_run(run, tmp_path):
    assert "nearest are 'u00" in refused("recommend", run, "--user", "u0077")
    assert "does not know the item '0031'" in refused("recommend", run, "--items", "0031")
    assert "want 1 to 25" in refused("recommend", run, "--user", "u001", "-k", "26")
    assert "either --user" in refused("recommend", run)
    assert "no run at" in refused("recommend", tmp_path / "absent", "--user", "u001")
    assert "auc@3" in refused("evaluate", run, "--metrics", "auc@3")
    assert "catalogue has 25 items" in refused("evaluate", run, "--metrics", "ndcg@26")


def test_a_damaged_run(run, tmp_path):
    for name, damage in {
        "step-*/weights.safetensors": lambda b: b[: len(b) // 2],
        "step-*/state.json": lambda b: b"[1, 2",
        "held-out.safetensors": lambda b: b[:-3],
        "train/indices.npy": lambda b: b[:-3],
        "ids.json": lambda b: b"{}",
        "LATEST": lambda b: b"step-999",
    }.items():
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        (file,) = copy.glob(name)
        file.write_bytes(damage(file.read_bytes()))
        refused("recommend", copy, "--user", "u001")


def test_a_split_is_made_once_and_trained_on(events, run, tmp_path):
    folder = tmp_path / "split"
    made = minigen("data", "split", events, folder, *COLUMNS, "--k-core", "1")
    assert made.returncode == 0, made.stderr
    assert "split holds strong: " in made.stdout
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    done = minigen("train", folder, *FAST, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    theirs, own = (json.loads((path / "ids.json").read_text())["hash"] for path in (run, tmp_path / "run"))
    assert own == theirs
    assert {file: file.read_bytes() for file in before} == before
    assert "is there already" in refused("data", "split", events, folder, *COLUMNS)
    (folder / "ids.json").write_text("[]")
    assert "does not belong" in refused("train", folder, "--out", tmp_path / "other")


def test_a_run_is_not_written_over(events, run, tmp_path):
    assert "holds a run already" in refused("train", events, *COLUMNS, *FAST, "--out", run)
    assert "no run to resume" in refused(
        "train", events, *COLUMNS, *FAST, "--out", tmp_path / "no", "--resume"
    )
    (tmp_path / "file").write_text("mine")
    assert "is a file" in refused("train", events, *COLUMNS, *FAST, "--out", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_usage_errors_are_one_line_too():
    assert "No such command" in refused("trian")
    assert "--epochs" in refused("train", "x.csv", "--epochs", "3")
    done = minigen("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("minigen ")
