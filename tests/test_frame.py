"""The frame: what make does, and which versions are declared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[1]
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(where: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", "-C", str(where), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=check, env=clean)


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    """A folder with the Makefile and nothing installed."""
    for name in ("Makefile", "setup.py", "requirements/oldest.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def installed(frame: Path) -> Path:
    """The same, where make has been before; the files of the environment are empty."""
    (frame / ".venv/bin").mkdir(parents=True)
    for name in ("bin/pip", ".installed", ".installed-dev", ".installed-notebooks"):
        (frame / ".venv" / name).touch()
    return frame


@needs_make
def test_make_lists_its_targets() -> None:
    listed = {line.split()[1] for line in make(ROOT).stdout.splitlines()}
    assert {"demo", "test", "test-all", "test-oldest", "test-oracle", "lab", "notebooks", "clean"} <= listed
    assert {"coverage", "mutants"} <= listed


def test_documents_name_targets_that_exist() -> None:
    text = "".join((ROOT / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md"))
    named = {"".join(pair) for pair in re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", text, re.MULTILINE)}
    defined = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert named
    assert named - set(defined) == set()


@needs_make
@pytest.mark.parametrize(
    ("python", "told"),
    [
        ("no-such-python", "no no-such-python here: apt install python3 python3-venv"),
        ("./old", "minigen needs Python 3.11 or newer, and this is Python 3.9.2: try make PYTHON=python3.12"),
        ("./no-venv", "Python's venv is missing: apt install python3-venv"),
    ],
)
def test_make_says_what_is_missing(frame: Path, python: str, told: str) -> None:
    pythons = {
        "old": 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac',
        "no-venv": 'case "$2" in *ensurepip*) exit 1;; esac',
    }
    for name, script in pythons.items():
        (frame / name).write_text(f"#!/bin/sh\n{script}\n")
        (frame / name).chmod(0o755)
    done = make(frame, "demo", f"PYTHON={python}", check=False)
    assert done.returncode != 0
    first, *rest = done.stderr.splitlines()
    assert first == told
    assert all(line.startswith("make: ***") for line in rest)
    assert not (frame / ".venv").exists()


@needs_make
@pytest.mark.parametrize("target", ["demo", "test", "lab"])
def test_second_make_installs_nothing(installed: Path, target: str) -> None:
    assert "pip install" not in make(installed, "-n", target).stdout
    later = (installed / ".venv/.installed").stat().st_mtime + 60
    os.utime(installed / "setup.py", (later, later))
    assert "pip install" in make(installed, "-n", target).stdout


@needs_make
def test_demo_needs_no_development_tools(frame: Path) -> None:
    installs = [line for line in make(frame, "-n", "demo").stdout.splitlines() if "pip install" in line]
    assert [line.split()[-1] for line in installs] == ["."]


@needs_make
def test_slow_tests_run_in_test_all_alone(installed: Path) -> None:
    def suites(target: str) -> list[str]:
        lines = make(installed, "-n", target).stdout.splitlines()
        return [line for line in lines if line.startswith(".venv/") and "-m pytest" in line]

    assert [("not slow" in line) for line in suites("test")] == [True]
    assert [("not slow" in line) for line in suites("test-all")] == [False]


def test_ci_runs_everything() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert script.read_text("utf-8").splitlines()[-1].endswith("make --no-print-directory test-all")


def test_oldest_versions_are_the_declared_bounds() -> None:
    bounds = dict(re.findall(r'"([a-z-]+)>=([\d.]+)"', (ROOT / "setup.py").read_text("utf-8")))
    pins = dict(
        re.findall(r"^([a-z-]+)==([\d.]+)$", (ROOT / "requirements/oldest.txt").read_text("utf-8"), re.M)
    )
    assert {"numpy", "scipy", "polars", "matplotlib", "pytest"} <= pins.keys() & bounds.keys()
    assert {n: v for n, v in pins.items() if n in bounds and Version(v) != Version(bounds[n])} == {}
    required = (ROOT / "setup.py").read_text("utf-8").split("install_requires=[")[1].split("]")[0]
    assert set(re.findall(r'"([a-z-]+)>=', required)) <= pins.keys()
