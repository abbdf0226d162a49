"""Lets libFuzzer look for bytes that a reader neither reads nor refuses in one line, outside of the suite.

    pip install atheris
    python tests/faults/fuzz.py --seconds 60 --json results/reliability.json [--only rows.csv,LATEST]

Each file that minigen reads is fuzzed in a process of its own, where a crash of compiled code is seen, for a
bounded time.  It starts from the sample that the suite has, and is guided by what it reaches in minigen.
What was a fault stays in --corpus.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from record import record

from minigen.provenance import Clock

ROOM = 2**20  # bytes of an input, at most
MEMORY = 4096  # MB of a process
HANGS = 10  # seconds for one input: more is a fault
OF_A_RUN = ("LATEST", "ids.json", "held-out.safetensors", "state.json", "weights.safetensors")


def fuzz(name: str, seconds: int, corpus: Path) -> None:
    """Fuzz the reader of one file in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["minigen"]), TemporaryDirectory() as folder:
        import test_hostile_readers as readers
        import test_hostile_runs as runs

        path = Path(folder) / name
        if name in OF_A_RUN:
            run = runs.make_run(Path(folder) / "run", stopped=False)
            (path,) = run.rglob(name)
            (corpus / "sample").write_bytes(path.read_bytes())
        else:
            (corpus / "sample").write_bytes(readers.sample(name))

        def one(content: bytes) -> None:
            path.write_bytes(content)
            if name in OF_A_RUN:
                runs.answer(runs.serve, run)
            else:
                readers.answer(readers.READERS[name][1], path)

        limits = [f"-max_total_time={seconds}", f"-max_len={ROOM}", f"-timeout={HANGS}"]
        limits += [f"-rss_limit_mb={MEMORY}", f"-artifact_prefix={corpus}/fault-", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *limits, str(corpus)], one)
        atheris.Fuzz()


def campaign(name: str, seconds: int, corpus: Path) -> dict[str, Any]:
    """Fuzz the reader of one file in a process; what came of it."""
    corpus.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, "--fuzz", name, "--seconds", str(seconds), "--corpus", str(corpus)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    inputs = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    reached = re.findall(r"cov: (\d+)", done.stderr)
    row: dict[str, Any] = {"file": name, "seconds": seconds, "inputs": int(inputs[1]) if inputs else 0}
    row |= {"reached": int(reached[-1]) if reached else 0}
    row["faults"] = sorted(path.name for path in corpus.glob("fault-*"))
    if done.returncode and not row["faults"]:
        row["faults"] = [done.stderr[-300:]]
    return row


def main() -> None:
    """Fuzz one reader after the other, and write what came of it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path)
    options.add_argument("--seconds", type=int, default=60, help="for each file")
    options.add_argument("--only", help="files, by name")
    options.add_argument("--corpus", type=Path, help="a folder for inputs that reach more, and for faults")
    options.add_argument("--fuzz", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.fuzz:
        return fuzz(given.fuzz, given.seconds, given.corpus)
    from test_hostile_readers import READERS

    clock, rows = Clock(), []
    with TemporaryDirectory() as folder:
        for name in given.only.split(",") if given.only else [*READERS, *OF_A_RUN]:
            rows.append(campaign(name, given.seconds, (given.corpus or Path(folder)) / name))
            print(*rows[-1].values(), flush=True)
    if given.json:
        record(given.json, "fuzz", rows, f"python tests/faults/fuzz.py --seconds {given.seconds}", clock)
    return sys.exit(1 if any(row["faults"] for row in rows) else 0)


if __name__ == "__main__":
    main()
