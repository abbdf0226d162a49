"""What the text of the project promises: short files, no code from data, ids and paths that exist."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = sorted((ROOT / "minigen").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
CHAPTERS = sorted((ROOT / "chapters").glob("*.md"))

NOT_SOURCE = {"build", "dist", "runs", "minigen-demo", "__pycache__"}
TEXT = {"", ".py", ".md", ".txt", ".toml", ".in", ".cfg", ".json", ".ipynb", ".html", ".svg"}
MACHINE_PATH = re.compile(r"(?<![\w.~)}])/(?:work|tmp|home|root|opt|Users|mnt)/|\b[A-Z]:\\\\?Users")
REGISTRY = re.compile(r"pypi\.(?:org|python)|pythonhosted\.|npmjs\.|conda\.anaconda\.|--(?:extra-)?index-url")

UNSAFE_MODULES = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
UNSAFE_CALLS = {"eval", "exec"}

EQUATION = re.compile(r"\beq:([a-z0-9]+(?:-[a-z0-9]+)*)")
EQUATION_HOME = re.compile(r"\[eq:([a-z0-9]+(?:-[a-z0-9]+)*)\]")


def text_files() -> Iterator[Path]:
    for top in sorted(ROOT.iterdir()):
        if (
            top.name in NOT_SOURCE
            or top.suffix == ".egg-info"
            or (top.name.startswith(".") and top.name != ".ci")
        ):
            continue
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and path.suffix in TEXT and not NOT_SOURCE & set(path.parts):
                yield path


def places(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {found.group()}"
        for path in text_files()
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if (found := pattern.search(line))
    ]


def unsafe(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names if name.name.split(".")[0] in UNSAFE_MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in UNSAFE_MODULES:
                yield module
            case ast.Call(func=ast.Name(id=name)) if name in UNSAFE_CALLS:
                yield name
            case ast.keyword(arg="allow_pickle", value=value) if ast.unparse(value) != "False":
                yield "allow_pickle"


def readme_map() -> dict[str, list[str]]:
    """The README's table of chapters: the paths that each chapter's row names."""
    rows = {}
    inside = False
    for line in (ROOT / "README.md").read_text("utf-8").splitlines():
        first = line.strip().strip("|").partition("|")[0]
        inside = line.startswith("|") and (inside or first.strip().lower() == "chapter")
        if inside and (stem := re.search(r"\d\d-[a-z0-9-]+", first)):
            rows[stem.group()] = re.findall(r"`([^`\s]*/[^`\s]*)`", line)
    return rows


def test_files_stay_short() -> None:
    long = {p.name: n for p in CODE + TESTS if (n := len(p.read_text("utf-8").splitlines())) > 250}
    assert long == {}


def test_no_machine_paths() -> None:
    assert places(MACHINE_PATH) == []


def test_no_registry_addresses() -> None:
    assert places(REGISTRY) == []


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("see /" + "home/ada/x", True),
        ('"/' + 'tmp/a"', True),
        ("C:" + r"\Users\ada", True),
        ("file:///" + "opt/x", True),
        ("example.org/" + "home/page", False),
        ("./" + "work/x", False),
    ],
)
def test_machine_paths_are_told_apart(line: str, bad: bool) -> None:
    assert bool(MACHINE_PATH.search(line)) is bad


def test_no_code_from_data() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {what}"
        for path in CODE
        for what in unsafe(ast.parse(path.read_text("utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from yaml import load",
        "eval('1')",
        "np.load(f, allow_pickle=True)",
        "import joblib.x",
    ],
)
def test_code_from_data_is_seen(line: str) -> None:
    assert len(list(unsafe(ast.parse(line)))) == 1


def equations_in_code() -> list[tuple[str, Path]]:
    return [(eq, path) for path in CODE for eq in EQUATION_HOME.findall(path.read_text("utf-8"))]


def test_equations_stand_once_in_the_code() -> None:
    counts = Counter(eq for eq, _ in equations_in_code())
    assert counts["gaussian-kl"] == 1
    assert [eq for eq, count in counts.items() if count > 1] == []


def test_equations_mentioned_anywhere_exist() -> None:
    known = {eq for eq, _ in equations_in_code()}
    mentioned = {
        (eq, path.name)
        for path in text_files()
        if path.suffix in {".md", ".py", ".ipynb"} and path != Path(__file__).resolve()
        for eq in EQUATION.findall(path.read_text("utf-8"))
    }
    assert sorted((eq, where) for eq, where in mentioned if eq not in known) == []


def test_each_equation_of_the_code_stands_in_one_chapter() -> None:
    told = Counter(eq for path in CHAPTERS for eq in set(EQUATION_HOME.findall(path.read_text("utf-8"))))
    assert sorted({eq for eq, _ in equations_in_code()} - told.keys()) == []
    assert [eq for eq, count in told.items() if count > 1] == [], "an equation has one chapter"


def test_readme_map_names_what_exists() -> None:
    rows = readme_map()
    assert rows, "README.md has no table that starts with | chapter |"
    named = [path for paths in rows.values() for path in paths]
    assert named
    assert [path for path in named if not any(ROOT.glob(path.rstrip("/")))] == []


def test_chapters_are_on_the_map_and_notebooks_carry_their_names() -> None:
    rows = readme_map()
    assert {path.stem for path in CHAPTERS} - rows.keys() == set()
    paired = [
        (stem, path)
        for stem, paths in rows.items()
        for path in paths
        if path.startswith(("chapters/", "notebooks/"))
    ]
    assert [(stem, path) for stem, path in paired if Path(path).stem != stem] == []
