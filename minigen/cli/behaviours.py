"""The table and the file of `minigen reproduce behaviours`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigen.cli import work
from minigen.cli.columns import Columns
from minigen.cli.output import console, print_table
from minigen.cli.progress import SILENCE, progress
from minigen.cli.splits import make_split
from minigen.data.behaviours import behaviour_folders
from minigen.errors import Interrupted
from minigen.provenance import write_json

if TYPE_CHECKING:
    from minigen.reproduce.behaviours import Experiment, Row


def run_table(
    events: str,
    target: str,
    split: str,
    unseen: bool,
    runs: Path,
    settings: dict[str, Any],
    weights: list[str],
    json: Path | None,
) -> None:
    """Run what is missing of the table, print it, and write it to `json` after each row."""
    from minigen.provenance import Clock
    from minigen.reproduce.behaviours import Experiment

    clock = Clock()
    published = split == "weak" and behaviour_folders(events)  # their folder is taken as it is
    by: dict[str, Any] = {} if published else {"split": split, "k_core": 1}
    data = make_split(events, Columns(), target=target, unseen=unseen, **by)
    console.print(work.describe(data))
    experiment = Experiment(data, runs, settings, weights, unseen, _watch)
    rows: list[Row] = []
    try:
        for rows in experiment.rows():
            if json:
                about: dict[str, Any] = {"experiment": "behaviours", "events": events, "target": target}
                about |= {
                    "split": data.name,
                    "unseen": unseen,
                    "shares": experiment.shares,
                    "behaviours": data.behaviours,
                }
                write_json(json, "reproduce", about, rows, clock.provenance(settings["seed"], data.hash))
    except KeyboardInterrupt:
        raise Interrupted(f"the same command goes on with what is in {runs}") from None
    _print(experiment, rows)


@contextmanager
def _watch(what: str, epochs: int) -> Iterator[Any]:
    console.print(what, soft_wrap=True)
    if not epochs:
        yield None
        return
    with progress(epochs, SILENCE) as report:
        yield report


def _print(experiment: Experiment, rows: list[Row]) -> None:
    shares = ", ".join(f"{name} {share:.1%}" for name, share in experiment.shares.items())
    console.print(f"Of what is to be found, touched before by: {shares}", soft_wrap=True)
    metric = "ndcg@20" if "ndcg@20" in rows[0]["metrics"] else next(iter(rows[0]["metrics"]))
    cells = []
    for row in rows:
        parts = [row, *(row["apart"][name] for name in experiment.shares)]
        figures = [f"{part['metrics'][metric]:.4f} ± {part['se'].get(metric, 0):.4f}" for part in parts]
        cells.append([row["model"], *figures])
    title = f"{metric} of {rows[0]['users']:,} users, by what they had done to the item before"
    print_table(title, ["model", "all", *experiment.shares], cells, rules=False)
    for row in rows:
        if (d := row.get("difference", {}).get(metric)) is not None:
            console.print(
                f"{row['model']} minus the target alone: {d['difference']:+.4f} ± {d['se']:.4f}, "
                f"95% {d['low']:+.4f} to {d['high']:+.4f}",
                soft_wrap=True,
            )
