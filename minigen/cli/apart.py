"""Of several behaviours: figures apart for what was touched before and what is new; and the order of acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigen.cli import work
from minigen.cli.output import print_table

if TYPE_CHECKING:
    from pathlib import Path

    from minigen.data.events import Events
    from minigen.data.interactions import HeldOut, Split
    from minigen.recommender import Recommender

SHOWN = ("recall@20", "ndcg@20")


def parts_of(data: Split) -> dict[str, HeldOut]:
    """The test of a split of several behaviours, see `known_parts`; without the parts that are empty."""
    from minigen.data.behaviours import known_parts

    parts = known_parts(data.test, data.behaviours)
    return {name: part for name, part in parts.items() if part.target.nnz}


def measure_apart(model: Recommender, data: Split, metrics: str | None = None) -> dict[str, Any]:
    """Figures of each part by its name, with its share of all pairs that are to be found."""
    rows = {}
    for name, part in parts_of(data).items():
        row = work.measure(model, part, metrics)
        share = part.target.nnz / data.test.target.nnz
        rows[name] = {"pairs": part.target.nnz, "share": share} | {
            key: row[key] for key in ("users", "metrics", "se")
        }
    return rows


def print_apart(rows: dict[str, Any]) -> None:
    """Print what `measure_apart` found."""
    shown = [metric for metric in SHOWN if all(metric in row["metrics"] for row in rows.values())]
    cells = []
    for name, row in rows.items():
        figures = (f"{row['metrics'][m]:.4f} ± {row['se'].get(m, 0):.4f}" for m in shown)
        cells.append([name, f"{row['share']:.1%}", *figures])
    print_table("To be found, by what the user had done to it before", ["by", "share", *shown], cells)


def keep_order(events: Events, data: Split, run: Path) -> None:
    """Where events of several behaviours have times, count in which order, for sequences to be generated."""
    from minigen.synthetic.chain import training_sequences, write_portraits

    if "time" in events.columns:
        write_portraits(run, training_sequences(events, data), len(data.behaviours))
