"""`minigen trace`: one batch through a model, forward and back, an operation a line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from minigen.trace import Call

MODELS = {  # id -> what its batch is of
    "mult-vae": "online-retail",
    "seed-vae": "online-retail",
    "vae": "fashion-mnist",
    "iwae": "fashion-mnist",
    "gan": "ring",
    "wgan-gp": "ring",
}


def trace(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=", ".join(MODELS) + ".")] = "mult-vae",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the model; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights and noise.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
) -> None:
    """Follow one training step: each operation's equation, what it returns (shape, range, bytes), its time.

    A model of clicks takes its batch from the embedded purchases, a VAE from the embedded images, a GAN from
    the ring.
    """
    from minigen.cli.output import console, print_table
    from minigen.errors import InputError
    from minigen.provenance import Clock, write_json
    from minigen.trace import tracing

    if model not in MODELS:
        raise InputError(f"there is no model {model!r} to trace; there are {', '.join(MODELS)}")
    clock = Clock()
    step, about = _step(model, settings or [], seed)
    step()  # buffers, caches and compilers have their first time elsewhere
    with tracing() as calls:
        step()
    rows = [_row(call) for call in calls]
    columns = ("operation", "equation", "returns", "min", "max", "kB", "ms")
    lines = (cells for row in rows for cells in _cells(row))
    print_table(f"One step of {model}: {about}", columns, lines, rules=False)
    total = sum(call.ms for call in calls if call.depth == 0)
    console.print(f"{len(rows)} operations, {total:.1f} ms")
    if json:
        write_json(json, "trace", {"model": model, "seed": seed}, rows, clock.provenance(seed))


def _step(model: str, pairs: list[str], seed: int) -> tuple[Any, str]:
    """A training step on real data, to be called, and what its batch is."""
    import numpy as np

    from minigen.cli.settings import parse_settings

    source, rng = MODELS[model], np.random.default_rng([seed, 2])
    rows: Any
    if source == "online-retail":
        from minigen import data
        from minigen.ladder import model_class as recommender_class

        kind: Any = recommender_class(model)
        rows = data.protocol_split(source, seed=0).train
        fitted = kind(**parse_settings(kind, pairs) | {"seed": seed})
        size = fitted.config.batch
    else:
        from minigen.cli.generate import model_class
        from minigen.data.vectors import load_vectors

        kind = model_class(model)
        rows = load_vectors(source).train
        defaults = kind.points if source == "ring" else kind.images
        fitted = kind(defaults, **parse_settings(kind, pairs) | {"seed": seed})
        size = fitted.batch
    fitted.start(rows)
    return (lambda: fitted.train_step(rows[:size], rng, 0)), f"{size} rows of {source}"


def _row(call: Call) -> dict[str, Any]:
    arrays = [
        {
            "name": array.name,
            "shape": list(array.shape),
            "min": array.low,
            "max": array.high,
            "bytes": array.bytes,
        }
        for array in call.arrays
    ]
    return {
        "operation": call.name,
        "equation": f"eq:{call.equation}",
        "depth": call.depth,
        "arrays": arrays,
        "numbers": call.numbers,
        "ms": call.ms,
    }


def _cells(row: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The lines of a row: one for the operation with its first array, one for each further array."""
    lines: list[tuple[Any, ...]] = []
    for array in row["arrays"]:
        shape = " ".join(filter(None, [array["name"], "x".join(map(str, array["shape"]))]))
        low, high = (f"{array[key]:.2g}" if array[key] is not None else "" for key in ("min", "max"))
        lines.append((shape, low, high, f"{array['bytes'] / 1000:.1f}"))
    if not lines:
        lines = [(" ".join(f"{number:.4g}" for number in row["numbers"]), "", "", "")]
    head = " " * row["depth"] + row["operation"], row["equation"].removeprefix("eq:")
    first = (*head, *lines[0], f"{row['ms']:.2f}")
    return [first, *(("", "", *line, "") for line in lines[1:])]
