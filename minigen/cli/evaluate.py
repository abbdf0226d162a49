"""`minigen evaluate`: the figures of a run on its held-out users."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minigen.cli import work


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    metrics: work.MetricsOption = None,
    part: Annotated[str, typer.Option(help="test or validation.")] = "test",
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file.")] = None,
) -> None:
    """Measure the model in RUN on the held-out users stored with it."""
    from minigen.cli.output import console, write_json
    from minigen.errors import InputError
    from minigen.provenance import Clock
    from minigen.recommender import load_model
    from minigen.recommender.runs import read_split

    clock = Clock()
    model, data = load_model(run), read_split(run)
    held = {"test": data.test, "validation": data.validation}.get(part)
    if held is None:
        raise InputError(f"{run} has no held-out part {part!r}")
    console.print(work.describe(data))
    row = work.measure(model, held, metrics)
    work.print_rows([row])
    if json:
        about = {"run": str(run), "part": part, "split": data.name, "data_hash": data.hash}
        write_json(json, "evaluate", about, [row], clock.provenance(model.settings.get("seed"), data.hash))
