"""Writes down what `make coverage` found: the lines and branches of minigen/ that its tests reach."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from coverage import Coverage
from record import record

WORST = 10  # modules that are named


def main() -> None:
    """Report the combined data, and record the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    given = options.parse_args()
    measured = Coverage()
    measured.load()
    measured.report(show_missing=True, skip_covered=True)
    with TemporaryDirectory() as name:
        file = Path(name, "found.json")
        measured.json_report(outfile=str(file))
        found = json.loads(file.read_text("utf-8"))
    figures = {path.replace("\\", "/"): each["summary"] for path, each in found["files"].items()}
    row = _shares(found["totals"]) | {"branches_too": found["meta"]["branch_coverage"]}
    least = sorted(figures, key=lambda path: figures[path]["percent_covered"])[:WORST]
    row["least"] = {path: round(figures[path]["percent_covered"], 1) for path in least}
    record(given.json, "coverage", [row], "make coverage")


def _shares(totals: dict[str, float]) -> dict[str, float]:
    return {
        "lines": totals["num_statements"],
        "lines_percent": round(100 * totals["covered_lines"] / totals["num_statements"], 2),
        "branches": totals["num_branches"],
        "branches_percent": round(100 * totals["covered_branches"] / totals["num_branches"], 2),
        "together_percent": round(totals["percent_covered"], 2),
    }


if __name__ == "__main__":
    main()
