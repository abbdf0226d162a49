"""Figures are drawn without a display from any names, and the report keeps names as text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from test_recommender import split_of_groups

from minigen import plots
from minigen.errors import InputError
from minigen.plots import lessons, report
from minigen.plots.growth import growth_figure
from minigen.plots.race import race_figure
from minigen.plots.style import png
from minigen.recommender import MultVAE

NASTY = "<script>alert('$x$')</script> & \"quotes\" $ 100%"


@pytest.fixture(scope="module")
def split():
    return split_of_groups()


@pytest.fixture(scope="module")
def model(split):
    settings = {"hidden": 16, "latent": 6, "batch": 50, "epochs": 3}
    return MultVAE(**settings).fit(split.train, split.test)


def texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(match=lambda a: hasattr(a, "get_text")))


def test_learning_curves_mark_the_epoch_that_is_kept(model):
    history = [row | {"validation": score} for row, score in zip(model.state.history, (0.1, 0.3, 0.2))]
    figure = plots.learning_curves(history)
    assert "kept: epoch 2" in texts(figure)
    assert figure.axes[2].lines[0].get_ydata().tolist() == [0.1, 0.3, 0.2]
    assert png(figure).startswith(b"\x89PNG")
    assert png(plots.learning_curves([{k: v for k, v in r.items() if k != "validation"} for r in history]))


def test_comparison_draws_every_mean_with_its_interval():
    rows = [
        {"model": name, "metrics": {"a@1": m, "b@2": m / 2}, "se": {"a@1": 0.1, "b@2": 0.05}}
        for name, m in (("one", 0.4), ("two", 0.6))
    ]
    figure = plots.comparison(rows, ("a@1", "b@2"))
    bars = [container for container in figure.axes[0].containers if hasattr(container, "patches")]
    assert [[bar.get_height() for bar in group] for group in bars] == [[0.4, 0.2], [0.6, 0.3]]
    (segments,) = [bars[0].errorbar.lines[2][0].get_segments()]
    np.testing.assert_allclose(segments[0][:, 1], [0.4 - 0.196, 0.4 + 0.196])
    assert png(figure)


def test_behaviour_and_latent_map_survive_any_name(model, split):
    names = [NASTY for _ in split.items]
    history = split.test.fold_in[0]
    generated = np.linspace(1, 0, len(names))
    assert png(plots.behaviour(history, generated, np.arange(len(names)), names))
    figure = plots.latent_map(model, split.train, names, history)
    assert png(figure)
    drawn = {line.get_label(): line.get_xdata().size for line in figure.axes[0].lines}
    assert drawn == {"customers": 300, "products": 32 - history.nnz, "products of the customer": history.nnz}


def test_labels_of_the_map_do_not_cover_each_other(model, split):
    figure = plots.latent_map(model, split.train, [f"Product number {n}" for n in range(32)])
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) > 3
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
    few = plots.latent_map(model, split.train, [f"Product number {n}" for n in range(32)], n_products=3)
    assert {text.get_text() for text in few.axes[0].texts} <= {f"Product number {n}" for n in range(32)}
    assert 0 < len(few.axes[0].texts) <= 3


def test_a_race_has_a_bar_for_everyone_and_marks_the_least_that_is_possible():
    rows = [
        {"op": "step", "backend": "numpy", "median_ms": 40.0, "ratio": 1.0, "floor_ms": 9.0},
        {"op": "step", "backend": "numba", "median_ms": 16.0, "ratio": 2.5, "floor_ms": 8.0},
        {"op": "top_k", "backend": "numpy", "median_ms": 3.0, "ratio": 1.0},
        {"op": "top_k", "backend": "numba", "median_ms": 5.0},
    ]
    figure = race_figure(rows)
    (axis,) = figure.axes
    assert [[bar.get_width() for bar in group.patches] for group in axis.containers] == [[40, 3], [16, 5]]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["step", "top_k"]
    assert [text.get_text() for text in axis.texts] == ["", "", "2.5x", ""]  # NumPy is what the others are to
    (floor,) = axis.lines
    assert list(floor.get_xdata()) == [8.0, 8.0]
    assert png(figure)


def test_growth_draws_time_and_memory_with_their_exponents():
    rows = [
        {"axis": "items", "backend": backend, "size": size, "median_ms": size / speed, "peak_memory_mb": size}
        for backend, speed in (("numpy", 10), ("numba", 20))
        for size in (100, 1000)
    ]
    for row in rows[1::2]:
        row["exponents"] = {"median_ms": 1.0, "peak_memory_mb": 0.5}
    figure = growth_figure(rows)
    for axis, exponent in zip(figure.axes, ("1.00", "0.50")):
        labels = [line.get_label() for line in axis.lines]
        assert labels == [f"items, {backend}: size^{exponent}" for backend in ("numpy", "numba")]
        assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    assert list(figure.axes[0].lines[1].get_ydata()) == [5, 50]
    assert png(figure)


def test_save_writes_the_whole_picture_or_nothing(tmp_path):
    figure, _ = plots.new_figure(2, 2)
    plots.save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == png(figure)  # the same bytes every time
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        plots.save(figure, tmp_path / "file" / "b.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "file"]


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def test_the_report_keeps_names_as_text():
    parts = [
        report.heading(NASTY),
        report.paragraph(NASTY),
        report.table([NASTY, "n"], [[NASTY, 1], [NASTY, 0.5]]),
        report.commands([NASTY]),
        report.picture(b"png", NASTY),
    ]
    html = report.page(NASTY, parts)
    parser = Tags()
    parser.feed(html)
    assert "script" not in parser.tags
    assert "".join(parser.text).count(NASTY) == 8
    assert not re.search(r"(src|href)=[\"']?(http|//)", html)  # needs nothing beside it


def test_a_graph_has_its_boxes_and_arrows():
    boxes = {"a": (0, 0, "data"), "b": (2, 0, "layer"), "c": (2, 2, "loss")}
    _, axis = plots.graph(boxes, "a-b", size=(3, 2), given="a", dashed="b-c")
    words = {text.get_text(): text for text in axis.texts}
    assert {"data", "layer", "loss"} <= set(words)
    arrows = [text.arrow_patch for text in axis.texts if getattr(text, "arrow_patch", None)]
    assert [arrow.get_linestyle() for arrow in arrows] == ["-", "--"]
    shades = {name: words[name].get_bbox_patch().get_facecolor()[0] for name in ("data", "layer")}
    assert shades["data"] < shades["layer"] == 1
    with pytest.raises(KeyError):
        plots.graph(boxes, "a-nowhere", size=(3, 2))


def test_a_drawn_product_marks_the_row_and_the_column_of_its_entry():
    forward, *_ = lessons.three_products().axes
    cells = [(p.get_x(), p.get_y(), p.get_facecolor()[0] < 1) for p in forward.patches]
    assert len(cells) == 5 * 4 + 4 * 3 + 5 * 3
    assert sum(dark for *_, dark in cells) == 4 + 4 + 1


def test_the_four_passes_run_up_and_down_in_turn():
    (axis,) = lessons.four_passes().axes
    assert {"forward", "input gradient", "up", "down"} <= {text.get_text() for text in axis.texts}
    ways = [t.arrow_patch.get_arrowstyle() for t in axis.texts if getattr(t, "arrow_patch", None)]
    assert len(ways) == 3 + 3 + 2 + 3 + 2
