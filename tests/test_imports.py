"""Imports are light, and point one way."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "minigen").rglob("*.py"))
THIRD_PARTY = set(packages_distributions()) - sys.stdlib_module_names - {"minigen"}

# From the bottom up: a name imports from its own rank and from those below it.
RANKS = [
    "errors typing files provenance",
    "ops",
    "losses mlp optimizers schedules initializers backends",
    "gan wgan vae iwae linear_gaussian score_function collapse diagnose "
    "gan_training vae_training data evaluation training",
    "recommender trace",
    "ladder application reproduce synthetic tuning",
    "gradcheck plots bench book exercises",
    "cli __main__",
]
RANK = {name: rank for rank, names in enumerate(RANKS) for name in names.split()}

MATHS = {
    "ops",
    "losses",
    "mlp",
    "optimizers",
    "schedules",
    "initializers",
    "gradcheck",
    "gan",
    "wgan",
    "vae",
    "iwae",
    "linear_gaussian",
    "score_function",
    "collapse",
}
TWINS = ("numba_", "cuda_")
RACED = {"torch", "llvmlite"}  # who is raced against, and the compiler that Numba is built on
OPTIONAL = {"book": {"ipywidgets"}, "bench": RACED}  # imported where they are, done without where not

# Beyond the mathematics: what a module must not load before it is needed.
HEAVY = {"scipy", "polars", "matplotlib", "numba", "torch", "pandas"}
MUST_NOT_LOAD = {
    "minigen": THIRD_PARTY - {"numpy"},
    "minigen.cli": HEAVY,
    "minigen.data": HEAVY - {"scipy"},
    "minigen.recommender": HEAVY - {"scipy"},
}


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(path: Path) -> Iterator[tuple[int, str]]:
    """Every import of a file, lazy ones too: its line, and the dotted name."""
    package = dotted(path).split(".")[: None if path.name == "__init__.py" else -1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *([node.module] if node.module else [])]
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_room_has_its_rank() -> None:
    rooms = {dotted(path).split(".")[1] for path in SOURCES if dotted(path) != "minigen"}
    assert rooms - set(RANK) == set(), "give them a place in RANKS"


def test_imports_point_one_way() -> None:
    upward = []
    for path in SOURCES:
        own = [*dotted(path).split("."), "cli"][1]  # minigen/__init__.py may use whatever a command may
        for line, name in imported_names(path):
            head, *rest = name.split(".")
            if head == "minigen" and rest and RANK.get(rest[0], 0) > RANK.get(own, 0):
                upward.append(f"{path.relative_to(ROOT)}:{line}: {own} must not import {rest[0]}")
    assert upward == []


def test_nothing_imports_the_commands() -> None:
    outside = [path for path in SOURCES if dotted(path).split(".")[1:2] not in (["cli"], ["__main__"])]
    guilty = [
        path.name
        for path in outside
        for _, name in imported_names(path)
        if f"{name}.".startswith("minigen.cli.")
    ]
    assert guilty == []


def test_third_parties_are_declared() -> None:
    setup = (ROOT / "setup.py").read_text("utf-8")
    declared = set(re.findall(r'"([a-z]+)>=', setup.split("install_requires=[")[1].split("]")[0]))
    assert "numpy" in declared
    undeclared = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in SOURCES
        for line, name in imported_names(path)
        if name.split(".")[0] not in declared | sys.stdlib_module_names | {"minigen"}
        if name.split(".")[0] not in OPTIONAL.get("".join(dotted(path).split(".")[1:2]), set())
    ]
    assert undeclared == []


def test_maths_loads_numpy_alone() -> None:
    modules = [
        name
        for path in SOURCES
        if (name := dotted(path)).split(".")[1:2] and name.split(".")[1] in MATHS
        if not path.name.startswith(TWINS)
    ]
    loaded = json.loads(
        run_python(
            "import importlib, json, sys; loaded = {}\n"
            f"for name in {modules}:\n"
            "    before = set(sys.modules); importlib.import_module(name)\n"
            "    loaded[name] = sorted({m.split('.')[0] for m in set(sys.modules) - before})\n"
            "print(json.dumps(loaded))"
        )
    )
    assert "minigen.ops" in loaded
    foreign = {name: sorted(set(heads) & (THIRD_PARTY - {"numpy"})) for name, heads in loaded.items()}
    assert {name: heads for name, heads in foreign.items() if heads} == {}


@pytest.mark.parametrize("module", MUST_NOT_LOAD)
def test_heavy_libraries_wait(module: str) -> None:
    loaded = run_python(
        f"import sys; before = set(sys.modules); import {module}; print(*set(sys.modules) - before)"
    )
    assert {name.split(".")[0] for name in loaded.split()} & MUST_NOT_LOAD[module] == set()


def test_import_costs_little_above_numpy() -> None:
    code = "import numpy, time; t = time.perf_counter(); import minigen; print(time.perf_counter() - t)"
    # The best of several: on a shared machine the others measure the neighbours.
    assert min(float(run_python(code)) for _ in range(5)) <= 0.15


def test_help_is_prompt() -> None:
    command = Path(sys.executable).with_name("minigen")
    if not command.exists():
        pytest.skip("the minigen command is not installed beside this Python")
    if "COVERAGE_PROCESS_CONFIG" in os.environ:
        pytest.skip("what coverage follows is slow")
    best = float("inf")
    for _ in range(10):
        start = time.perf_counter()
        done = subprocess.run([command, "--help"], capture_output=True, text=True, check=False)
        best = min(best, time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
        if best <= 0.5:
            return
    pytest.fail(f"minigen --help took {best:.2f} s at best of 10")
