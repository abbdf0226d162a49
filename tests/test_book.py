"""The chapters show what stands in the library, letter by letter."""

from __future__ import annotations

import base64
import inspect
import json
import runpy
import sys
from pathlib import Path

import pytest

from minigen import book, ops
from minigen.book import PICTURES, measured, page_table, picture, show, sliders
from minigen.recommender import MultVAE

ROOT = Path(__file__).parents[1]


def test_source_is_shown_with_its_place():
    page = show(ops.dense_forward, MultVAE.train_step)
    head, *_ = page.splitlines()
    path, _, line = head.replace("`", "").partition(", line ")
    assert (ROOT / path).read_text("utf-8").splitlines()[int(line) - 1].startswith("def dense_forward(")
    assert inspect.getsource(ops.dense_forward) in page
    assert "\ndef train_step(" in page  # a method stands at the margin
    assert page._repr_markdown_() == page
    assert page.count("```") == 4


def test_a_table_has_its_borders_alone():
    page = page_table(["what", "size"], [["|g|", 2], ["w", 3.5]])
    assert page.splitlines() == ["| what | size |", "| --- | --- |", "| \\|g\\| | 2 |", "| w | 3.5 |"]


def test_names_from_the_data_stay_text_in_a_table():
    page = page_table(["name"], [["<script>alert('x')</script>\n&amp; a | line"]])
    assert page.splitlines()[2:] == ["| &lt;script&gt;alert('x')&lt;/script&gt; &amp;amp; a \\| line |"]


def test_reported_figures_are_read_by_name():
    assert measured("gan-ring")["rows"]


def drawn(height, width=7):
    return f"{height} by {width}"


def test_sliders_begin_in_the_middle_and_draw(monkeypatch):
    widgets = pytest.importorskip("ipywidgets")
    monkeypatch.delenv("MINIGEN_STILL", raising=False)
    shown = []
    monkeypatch.setattr("ipywidgets.widgets.interaction.display", shown.append)
    made = sliders(drawn, height=[1, 2, 3, 4], width=[5.0, 0.5])
    height, width = (box for box in made.children if isinstance(box, widgets.SelectionSlider))
    assert (height.value, width.value) == (3, 0.5)
    assert [label for label, _ in width.options] == ["5", "0.5"]
    height.value = 4
    assert shown == ["3 by 0.5", "4 by 0.5"]  # under the sliders, at once and after each move


@pytest.mark.parametrize("why", ["still", "no widgets"])
def test_sliders_degrade_to_the_figure_of_the_middle(monkeypatch, why):
    if why == "still":
        monkeypatch.setenv("MINIGEN_STILL", "1")
    else:
        monkeypatch.delenv("MINIGEN_STILL", raising=False)
        monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert sliders(drawn, height=[1, 2, 3]) == "2 by 7"


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_of_the_readme_are_those_of_the_notebooks(name):
    assert f"chapters/images/{name}" in (ROOT / "README.md").read_text("utf-8")
    assert (ROOT / "chapters/images" / name).read_bytes() == picture(name), "run `make notebooks`"


def test_a_picture_is_that_of_the_cell_with_its_words(tmp_path, monkeypatch):
    def cell(source, *outputs):
        return {"source": [source], "outputs": [{"data": data} for data in outputs]}

    png = base64.b64encode(b"drawn").decode()
    words = PICTURES["ring.png"][1]
    monkeypatch.setattr(book, "_ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()
    file = tmp_path / "notebooks/05-gan.ipynb"
    cells = [{"source": [f"text: {words}"]}, cell("x", {"image/png": "other"}), cell(f"# {words}", {}, {})]
    file.write_text(json.dumps({"cells": cells}), "utf-8")
    with pytest.raises(LookupError, match=r"05-gan.ipynb: no picture in a cell with 'Circles: the modes\.'"):
        picture("ring.png")
    cells[-1]["outputs"][1]["data"] = {"image/png": [png]}
    file.write_text(json.dumps({"cells": cells}), "utf-8")
    assert picture("ring.png") == b"drawn"


def test_all_pictures_of_the_readme_are_written_from_the_notebooks(monkeypatch):
    written = {}
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: written.update({path.name: data}))
    runpy.run_path(book.__file__, run_name="__main__")
    assert written == {name: picture(name) for name in PICTURES}
