"""`minigen generate`: a generative model trained on points or images, its pictures, and how good it is."""

from __future__ import annotations

import importlib
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from minigen.cli import work
from minigen.cli.generate_users import users

MODELS = {  # id -> where its class is
    "gan": ("minigen.gan_training", "GAN"),
    "wgan-gp": ("minigen.gan_training", "WGAN"),
    "vae": ("minigen.vae_training", "VAE"),
    "iwae": ("minigen.vae_training", "IWAE"),
}


class ByModel(TyperGroup):
    """`minigen generate MODEL ...`: whatever is no command of the group is the MODEL of `model`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names, or `model` for all words."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["model", *args])


app = typer.Typer(
    cls=ByModel,
    help=f"Train a generative model ({', '.join(MODELS)}) and draw from it, or sample users of a run.",
    no_args_is_help=True,
)


@app.command("model")
def generate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"{', '.join(MODELS)}.")],
    data: Annotated[
        str, typer.Option(help="ring, grid, fashion-mnist, a .csv or .npy file of numbers, or images.")
    ] = "ring",
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("generated"),
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the model; repeatable."),
    ] = None,
    vary: Annotated[
        str | None, typer.Option(metavar="NAME=V1,V2,...", help="One run for each value of a setting.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of training.")] = 0,
    seeds: Annotated[int, typer.Option(help="Number of runs, with seeds from --seed on.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in OUT after a stop.")] = False,
    checkpoint_seconds: Annotated[
        float, typer.Option(help="Time between checkpoints; 0: one after every step.")
    ] = 60.0,
    debug_numerics: work.DebugOption = False,
    json: Annotated[Path | None, typer.Option(help="Write settings and figures to this file.")] = None,
) -> None:
    """Train MODEL, draw its samples, an animation of training and more into OUT, and measure the samples."""
    from minigen.cli.generation import print_runs, run_once
    from minigen.cli.output import console
    from minigen.data.vectors import load_vectors
    from minigen.provenance import Clock, want_results, write_json

    clock = Clock()
    if json:
        want_results(json)  # before the work
    runs = plan_runs(model, settings or [], vary, seed, seeds)
    table = load_vectors(data)
    console.print(table.describe())
    rows = []
    for folder, chosen in runs:
        with work.watched(debug_numerics):
            rows.append(run_once(model_class(model), chosen, table, out / folder, resume, checkpoint_seconds))
        print_runs([rows[-1]])
    if len(rows) > 1:
        print_runs(rows)
    console.print(f"The pictures are in {out}")
    if json:
        about = {"data": data, "data_hash": table.hash, "vary": vary, "seeds": [*range(seed, seed + seeds)]}
        write_json(json, "generate", about, rows, clock.provenance(seed, table.hash))


app.command("users")(users)


def plan_runs(
    model: str, pairs: list[str], vary: str | None, seed: int, seeds: int
) -> list[tuple[str, dict[str, Any]]]:
    """The folder, below OUT, and the given settings of every run; raises InputError before any work."""
    from minigen.cli.settings import parse_settings, parse_tuning
    from minigen.errors import InputError

    if seeds < 1:
        raise InputError(f"--seeds: want at least 1, got {seeds}")
    kind = model_class(model)
    given = parse_settings(kind, pairs)
    name, values = parse_tuning(kind, vary) if vary else ("", [None])
    runs = []
    for value, number in product(values, range(seed, seed + seeds)):
        chosen = given | {"seed": number} | ({name: value} if vary else {})
        kind(**chosen)
        parts = [f"{name}={value}"] * bool(vary) + [f"seed-{number}"] * (seeds > 1)
        runs.append(("/".join(parts), chosen))
    return runs


def model_class(model: str) -> Any:
    """The class of a model that generates; raises InputError for an unknown name."""
    from minigen.errors import InputError

    if model not in MODELS:
        raise InputError(f"there is no model {model!r} to generate with; there are {', '.join(MODELS)}")
    module, name = MODELS[model]
    return getattr(importlib.import_module(module), name)
