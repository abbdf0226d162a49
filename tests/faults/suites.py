"""Runs the fast tests in each environment given, and writes down with which versions how many passed."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

from record import record

from minigen.provenance import Clock

PACKAGES = ("numpy", "scipy", "numba", "polars", "safetensors", "typer", "rich", "matplotlib", "pytest")
VERSIONS = f"""
import json, platform
from importlib.metadata import version
print(json.dumps({{"python": platform.python_version()}} | {{name: version(name) for name in {PACKAGES}}}))
"""


def main() -> None:
    """Run them one after the other; exit with 1 where a test failed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("environments", type=Path, nargs="+")
    options.add_argument("--json", type=Path, required=True)
    given = options.parse_args()
    clock = Clock()
    rows = [_suite(folder / "bin" / "python") for folder in given.environments]
    environments = " ".join(map(str, given.environments))
    record(given.json, "suite", rows, f"python tests/faults/suites.py {environments}", clock)
    for row in rows:
        python, numpy = row["versions"]["python"], row["versions"]["numpy"]
        print(f"Python {python}, NumPy {numpy}: {row['passed']} passed, failed: {row['failed'] or 'none'}")
    sys.exit(any(row["failed"] for row in rows))


def _suite(python: Path) -> dict[str, Any]:
    found = json.loads(subprocess.run([python, "-c", VERSIONS], capture_output=True, check=True).stdout)
    with TemporaryDirectory() as name:
        report = Path(name, "report.xml")
        tests = [python, "-m", "pytest", "-n", "2", "-m", "not slow", f"--junitxml={report}"]
        code = subprocess.run(tests, check=False).returncode
        suite = next(ElementTree.parse(report).iter("testsuite"))
    bad = [
        f"{case.get('classname')}.{case.get('name')}"
        for case in suite.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
    if code and not bad:
        sys.exit(f"{python}: pytest ended with {code}")
    n_skipped = int(suite.get("skipped", 0))
    passed = int(suite.get("tests", 0)) - n_skipped - len(bad)
    seconds = round(float(suite.get("time", 0)))
    return {"versions": found, "passed": passed, "skipped": n_skipped, "failed": bad, "seconds": seconds}


if __name__ == "__main__":
    main()
