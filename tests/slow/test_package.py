"""What is built holds everything, and an environment that has nothing else runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def run(*words: Any, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(word) for word in words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=clean)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source package."""
    folder = tmp_path_factory.mktemp("built")
    sources = folder / "sources"
    skip = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "runs", "minigen-demo")
    shutil.copytree(ROOT, sources, ignore=skip)
    for kind in ("sdist", "wheel"):
        build = f"from setuptools import build_meta; build_meta.build_{kind}({str(folder)!r})"
        done = run(sys.executable, "-c", build, cwd=sources)
        assert done.returncode == 0, done.stderr
        assert "Deprecat" not in done.stderr
    shutil.rmtree(sources)
    return folder


def test_built_packages_are_complete(built: Path) -> None:
    sets = {p.relative_to(ROOT).as_posix() for p in (ROOT / "minigen/data/sets").glob("*/*") if p.is_file()}
    source = {p.relative_to(ROOT).as_posix() for p in (ROOT / "minigen").rglob("*.py")}
    assert any(name.endswith(".parquet") for name in sets)
    assert any("LICENSE" in name for name in sets)

    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        held = set(wheel.namelist())
        metadata = wheel.read(next(name for name in held if name.endswith("METADATA"))).decode()
    assert (sets | source | {"minigen/py.typed"}) - held == set()
    assert any(name.endswith("licenses/LICENSE") for name in held)
    assert not any(name.startswith("tests/") for name in held)
    assert "License-Expression: MIT" in metadata or "License: MIT" in metadata

    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    tests = {p.relative_to(ROOT).as_posix() for p in (ROOT / "tests").rglob("*.py")}
    also = {"LICENSE", "Makefile", "pyproject.toml", "minigen/py.typed"}
    assert (sets | source | tests | also) - held == set()


@pytest.mark.parametrize("package", ["*.whl", "*.tar.gz"])
def test_a_package_in_an_empty_environment_runs_the_demo(built: Path, tmp_path: Path, package: str) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    programs = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    pip = [programs / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    if run(*pip, "download", "--no-deps", "threadpoolctl", cwd=tmp_path).returncode:
        pytest.skip("no package index can be reached: nothing to install the dependencies from")
    done = run(*pip, "install", next(built.glob(package)), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    where = run(programs / "python", "-c", "import minigen; print(minigen.__file__)", cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(tmp_path), where.stderr
    done = run(programs / "minigen", "demo", "--epochs", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "minigen-demo" / "report.html").stat().st_size > 10_000
