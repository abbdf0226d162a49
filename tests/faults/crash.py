"""Kills training with SIGKILL and resumes it, again and again: the end must be that of a run never stopped.

    python tests/faults/crash.py --kills 5 --json results/reliability.json

Half of the kills come just before the n-th write, rename or removal of a file of the run: inside of a write.
The other half come after some milliseconds.  A process is forked from here, where everything is loaded.
"""

from __future__ import annotations

import argparse
import os
import random
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
WORK = {  # command, model, backend -> its settings
    ("train", "mult-vae", "numpy"): [*SMALL, "latent=8", "patience=0"],
    ("train", "mult-vae", "numba"): [*SMALL, "latent=8", "patience=0"],
    ("train", "seed-vae", "numpy"): [*SMALL, "latent=8", "patience=0"],
    ("train", "seed-vae", "numba"): [*SMALL, "latent=8", "patience=0"],
    ("train", "recvae", "numpy"): [*SMALL, "latent=8", "patience=0"],
    ("train", "recvae", "numba"): [*SMALL, "latent=8", "patience=0"],
    ("train", "cfgan", "numpy"): ["hidden=24", "epochs=3"],
    ("train", "cfgan", "numba"): ["hidden=24", "epochs=3"],
    ("generate", "gan", "numpy"): POINTS,
    ("generate", "wgan-gp", "numpy"): POINTS,
    ("generate", "vae", "numpy"): POINTS,
    ("generate", "iwae", "numpy"): POINTS,
}
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


def finish(words: list[str], run: Path, count: Path) -> int:
    """Run to the end; how many files it changed."""
    child = fork(words, run, count)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{' '.join(words)}: {count.with_suffix('.log').read_text()}")
    return int(count.read_text())


def resumed(words: list[str], run: Path) -> list[str]:
    """The same command, to go on where there is something to go on with."""
    return [*words, "--resume"] if (run / "ids.json").exists() or (run / "LATEST").exists() else words


def outcome(run: Path) -> dict[str, bytes]:
    """What a run leaves: weights, state, ids, pictures' frames."""
    names = ("*.safetensors", "*.json", "*.npy")
    return {str(p.relative_to(run)): p.read_bytes() for name in names for p in sorted(run.rglob(name))}


def campaign(work: tuple[str, str, str], kills: int, folder: Path, moments: random.Random) -> dict[str, Any]:
    """Kill one kind of run `kills` times; what came of it."""
    command, model, backend = work
    settings = [f"--set={setting}" for setting in WORK[work]]
    settings += [f"--set=backend={backend}"] if command == "train" else []
    data = [str(folder / "split"), "--model", model] if command == "train" else [model, "--data=ring"]
    words = [command, *data, *settings, "--checkpoint-seconds=0", "--out"]
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
        if not inside:
            time.sleep(moments.uniform(0.2, 0.95) * seconds)
            os.kill(child, signal.SIGKILL)
        if os.waitpid(child, 0)[1] != signal.SIGKILL:
            continue  # it was at its end already
        row["kills"] += 1
        row["inside_a_write"] += inside
        finish(resumed([*words, str(run)], run), run, count)
        row["identical"] += outcome(run) == outcome(whole)
        row["half_written"] += len(list(run.rglob("*.tmp")))
    return row


def make_split(folder: Path) -> None:
    """A split to train on: read from its folder, no thread of a reader stands before a fork."""
    rng = np.random.default_rng(0)
    lines = [f"u{user},i{item}" for user in range(120) for item in rng.choice(200, 15, replace=False)]
    (folder / "events.csv").write_text("user,item\n" + "\n".join(lines) + "\n")
    split = ["data", "split", str(folder / "events.csv"), str(folder / "split"), "--k-core", "1"]
    subprocess.run([sys.executable, "-m", "minigen", *split], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Run the campaigns, and write what came of them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--kills", type=int, default=5, help="of each kind of run")
    options.add_argument("--only", default="", help="kinds, such as train-mult-vae-numpy, apart by commas")
    given = options.parse_args()
    clock, moments = Clock(), random.Random(0)
    rows = []
    with TemporaryDirectory() as name:
        make_split(Path(name))
        for work in WORK:
            if given.only and "-".join(work) not in given.only.split(","):
                continue
            rows.append(campaign(work, given.kills, Path(name), moments))
            print(*rows[-1].values(), flush=True)
            record(given.json, "crash", rows, f"python tests/faults/crash.py --kills {given.kills}", clock)


if __name__ == "__main__":
    main()
