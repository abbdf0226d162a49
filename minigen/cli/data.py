"""`minigen data`: look at events, convert them, and make synthetic ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from minigen.cli import work
from minigen.cli.columns import (
    BehaviourOption,
    Columns,
    EventsArgument,
    FormatOption,
    HeaderOption,
    ItemNameOption,
    ItemOption,
    JsonOption,
    MinWeightOption,
    SeparatorOption,
    TimeOption,
    UserOption,
    WeightOption,
    WeightsOption,
)

app = typer.Typer(help="Look at events, convert them, make synthetic ones.", no_args_is_help=True)

OutArgument = Annotated[Path, typer.Argument(metavar="OUT", help="A .csv, .tsv, .parquet or .jsonl file.")]


@app.command()
def info(
    events: EventsArgument,
    user: UserOption = None,
    item: ItemOption = None,
    behaviour: BehaviourOption = None,
    time: TimeOption = None,
    weight: WeightOption = None,
    item_name: ItemNameOption = None,
    format: FormatOption = None,
    separator: SeparatorOption = None,
    header: HeaderOption = None,
    weights: WeightsOption = None,
    min_weight: MinWeightOption = None,
    json: JsonOption = None,
) -> None:
    """Say what a table of events holds: sizes, density, time span, behaviours, weights."""
    columns = Columns(
        user, item, behaviour, time, weight, format, weights, min_weight, item_name, separator, header
    )
    from minigen.cli.output import console, print_table
    from minigen.provenance import write_json

    with console.status("reading the events"):
        numbers = columns.load(events).info()
    source = numbers.pop("source")
    print_table(f"Events of {source}", ["number", "value"], _lines(numbers))
    if json is not None:
        settings = {"events": events, **columns.given()}
        write_json(json, "data info", settings, [numbers])


@app.command()
def convert(
    events: EventsArgument,
    out: OutArgument,
    user: UserOption = None,
    item: ItemOption = None,
    behaviour: BehaviourOption = None,
    time: TimeOption = None,
    weight: WeightOption = None,
    item_name: ItemNameOption = None,
    format: FormatOption = None,
    separator: SeparatorOption = None,
    header: HeaderOption = None,
    weights: WeightsOption = None,
    min_weight: MinWeightOption = None,
    json: JsonOption = None,
) -> None:
    """Write events as CSV, Parquet or JSON lines under the names user, item, behaviour, time, weight."""
    columns = Columns(
        user, item, behaviour, time, weight, format, weights, min_weight, item_name, separator, header
    )
    from minigen.cli.output import console
    from minigen.data.write import write_events
    from minigen.provenance import write_json

    with console.status("converting"):
        found = columns.load(events)
        write_events(found, out)
    console.print(f"{events} -> {out}: {', '.join(found.columns)}")
    if json is not None:
        settings = {"events": events, **columns.given()}
        row = {"out": str(out), "columns": found.columns, "skipped": found.skipped}
        write_json(json, "data convert", settings, [row])


@app.command("split")
def split_events(
    events: EventsArgument,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder of the split, which train takes as EVENTS.")
    ],
    test: work.TestOption = None,
    split: work.SplitOption = "strong",
    held_out: work.HeldOutOption = None,
    k_core: work.KCoreOption = 5,
    duplicates: work.DuplicatesOption = "once",
    target: work.TargetOption = None,
    unseen: work.UnseenOption = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split.")] = 0,
    user: UserOption = None,
    item: ItemOption = None,
    behaviour: BehaviourOption = None,
    time: TimeOption = None,
    weight: WeightOption = None,
    item_name: ItemNameOption = None,
    format: FormatOption = None,
    separator: SeparatorOption = None,
    header: HeaderOption = None,
    weights: WeightsOption = None,
    min_weight: MinWeightOption = None,
) -> None:
    """Split events once and keep the parts: many models then train on the same rows, read from the disk."""
    columns = Columns(
        user, item, behaviour, time, weight, format, weights, min_weight, item_name, separator, header
    )
    from minigen.cli.output import console
    from minigen.cli.splits import make_split
    from minigen.errors import InputError
    from minigen.recommender.runs import write_split

    if out.exists():
        raise InputError(f"{out} is there already: choose another folder")
    made = make_split(
        events,
        columns,
        test=test,
        split=split,
        held_out=held_out,
        k_core=k_core,
        duplicates=duplicates,
        seed=seed,
        target=target,
        unseen=unseen,
    )
    write_split(out, made)
    console.print(f"{out} holds {work.describe(made)}", soft_wrap=True)


@app.command()
def fetch(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="movielens-100k, -1m, -10m, -20m, -25m or -32m.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the archive and its tables.")] = Path("data"),
) -> None:
    """Download a published set, check it against its makers' checksum, unpack it."""
    from minigen.cli.output import command, console
    from minigen.cli.progress import counted
    from minigen.data.fetch import fetch as download

    with counted("downloading", None) as report:
        folder = download(name, out, report)
    console.print(f"{folder} holds {name}.  Next: {command('train', folder)}", soft_wrap=True)


@app.command()
def simulate(
    out: OutArgument,
    users: Annotated[int, typer.Option(help="Number of users.")] = 1000,
    items: Annotated[int, typer.Option(help="Number of items.")] = 500,
    taste: Annotated[int, typer.Option(help="Dimensions of taste.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")] = 0,
    noise: Annotated[float, typer.Option(help="Share of events whose item is any at random.")] = 0.0,
    json: JsonOption = None,
) -> None:
    """Make synthetic shoppers with a known taste: view, cart and purchase events, timed."""
    from minigen.cli.output import console
    from minigen.data.simulate import simulate as draw
    from minigen.data.write import write_events
    from minigen.provenance import write_json

    with console.status("drawing synthetic events"):
        events, _ = draw(users, items, taste, seed, noise)
        write_events(events, out)
        numbers: dict[str, Any] = events.info()
    counts = ", ".join(f"{count:,} {name}" for name, count in numbers["behaviours"].items())
    console.print(f"{out}: synthetic, {numbers['users']:,} users, {numbers['items']:,} items, {counts}")
    if json is not None:
        settings = {"users": users, "items": items, "taste": taste, "seed": seed, "noise": noise}
        write_json(json, "data simulate", settings, [{"out": str(out), **numbers}])


def _lines(numbers: dict[str, Any]) -> list[tuple[str, str]]:
    lines = []
    for name, value in numbers.items():
        if isinstance(value, dict):
            lines += [(f"{name.replace('_', ' ')}: {part}", _number(count)) for part, count in value.items()]
        else:
            lines.append((name.replace("_", " "), _number(value)))
    return lines


def _number(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) and value < 1e4 else str(value)
