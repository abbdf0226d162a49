"""A process that does one backend's work on demand, so that thread pools never meet.

It reads a line of JSON and answers with one: first {"preset", "backend"}, then {"run": case, "times": n,
"values": bool}, or {}, which asks for its peak memory.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from minigen.errors import InputError


def main() -> None:
    """Serve until the parent closes the pipe."""
    from minigen.bench.presets import cases_of
    from minigen.provenance import peak_memory_mb

    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is no answer
    asked = json.loads(sys.stdin.readline())
    cases = cases_of(asked["preset"], asked["backend"])

    def answer(value: Any) -> None:
        print(json.dumps(value), file=answers, flush=True)

    first = {name: _seconds(case.run) for name, case in cases.items()}  # with compilation, if any
    answer({name: {"gflop": c.gflop, "gb": c.gb, "first_seconds": first[name]} for name, c in cases.items()})
    for line in sys.stdin:
        asked = json.loads(line)
        if "run" not in asked:
            answer(peak_memory_mb())
            continue
        run = cases[asked["run"]].run
        if asked["values"]:
            answer([run() for _ in range(asked["times"])])
        else:
            run()  # wakes the threads, and the caches
            answer([_seconds(run) for _ in range(asked["times"])])


def _seconds(run: Any) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"minigen: {error}")
