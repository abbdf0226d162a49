"""Kills commands with SIGKILL and resumes them, again and again: the end must be that of one never stopped.

    python tests/faults/crash.py --kills 5 --json results/reliability.json

Half of the kills come just before the n-th write, rename or removal of a file of the run: inside of a write.
The other half come after some milliseconds.  A process is forked from here, where everything is loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib.animation  # noqa: F401 - loaded once, for all that are forked
import numba  # noqa: F401
import numpy as np
import polars  # noqa: F401
import scipy.stats  # noqa: F401
from record import record

import minigen.cli.generation
import minigen.cli.pictures
import minigen.ladder  # noqa: F401
from minigen.cli import main as minigen_command
from minigen.provenance import Clock

SMALL, POINTS = ["hidden=24", "epochs=2", "batch=30"], ["hidden=24", "epochs=2", "batch=6400"]
TRAINED = (
    "mult-vae",
    "seed-vae",
    "ae",
    "dae",
    "mult-dae",
    "beta-vae",
    "linear-vae",
    "recvae",
    "behaviour-vae",
)
BACKENDS = ("numpy", "numba")
WORK = {  # command, model, backend -> its settings
    ("train", model, backend): [*SMALL, "latent=8", "patience=0"] for model in TRAINED for backend in BACKENDS
}
for backend in BACKENDS:
    WORK["train", "linear-vae", backend].append("joint=false")  # the gain is learnt, and written, last
WORK |= {("train", "cfgan", backend): ["hidden=24", "epochs=3"] for backend in BACKENDS}
WORK |= {("generate", model, "numpy"): POINTS for model in ("gan", "wgan-gp", "vae", "iwae")}
WORK |= {("compare", "ease,mult-vae", backend): [*SMALL, "latent=8"] for backend in BACKENDS}
WRITES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"}


def fork(words: list[str], run: Path, count: Path, kill_at: int = 0) -> int:
    """Start `minigen WORDS`, to die before its `kill_at`-th change below `run`, or tell `count` how many."""
    child = os.fork()
    if child:
        return child
    changes = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal changes
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if (writes or event in WRITES) and str(arguments[0]).startswith(str(run)):
            changes += 1
            if changes == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(os.open(count.with_suffix(".log"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC), 2)
    sys.addaudithook(watch)
    code: Any = 1
    try:
        minigen_command(words)
    except SystemExit as end:
        code = end.code or 0
    count.write_text(str(changes))
    os._exit(code)


def live(child: int, seconds: float) -> float:
    """Let a process run for so long, or to its end; how long it was."""
    began = time.monotonic()
    while (lived := time.monotonic() - began) < seconds:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        time.sleep(0.002)
    return lived


def finish(words: list[str], run: Path, count: Path) -> int:
    """Run to the end; how many files it changed."""
    child = fork(words, run, count)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{' '.join(words)}: {count.with_suffix('.log').read_text()}")
    return int(count.read_text())


def resumed(words: list[str], run: Path) -> list[str]:
    """The same command, to go on where there is something to go on with; `compare` does so of itself."""
    going = words[0] != "compare" and ((run / "ids.json").exists() or (run / "LATEST").exists())
    return [*words, "--resume"] if going else words


def outcome(run: Path) -> dict[str, bytes]:
    """What a run leaves: weights, state, ids, pictures' frames, and of a trial all but its times."""
    names = ("*.safetensors", "*.json", "*.npy")
    left = {str(p.relative_to(run)): p.read_bytes() for name in names for p in sorted(run.rglob(name))}
    times = rb'"seconds": ({[^}]*}|[^,}]+)'
    return {name: re.sub(times, b"", content) for name, content in left.items()}


def half_written(run: Path) -> list[Path]:
    """Files that a kill cut off and nobody removed."""
    return list(run.rglob(".*.tmp.*"))


def words_of(work: tuple[str, str, str], folder: Path) -> list[str]:
    """The command of one kind of run, but for the folder that it writes to, which stands last."""
    command, model, backend = work
    settings = [f"--set={setting}" for setting in WORK[work]]
    settings += [f"--set=backend={backend}"] if command != "generate" else []
    if command == "compare":  # time for all that there is to try: what is measured then decides nothing
        return [command, str(folder / "split"), "--models", model, *settings, "--budget=9h", "--out"]
    split = folder / ("behaviours" if model == "behaviour-vae" else "split")
    data = [str(split), "--model", model] if command == "train" else [model, "--data=ring"]
    return [command, *data, *settings, "--checkpoint-seconds=0", "--out"]


def campaign(work: tuple[str, str, str], kills: int, folder: Path, moments: random.Random) -> dict[str, Any]:
    """Kill one kind of run `kills` times; what came of it."""
    command, model, backend = work
    words = words_of(work, folder)
    count, whole = folder / "count", folder / f"{model}-{backend}-whole"
    finish([*words, str(whole)], whole, count)  # compiled, cached: the next one is timed
    shutil.rmtree(whole)
    began = time.monotonic()
    changes = finish([*words, str(whole)], whole, count)
    seconds = time.monotonic() - began
    row = {"command": command, "model": model, "backend": backend, "kills": 0, "inside_a_write": 0}
    row |= {"identical": 0, "half_written": 0}
    while row["kills"] < kills:
        run = folder / f"{model}-{backend}-cut"
        shutil.rmtree(run, ignore_errors=True)
        inside = row["kills"] % 2 == 0
        child = fork([*words, str(run)], run, count, moments.randint(1, changes) if inside else 0)
        lived = seconds
        if not inside:
            lived = live(child, moments.uniform(0.2, 0.95) * seconds)
            os.kill(child, signal.SIGKILL)
        if os.waitpid(child, 0)[1] != signal.SIGKILL:
            seconds = lived  # it was at its end already: the machine is less busy than it was
            continue
        row["kills"] += 1
        row["inside_a_write"] += inside
        finish(resumed([*words, str(run)], run), run, count)
        row["identical"] += outcome(run) == outcome(whole)
        row["half_written"] += len(half_written(run))
    return row


def make_splits(folder: Path) -> None:
    """Splits to train on: read from their folders, no thread of a reader stands before a fork."""
    rng = np.random.default_rng(0)
    lines = [f"u{user},i{item}" for user in range(120) for item in rng.choice(200, 15, replace=False)]
    (folder / "events.csv").write_text("user,item\n" + "\n".join(lines) + "\n")
    acts = [
        f"{line},{act}" for line in lines for act in ("view", "buy") if act == "view" or rng.random() < 0.5
    ]
    (folder / "acts.csv").write_text("user,item,behaviour\n" + "\n".join(acts) + "\n")
    for events, split, more in (("events", "split", []), ("acts", "behaviours", ["--target=buy"])):
        words = ["data", "split", str(folder / f"{events}.csv"), str(folder / split), "--k-core=1", *more]
        subprocess.run([sys.executable, "-m", "minigen", *words], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Run the campaigns, and write what came of them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--kills", type=int, default=5, help="of each kind of run")
    options.add_argument("--only", default="", help="kinds, such as train-mult-vae-numpy, apart by ;")
    given = options.parse_args()
    asked = [work for work in WORK if not given.only or "-".join(work) in given.only.split(";")]
    before = json.loads(given.json.read_text("utf-8"))["rows"] if given.json.exists() else []
    crashes = [row for row in before if row["check"] == "crash"]
    rows = {(row["command"], row["model"], row["backend"]): row for row in crashes}
    clock, moments = Clock(), random.Random(0)
    with TemporaryDirectory() as name:
        make_splits(Path(name))
        for work in asked:
            rows[work] = campaign(work, given.kills, Path(name), moments)
            print(*rows[work].values(), flush=True)
            found = [rows[known] for known in WORK if known in rows]
            record(given.json, "crash", found, f"python tests/faults/crash.py --kills {given.kills}", clock)


if __name__ == "__main__":
    main()
