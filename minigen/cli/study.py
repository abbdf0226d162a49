"""`minigen study`: what the application does to held-out users of a run, each part measured by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minigen.cli import product_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minigen.data.interactions import Split
    from minigen.provenance import Clock
    from minigen.recommender import Recommender

RunArgument = Annotated[Path, typer.Argument(help="Folder of a run.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of whatever is drawn.")]
JsonOption = Annotated[Path | None, typer.Option(help="Write the figures to this file.")]
PlotOption = Annotated[Path | None, typer.Option(help="Draw them into this PNG.")]

app = typer.Typer(help="Measure a part of the application on a run's held-out users.", no_args_is_help=True)


@app.callback()
def _studies() -> None:
    """A command for each study."""


@app.command()
def repeat(run: RunArgument, k: int = 10, json: JsonOption = None) -> None:
    """Old and new in one list: the share of the history that validation users choose (split: rebuy)."""
    from minigen.application import studies

    clock, model, split = _open(run, k)
    rows = studies.repeats(model, split, k)
    _print(f"History and generated behaviour in one list of {k}", rows, ("share",))
    _write(json, "repeat", run, split, rows, clock)


@app.command()
def diversity(run: RunArgument, k: int = 10, json: JsonOption = None, plot: PlotOption = None) -> None:
    """What variety costs: NDCG against the distance within lists, by codes and by who bought the items."""
    from minigen import plots
    from minigen.application import ranking, studies
    from minigen.application.diversity import unit_rows
    from minigen.application.item_features import name_ngrams
    from minigen.plots.studies import trade_figure

    clock, model, split = _open(run, k)
    buyers = unit_rows(split.train.T.tocsr())
    kinds = {"buyers": buyers}
    if hasattr(model, "codes"):
        kinds = {"codes": ranking.model_vectors(model, split.train)} | kinds
    names = [split.item_names.get(item, item) for item in split.items]
    rows = studies.variety(model, split, kinds, unit_rows(name_ngrams(names)[0]), k)
    _print(f"Variety in a list of {k}; distance: between names", rows, ("weight", "chosen"))
    if plot:
        lines, chosen = {}, {}
        for kind in kinds:
            own = [row for row in rows if row["variant"] == kind]
            figures = [[row["metrics"][name] for row in own] for name in ("distance", f"ndcg@{k}")]
            lines[kind] = [*figures, [row["se"][f"ndcg@{k}"] for row in own]]
            chosen[kind] = [row["chosen"] for row in own].index(True)
        plots.save(trade_figure(lines, chosen), plot)
    _write(json, "diversity", run, split, rows, clock)


@app.command()
def uncertainty(
    run: RunArgument,
    lengths: Annotated[str, typer.Option(help="Items shown of the same people.")] = "1,2,4,8,16,32",
    seed: SeedOption = 0,
    json: JsonOption = None,
    plot: Annotated[Path | None, typer.Option(help="Folder for calibration.png and spread.png.")] = None,
) -> None:
    """Is a probability a frequency, is doubt larger where less is known, and what does exploring cost?"""
    from minigen import plots
    from minigen.application import studies
    from minigen.plots.studies import calibration_figure, spread_figure

    clock, model, split = _open(run)
    spread = studies.doubt(model, split, _numbers(lengths), seed)
    explored = studies.exploration(model, split, seed=seed)
    calibrated, curves = studies.calibrated(model, split, seed)
    _print("Doubt by what is known", spread)
    _print("Ranked by the posterior's mean, or by a draw from it", explored)
    _print("Calibration of the next new item", calibrated, ("temperature",))
    if plot:
        plots.save(calibration_figure(curves), plot / "calibration.png")
        std, overlap = ([row["metrics"][name] for row in spread] for name in ("std", "overlap@10"))
        plots.save(spread_figure([row["clicks"] for row in spread], std, overlap), plot / "spread.png")
    _write(json, "uncertainty", run, split, [*spread, *explored, *calibrated], clock, seed)


@app.command()
def explanations(
    run: RunArgument,
    users: Annotated[int, typer.Option(min=1, help="Test users to explain to, at the most.")] = 200,
    seed: SeedOption = 0,
    json: JsonOption = None,
    plot: PlotOption = None,
) -> None:
    """Do the reasons matter?  Influence against deletion, EASE's weights, random and popularity order."""
    from minigen import plots
    from minigen.application import studies
    from minigen.plots.studies import deletion_figure

    clock, model, split = _open(run)
    ease = studies.tuned_ease(split)
    models = [ease] if model.id == "ease" else [model, ease]
    rows = studies.explanations(models, split, ease, users, seed=seed)
    _print("Reasons for the first ten, and areas under deletion curves in nats", rows)
    if plot:
        curves = {row["model"]: {n: c for n, c in row["curves"].items() if n != "shares"} for row in rows}
        plots.save(deletion_figure(rows[0]["curves"]["shares"], curves), plot)
    _write(json, "explanations", run, split, rows, clock, seed)


app.command("product-features")(product_features.product_features)


def _open(run: Path, k: int = 1) -> tuple[Clock, Recommender, Split]:
    from minigen.cli import work
    from minigen.cli.output import console
    from minigen.errors import InputError
    from minigen.ladder import load_run
    from minigen.provenance import Clock

    clock, (model, split) = Clock(), load_run(run)
    if not 1 <= k <= len(split.items):
        raise InputError(f"k is {k}: want 1 to {len(split.items)}, the size of the catalogue")
    console.print(work.describe(split), soft_wrap=True)
    return clock, model, split


def _numbers(text: str) -> list[int]:
    from minigen.errors import InputError

    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise InputError(f"want whole numbers from 1 on, got {text!r}")
    return numbers


def _print(title: str, rows: list[dict[str, Any]], more: Sequence[str] = ()) -> None:
    from minigen.cli.output import print_table

    names = list(rows[0]["metrics"])  # as of all rows of a table

    def figure(row: dict[str, Any], name: str) -> str:
        se = f" ± {row['se'][name]:.4f}" if name in row["se"] else ""
        return f"{row['metrics'][name]:.4f}{se}"

    several = [f"{row['model']}, {row['variant']}" for row in rows]
    if len(names) > 5:  # a line a figure
        cells = [[name, *(figure(row, name) for row in rows)] for name in names]
        print_table(title, ["figure", *several], cells, rules=False)
        return
    cells = [
        [name, *(row[key] for key in more), *(figure(row, metric) for metric in names)]
        for name, row in zip(several, rows)
    ]
    print_table(title, ["", *more, *names], cells, rules=False)


def _write(
    file: Path | None,
    study: str,
    run: Path,
    split: Split,
    rows: list[dict[str, Any]],
    clock: Clock,
    seed: int | None = None,
) -> None:
    from minigen.provenance import write_json

    if file:
        about = {"study": study, "run": str(run), "split": split.name}
        write_json(file, "study", about, rows, clock.provenance(seed, split.hash))
