"""An epoch of every rung of the ladder on the same rows: time and memory, of a process each."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from minigen.bench.race import environment
from minigen.errors import InputError
from minigen.ladder import model_class
from minigen.provenance import peak_memory_mb
from minigen.recommender import AutoencoderRecommender, Recommender
from minigen.recommender.base import canonical
from minigen.recommender.runs import read_split

EPOCHS = 2  # of a model that is trained; the first, which compiles, does not count


def epochs(
    run: Path, models: dict[str, dict[str, Any]], threads: int, report: Callable[[int], None] = lambda n: None
) -> Iterator[dict[str, Any]]:
    """A row for every model with its settings, on the training rows in the folder `run`.

    `median_ms` of an epoch, `start_ms` of what comes before the first (the weights, a linear path), both
    also as time of the processor (`_cpu_`), which a loaded machine does not stretch, and `peak_memory_mb` of
    the process.  A model without epochs has its whole fit in `start_ms`.  `error` holds what was refused.
    """
    for n, (name, settings) in enumerate(models.items()):
        command = [sys.executable, "-m", __name__, str(run), name, json.dumps(settings)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, env=environment(threads), check=False
        )
        ended = {"op": "epoch", "model": name, "error": f"ended with code {done.returncode}"}
        yield ended if done.returncode else json.loads(done.stdout.splitlines()[-1])
        report(n + 1)


def measure(model: Recommender, rows: csr_matrix) -> dict[str, Any]:
    """The row of one model."""
    backend = model.settings.get("backend", "numpy")
    row = {"op": "epoch", "model": model.id, "backend": backend, "settings": model.settings}
    rows = canonical(rows)
    try:
        trained = model if isinstance(model, AutoencoderRecommender) else None
        row |= dict(zip(("start_ms", "start_cpu_ms"), _times(trained.start if trained else model.fit, rows)))
        if trained:
            times = [_times(_epoch, trained, rows, n) for n in range(EPOCHS)][1:]
            row |= dict(zip(("median_ms", "median_cpu_ms"), np.median(times, axis=0).tolist()))
    except InputError as error:
        row["error"] = str(error)
    return row | {"peak_memory_mb": peak_memory_mb()}


def _times(run: Callable[..., object], *arguments: Any) -> tuple[float, float]:
    """Milliseconds of the clock, and of all cores that worked."""
    begun, worked = time.perf_counter(), time.process_time()
    run(*arguments)
    return 1e3 * (time.perf_counter() - begun), 1e3 * (time.process_time() - worked)


def _epoch(model: AutoencoderRecommender, rows: csr_matrix, n: int) -> None:
    order, size = np.random.default_rng(n).permutation(rows.shape[0]), model.config.batch
    starts = range(0, len(order), size)
    for step, start in enumerate(starts, n * len(starts)):
        model.train_step(rows[order[start : start + size]], np.random.default_rng([n, step]), step)


if __name__ == "__main__":
    folder, asked, given = sys.argv[1:]
    split = read_split(Path(folder))
    print(json.dumps(measure(model_class(asked)(**json.loads(given)), split.train)))
