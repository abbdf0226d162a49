"""The text of the chapters: formulas that every page can set, links and paths that lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "chapters").glob("[0-9]*.md"))
PAGES = [*CHAPTERS, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]

FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.DOTALL)
PATH = re.compile(r"`((?:minigen|tests|chapters|notebooks|results)/[\w./-]*[\w/])`")

# What the chapters use; all of it is in the standard bundle of MathJax.
COMMANDS = """
    ! , ; { } \\ Big Bigg Bigl Bigr Gamma Longleftrightarrow Sigma Vert alpha approx bar begin beta bigl
    bigr cap cdot cos cup delta det dots end epsilon eta exp frac gamma ge hat in infty int lVert lambda
    langle le left leftarrow log longrightarrow lvert mathbb mathbf mathcal mathrm mathsf max mid min mu nabla
    ne neq notin nu odot operatorname overline partial phi pi pm prod propto qquad quad rVert rangle rho right
    rvert sigma sim sqrt sum tanh tau text tfrac theta tilde times to underbrace varepsilon varphi xi
"""
KNOWN = {" ", *COMMANDS.split()}


def words(text: str) -> str:
    """The page without its code."""
    return re.sub(r"`[^`\n]*`", "`", FENCED.sub("", text))


def faults(formula: str) -> Iterator[str]:
    bare = re.sub(r"\\[\\{}]", "", formula)
    depth = 0
    for mark in re.findall(r"[{}]", bare):
        depth += 1 if mark == "{" else -1
        if depth < 0:
            break
    if depth:
        yield "braces"
    if len(re.findall(r"\\left\b", formula)) != len(re.findall(r"\\right\b", formula)):
        yield "left and right"
    if re.findall(r"\\begin\{(\w+)", formula) != re.findall(r"\\end\{(\w+)", formula):
        yield "begin and end"
    yield from set(re.findall(r"\\([a-zA-Z]+|.)", formula)) - KNOWN


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
def test_formulas_can_be_set(page: Path) -> None:
    text = words(page.read_text("utf-8"))
    assert [part[:60] for part in text.split("\n\n") if part.count("$") % 2] == []
    wrong = {found[0]: why for found in FORMULA.finditer(text) if (why := list(faults(found[1] or found[2])))}
    assert wrong == {}


@pytest.mark.parametrize(
    ("formula", "fault"),
    [
        (r"\frac{1}{2", "braces"),
        (r"}x{", "braces"),
        (r"\left( x", "left and right"),
        (r"\begin{cases} x", "begin and end"),
        (r"\fraq{1}{2}", "fraq"),
    ],
)
def test_a_formula_that_cannot_be_set_is_seen(formula: str, fault: str) -> None:
    assert fault in list(faults(formula))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", FENCED.sub("", text))
    dead = [link for link in links if not (page.parent / link).exists()]
    dead += [path for path in PATH.findall(text) if not any(ROOT.glob(path.rstrip("/")))]
    dead = [path for path in dead if path != "tests/test_name.py"]  # a pattern, not a place
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_chapters_that_are_named_exist(page: Path) -> None:
    named = set(re.findall(r"\bchapter (\d\d)\b", page.read_text("utf-8")))
    assert named - {f"{number:02}" for number in range(15)} == set()
