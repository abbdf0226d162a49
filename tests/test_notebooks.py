"""The book as notebooks: in step with its text, light, executed as it stands with the network off."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="notebooks are tested where Jupyter is installed")
jupytext = pytest.importorskip("jupytext", reason="notebooks are tested where jupytext is installed")

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "chapters").glob("[0-9]*.md"))
STEMS = [path.stem for path in CHAPTERS]
SHOWN = re.compile(r"^`(minigen/\S+)`, line (\d+)\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MAX_BYTES, MAX_SECONDS = 500_000, 90
ANSWER = re.compile(r"^```py\n(.*?)^```", re.MULTILINE | re.DOTALL)

# In the kernel's path: what a person without a network would meet.
OFFLINE = """
import socket

def refuse(self, address, real=socket.socket.connect):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "localhost", "::1"):
        raise OSError(f"the network is off: {address}")
    return real(self, address)

socket.socket.connect = refuse
"""
PROBE = """
import socket, time
try:
    socket.create_connection(("192.0.2.1", 80), timeout=1)
except OSError as error:
    print(error)
print(time.process_time())
"""


def notebook(stem: str) -> Any:
    return nbformat.read(ROOT / f"notebooks/{stem}.ipynb", as_version=4)


def code_cells(book: Any) -> list[Any]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def parsed(cell: Any) -> ast.Module:
    return ast.parse("\n".join("" if line.startswith("%") else line for line in cell.source.splitlines()))


def inputs(book: Any) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in book.cells]


def printed(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def public_names() -> set[str]:
    """Every function and class that the library defines for others; a twin bears its original's name."""
    return {
        node.name
        for path in (ROOT / "minigen").rglob("*.py")
        if "cli" not in path.parts and not path.name.startswith(("numba_", "cuda_"))
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
    }


def bound(node: ast.AST) -> Iterator[str]:
    """The names that a cell gives a meaning: definitions, assignments, and imports from elsewhere."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                origin = getattr(child, "module", None) or names[0].name
                if origin.split(".")[0] != "minigen":
                    yield from (alias.asname or alias.name.split(".")[0] for alias in names)
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                pass  # a scope of their own
            case _:
                yield from bound(child)


def test_every_chapter_has_its_notebook() -> None:
    assert CHAPTERS
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")) == STEMS


@pytest.mark.parametrize("stem", STEMS)
def test_pair_is_in_step(stem: str) -> None:
    text = inputs(jupytext.read(ROOT / f"chapters/{stem}.md"))
    assert inputs(notebook(stem)) == text, "run `make notebooks`"


@pytest.mark.parametrize("stem", STEMS)
def test_notebook_is_light_and_executed_without_warnings(stem: str) -> None:
    assert (ROOT / f"notebooks/{stem}.ipynb").stat().st_size < MAX_BYTES
    cells = code_cells(notebook(stem))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"] == []


@pytest.mark.parametrize("stem", STEMS)
def test_shown_source_is_that_of_the_library(stem: str) -> None:
    outputs = [output for cell in code_cells(notebook(stem)) for output in cell.outputs]
    for output in outputs:
        for path, line, shown in SHOWN.findall(output.get("data", {}).get("text/markdown", "")):
            lines = (ROOT / path).read_text("utf-8").splitlines()[int(line) - 1 :]
            here = dedent("\n".join(lines[: shown.count("\n")]))
            assert here == shown.rstrip("\n"), f"{path}: `touch chapters/{stem}.md; make notebooks`"


def redefined(cells: list[ast.Module], public: set[str]) -> set[str]:
    """Functions and classes under a public name, and whatever takes a name that the page has from minigen.

    A number called `best` is nobody's function, as long as the page does not use the one of that name.
    """
    nodes = [node for cell in cells for node in ast.walk(cell)]
    origins = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    ours = {
        alias.asname or alias.name
        for node in origins
        if (node.module or "").split(".")[0] == "minigen"
        for alias in node.names
    }
    statements = [node for cell in cells for node in cell.body]
    made = {node.name for node in statements if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    return made & public | {name for cell in cells for name in bound(cell)} & ours


@pytest.mark.parametrize("stem", STEMS)
def test_no_cell_redefines_a_public_name(stem: str) -> None:
    cells = [parsed(cell) for cell in code_cells(notebook(stem))]
    assert sorted(redefined(cells, public_names())) == []


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("def ndcg(hits): ...", {"ndcg"}),
        ("ndcg = 0.3", set()),
        ("from minigen.evaluation.metrics import ndcg\nfor ndcg in (): ...", {"ndcg"}),
        ("from minigen.evaluation import metrics as m\nm = 1", {"m"}),
    ],
)
def test_what_a_cell_redefines_is_found(cell: str, names: set[str]) -> None:
    assert redefined([ast.parse(cell)], {"ndcg"}) == names


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("def ndcg(): x = 1", {"ndcg"}),
        ("for ndcg, b in []:\n    c = 1", {"ndcg", "b", "c"}),
        ("from elsewhere import ndcg as n\nimport a.b", {"n", "a"}),
        ("from minigen.evaluation.metrics import ndcg\n[ndcg for ndcg in ()]", set()),
    ],
)
def test_bound_names_are_found(cell: str, names: set[str]) -> None:
    assert set(bound(ast.parse(cell))) == names


@pytest.mark.parametrize("stem", STEMS)
def test_chapter_has_its_form(stem: str) -> None:
    text = (ROOT / f"chapters/{stem}.md").read_text("utf-8")
    for wanted in ("**You will**", "**You need**", "**It takes**", "**Predict.**", "## Summary"):
        assert wanted in text
    commands = re.findall(r"-m pytest (tests/\S+)", text)
    assert commands
    assert all((ROOT / path).exists() for path in commands)
    assert 3 <= text.count("### Exercise") <= 6
    assert text.count("### Exercise") == len(ANSWER.findall(text)) == text.count("</details>")

    cells = notebook(stem).cells
    assert "## Check yourself" in cells[-2].source
    assert sum(isinstance(node, ast.Assert) for node in ast.walk(parsed(cells[-1]))) >= 3


def exercises(book: Any) -> Iterator[tuple[str, str]]:
    """Each worked answer, and the check that stands above it."""
    for check, text in pairwise(book.cells):
        for answer in ANSWER.findall(text.source if text.cell_type == "markdown" else ""):
            yield answer, check.source


@pytest.mark.slow
@pytest.mark.parametrize("stem", STEMS)
def test_notebook_executes_as_it_stands(stem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Top to bottom, then the worked answers: the skeletons are wrong, the answers right."""
    nbclient = pytest.importorskip("nbclient")
    (tmp_path / "sitecustomize.py").write_text(OFFLINE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # the answers are not the user's
    book = notebook(stem)
    for cell in code_cells(book):
        cell.outputs, cell.execution_count = [], None
    solved = list(exercises(book))
    checks = {check for _, check in solved}
    book.cells.append(nbformat.v4.new_code_cell(PROBE))
    book.cells += [nbformat.v4.new_code_cell(source) for pair in solved for source in pair]

    nbclient.NotebookClient(book, timeout=5 * MAX_SECONDS, kernel_name="python3").execute(cwd=tmp_path)

    cells = code_cells(book)
    end = len(cells) - 2 * len(solved)
    assert [o for cell in cells for o in cell.outputs if o.get("name") == "stderr"] == []
    verdicts = [printed(cell) for cell in cells[:end] if cell.source in checks]
    assert len(verdicts) == len(solved)
    assert [text for text in verdicts if not text.startswith("not yet: ")] == []
    assert [printed(cell) for cell in cells[end + 1 :: 2]] == ["right\n"] * len(solved)
    offline, seconds = printed(cells[end - 1]).splitlines()
    assert offline.startswith("the network is off")
    assert float(seconds) < MAX_SECONDS  # of CPU: the clock on the wall would measure the neighbours too
