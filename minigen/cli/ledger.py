"""The table, the file and the last line of `minigen reproduce cfgan`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigen.cli.output import console, print_table
from minigen.cli.progress import SILENCE, progress
from minigen.errors import Interrupted
from minigen.provenance import write_json

if TYPE_CHECKING:
    from minigen.data.published import Published
    from minigen.provenance import Clock
    from minigen.reproduce.cfgan import Ledger, Row


def run_ledger(folder: Path, runs: Path, seeds: int, settings: dict[str, Any], json: Path | None) -> None:
    """Run what is missing of the ledger of the split in `folder`, print it, and write it to `json`."""
    from threadpoolctl import threadpool_limits

    from minigen.data.protocols import recognise, work_of
    from minigen.data.published import PUBLISHED, read_cfgan_split
    from minigen.provenance import Clock
    from minigen.reproduce.cfgan import Ledger

    clock, split = Clock(), read_cfgan_split(folder)
    protocol = recognise(work_of(split.test, split.items))
    published = [row for row in PUBLISHED if protocol and row.protocol == protocol.name]
    rows: list[Row] = []
    with threadpool_limits(1, user_api="blas"):  # at batch 32 a second thread only waits
        ledger = Ledger(split, runs, seeds, settings, _watch)
        try:
            for rows in ledger.rows():
                if json:
                    _write(json, ledger, rows, published, clock)
        except KeyboardInterrupt:
            raise Interrupted(f"the same command goes on with what is in {runs}") from None
    _print(ledger, rows, published)


@contextmanager
def _watch(what: str, epochs: int) -> Iterator[Any]:
    console.print(f"{what}: at most {epochs} epochs", soft_wrap=True)
    with progress(epochs, SILENCE) as report:
        yield report


def _print(ledger: Ledger, rows: list[Row], published: list[Published]) -> None:
    from minigen.reproduce.cfgan import METRICS

    cells = [
        [row["model"], *(f"{row['metrics'][m]:.4f} ± {row['se'][m]:.4f}" for m in METRICS), len(row["seeds"])]
        for row in rows
    ]
    cells += [[f"{p.model}, {p.source}", *(f"{p.metrics[m]:.3f}" for m in METRICS), None] for p in published]
    print_table(
        "Means over users and seeds ± standard error over users", ["model", *METRICS, "seeds"], cells, False
    )
    for line in verdict(ledger, rows, published):
        console.print(line, soft_wrap=True)


def verdict(ledger: Ledger, rows: list[Row], published: list[Published]) -> list[str]:
    """Whether the published row is met, and what the adversary adds: the last line."""
    from minigen.reproduce.cfgan import ALONE, FULL, SQUARES

    lines = []
    full = next(row for row in rows if row["model"] == FULL)
    for row in published:
        for m in ("precision@5", "ndcg@20"):
            off = (full["metrics"][m] - row.metrics[m]) / full["se"][m]
            lines.append(
                f"{m}: {abs(off):.1f} standard errors {'above' if off > 0 else 'below'} {row.source}"
            )
    for text, other in (("in the place of a squared error, it adds", SQUARES), ("the adversary adds", ALONE)):
        d = ledger.difference(FULL, other)
        paired = f"N@20, paired over {full['users']} users and {d.seeds} seeds"
        lines.append(f"{text} {d.mean:+.4f} ± {d.se:.4f} ({paired})")
    return lines


def _write(file: Path, ledger: Ledger, rows: list[Row], published: list[Published], clock: Clock) -> None:
    from minigen.reproduce.cfgan import ALONE, FULL, SQUARES, VALIDATION_SHARE

    there = {row["model"] for row in rows}
    adds = {other: ledger.difference(FULL, other)._asdict() for other in (ALONE, SQUARES) if other in there}
    about = {"experiment": "cfgan", "split": ledger.split.name, "validation_share": VALIDATION_SHARE}
    about |= {"published": [row._asdict() for row in published], "adversary_adds_ndcg@20_to": adds}
    write_json(file, "reproduce", about, rows, clock.provenance(0, ledger.split.hash))
