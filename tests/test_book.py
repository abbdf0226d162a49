"""The chapters show what stands in the library, letter by letter."""

from __future__ import annotations

import inspect
from pathlib import Path

from minigen import ops
from minigen.book import page_table, show
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
