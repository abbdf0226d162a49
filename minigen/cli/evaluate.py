"""`minigen evaluate`: the figures of runs on their held-out users, beside each other and published ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minigen.cli import work

if TYPE_CHECKING:
    from minigen.data.interactions import HeldOut, Split
    from minigen.data.protocols import Protocol, Work
    from minigen.data.published import Published
    from minigen.evaluation.evaluate import Evaluation


def evaluate(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Folders of runs; all are compared with the first."),
    ],
    protocol: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The work they must have been measured on: lightgcn-gowalla, ..."),
    ] = None,
    metrics: work.MetricsOption = None,
    part: Annotated[str, typer.Option(help="test or validation.")] = "test",
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file.")] = None,
) -> None:
    """Measure the models in RUN... on the held-out users stored with them; runs of other work are refused."""
    from minigen.cli.differences import differences, print_differences
    from minigen.cli.output import console
    from minigen.data import protocols
    from minigen.data.published import PUBLISHED
    from minigen.evaluation.evaluate import evaluate as evaluated
    from minigen.ladder import load_model
    from minigen.provenance import Clock, write_json
    from minigen.recommender.runs import read_split

    clock = Clock()
    wanted = None if protocol is None else protocols.find_protocol(protocol)
    splits = [read_split(run) for run in runs]
    parts = [_held(run, split, part) for run, split in zip(runs, splits)]
    common = _same_work(runs, splits, parts, wanted)
    known = wanted or protocols.recognise(common)
    published = [row for row in PUBLISHED if known and row.protocol == known.name]
    names = _metrics(metrics, published if wanted else [], len(splits[0].items))
    console.print(work.describe(splits[0]))
    results: list[Evaluation] = []
    rows = []
    for run, split, held in zip(runs, splits, parts):
        model = load_model(run, split)
        results.append(evaluated(model, held, names))
        more: dict[str, Any] = {"run": str(run), "data_hash": split.hash}
        if len(results) > 1:
            more["differences"] = differences(results[-1], results[0])
        rows.append(results[-1].row(model.id, model.family, model.settings, **more))
    several = [row | {"model": f"{row['model']} ({row['run']})"} for row in rows]
    work.print_rows(rows if len(rows) == 1 else several)
    for row in several[1:]:
        print_differences(row, several[0]["model"])
    _print_published(known, published)
    if json:
        about: dict[str, Any] = {"runs": [str(run) for run in runs], "part": part, "split": splits[0].name}
        about |= {"protocol": known and known.name, "published": [row._asdict() for row in published]}
        seed, data_hash = rows[0]["settings"].get("seed"), splits[0].hash
        write_json(json, "evaluate", about, rows, clock.provenance(seed, data_hash))


def _held(run: Path, data: Split, part: str) -> HeldOut:
    from minigen.errors import InputError

    held = {"test": data.test, "validation": data.validation}.get(part)
    if held is None:
        raise InputError(f"{run} has no held-out part {part!r}")
    return held


def _same_work(runs: list[Path], splits: list[Split], parts: list[HeldOut], wanted: Protocol | None) -> Work:
    """The work that all runs share, `wanted` if there is one; raises InputError where they do not."""
    from minigen.data.protocols import work_of
    from minigen.errors import InputError

    works = [work_of(held, split.items) for held, split in zip(parts, splits)]
    for run, one in zip(runs, works):
        if wanted and not wanted.work.is_in(one):
            raise InputError(
                f"{run} was not measured on {wanted.name} ({one.apart(wanted.work)}): {wanted.about}"
            )
        if one != works[0]:
            raise InputError(
                f"{run} and {runs[0]} were not measured on the same work ({one.apart(works[0])}): "
                "their figures do not compare"
            )
    return works[0]


def _metrics(text: str | None, published: list[Published], n_items: int) -> tuple[str, ...]:
    """The metrics asked for; else those of the published rows, with both recalls; else the usual ones."""
    if text:
        return tuple(text.split(","))
    names = [name for row in published for name in row.metrics]
    lengths = [k for kind, _, k in (name.partition("@") for name in names) if kind.startswith("recall")]
    names += [f"{kind}@{k}" for k in lengths for kind in ("recall", "recall_min")]
    return work.within(tuple(names) or work.METRICS, n_items)


def _print_published(known: Protocol | None, published: list[Published]) -> None:
    from minigen.cli.output import console, print_table

    if known is None:
        console.print("No protocol has this work: no published row may stand beside it.")
        return
    console.print(f"This is the work of {known.name}: {known.about}.", soft_wrap=True)
    if published:
        cells = [
            [row.model, *(f"{figure:.4g}" for figure in row.metrics.values()), row.source, row.note]
            for row in published
        ]
        print_table(f"published on {known.name}", ["model", *published[0].metrics, "source", "note"], cells)
        console.print("recall@k is hits / |T|, recall_min@k is hits / min(k, |T|): they do not compare.")
