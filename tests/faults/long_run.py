"""Trains for many steps, with checkpoints and validation, and watches memory and open files.

python tests/faults/long_run.py --steps 10000 --json results/reliability.json
"""

from __future__ import annotations

import argparse
import os
import resource
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from record import record
from scipy import sparse, stats

from minigen.data.interactions import HeldOut
from minigen.gan_training import GAN
from minigen.provenance import Clock
from minigen.recommender import MultVAE
from minigen.training.loop import Plan, State, train

WARM = 0.2  # of the steps, until caches and buffers are there


def memory() -> float:
    """Resident memory of this process, in kB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024


def open_files() -> int:
    """Open file handles of this process."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the listing itself is one of them, always


def watched(model: str, steps: int) -> dict[str, Any]:
    """Train `model` for `steps` steps: kB a step with its 95% interval, and how many more files are open."""
    rng = np.random.default_rng(0)
    seen: list[tuple[int, float]] = []
    files: list[int] = []

    def report(state: State, logged: dict[str, float]) -> None:
        if "epoch" not in logged and state.step >= WARM * steps and state.step % 50 == 0:
            seen.append((state.step, memory()))
            files.append(open_files())

    with TemporaryDirectory() as run:
        if model == "mult-vae":
            rows = sparse.random(2000, 300, 0.05, format="csr", dtype=np.float32, random_state=0)
            held = HeldOut(rows[:20], rows[20:40], [f"u{n}" for n in range(20)])
            plan = {"hidden": 32, "latent": 8, "batch": 20, "epochs": steps // 100, "patience": 0}
            MultVAE(**plan).fit(rows, held, run=run, checkpoint_seconds=0.5, report=report)
        else:
            points = rng.standard_normal((5000, 2)).astype(np.float32)
            gan = GAN(GAN.points, batch=50, epochs=steps // 100)
            gan.start(points)
            plan = Plan(steps // 100, gan.batch, checkpoint_seconds=0.5)
            train(gan, points, plan, run=Path(run), report=report)
    step, size = np.array(seen).T
    fit = stats.linregress(step, size)
    return {
        "model": model,
        "steps": steps,
        "kb_a_step": fit.slope,
        "se": float(np.nan_to_num(fit.stderr)),  # of memory that never changed there is none
        "grown_kb": float(np.median(size[-20:]) - np.median(size[:20])),
        "files_more": max(files) - files[0],
    }


def main() -> None:
    """Watch a recommender and a GAN."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=10_000)
    options.add_argument("--json", type=Path, required=True)
    given, clock = options.parse_args(), Clock()
    rows = [watched(model, given.steps) for model in ("mult-vae", "gan")]
    for row in rows:
        print(*row.values())
    record(given.json, "long run", rows, f"python tests/faults/long_run.py --steps {given.steps}", clock)


if __name__ == "__main__":
    main()
