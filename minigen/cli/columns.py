"""The options that say how an event table is read: the same words for every command that takes events."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minigen.errors import InputError

if TYPE_CHECKING:
    from minigen.data.events import Events

_PANEL = "Event table"

EventsArgument = Annotated[
    str,
    typer.Argument(
        metavar="EVENTS",
        help="A file or folder of events, the folder of a split, or online-retail, online-retail-raw.",
    ),
]
UserOption = Annotated[
    str | None,
    typer.Option("--user", help="Column of the user.", show_default="user", rich_help_panel=_PANEL),
]
ItemOption = Annotated[
    str | None,
    typer.Option("--item", help="Column of the item.", show_default="item", rich_help_panel=_PANEL),
]
BehaviourOption = Annotated[
    str | None,
    typer.Option(
        "--behaviour",
        help="Column of the behaviour, such as view or purchase.",
        show_default="behaviour, where there is one",
        rich_help_panel=_PANEL,
    ),
]
TimeOption = Annotated[
    str | None,
    typer.Option(
        "--time",
        help="Column of the time: epoch seconds or milliseconds, or ISO.",
        show_default="time, where there is one",
        rich_help_panel=_PANEL,
    ),
]
WeightOption = Annotated[
    str | None,
    typer.Option(
        "--weight",
        help="Column of the weight, such as a rating.",
        show_default="weight, where there is one",
        rich_help_panel=_PANEL,
    ),
]
ItemNameOption = Annotated[
    str | None,
    typer.Option(
        "--item-name",
        help="Column of what people call the item.",
        show_default="item_name, where there is one",
        rich_help_panel=_PANEL,
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="csv, parquet, jsonl, movielens, retailrocket, taobao, lightgcn or triples.",
        show_default="by the name of the file",
        rich_help_panel=_PANEL,
    ),
]
SeparatorOption = Annotated[
    str | None,
    typer.Option(
        "--separator",
        help="Separator of a CSV.",
        show_default="by its first line",
        rich_help_panel=_PANEL,
    ),
]
HeaderOption = Annotated[
    str | None,
    typer.Option(
        "--header",
        metavar="NAME,NAME,...",
        help="Names of the columns, for a CSV without a header line.",
        rich_help_panel=_PANEL,
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights", help="Factor of each behaviour: purchase=1,cart=0.5,view=0.1.", rich_help_panel=_PANEL
    ),
]
MinWeightOption = Annotated[
    float | None,
    typer.Option("--min-weight", help="Keep events of at least this weight.", rich_help_panel=_PANEL),
]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the rows to this file as JSON.")]


def parse_weights(text: str | None) -> dict[str, float] | None:
    """{"purchase": 1.0, "cart": 0.5} from "purchase=1,cart=0.5"; raises InputError for anything else."""
    if text is None:
        return None
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, equals, number = part.rpartition("=")
        name = name.strip()
        if not (equals and name):
            raise InputError(f"--weights: want name=number,name=number, got {part!r}")
        if name in weights:
            raise InputError(f"--weights: {name} stands there twice")
        try:
            weights[name] = float(number)
        except ValueError:
            raise InputError(f"--weights: {number!r} is not a number, for {name}") from None
    return weights


@dataclass(frozen=True)
class Columns:
    """What the options of a command say about its event table."""

    user: str | None = None
    item: str | None = None
    behaviour: str | None = None
    time: str | None = None
    weight: str | None = None
    format: str | None = None
    weights: str | None = None
    min_weight: float | None = None
    item_name: str | None = None
    separator: str | None = None
    header: str | None = None

    def given(self) -> dict[str, str | float]:
        """The options that were given."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def load(self, path_or_name: str) -> Events:
        """The events of a file or an embedded set; raises InputError, one line."""
        return load_events(path_or_name, **self.given())


def load_events(path_or_name: str, **options: Any) -> Events:
    """The events that options (the fields of `Columns`) ask for; raises InputError, one line."""
    from minigen.data.formats import load

    given = {**options, "weights": parse_weights(options.get("weights"))}
    if options.get("header"):
        given["header"] = options["header"].split(",")
    if given.get("separator") == "\\t":  # what a shell makes of '\t'
        given["separator"] = "\t"
    return load(path_or_name, **given)
