"""`minigen trace`: one batch through a model, forward and back, an operation a line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from minigen.trace import Call

MODELS = ("mult-vae", "seed-vae", "vae", "iwae", "gan", "wgan-gp")


def trace(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=", ".join(MODELS) + ".")] = "mult-vae",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the model; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights and noise.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
) -> None:
    """Follow one training step: each operation's equation, what it returns (shape, range, bytes), its time.

    A model of clicks takes its batch from the embedded purchases, a VAE from the embedded images, a GAN from
    the ring.
    """
    from minigen.cli.output import console, print_table, write_json
    from minigen.errors import InputError
    from minigen.provenance import Clock
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
    console.print(f"{len(rows)} operations, {total:.1f} ms", markup=False)
    if json:
        write_json(json, "trace", {"model": model, "seed": seed}, rows, clock.provenance(seed))


def _step(model: str, pairs: list[str], seed: int) -> tuple[Any, str]:
    """A training step on real data, to be called, and what its batch is."""
    import numpy as np

    from minigen.cli.settings import parse_settings

    rows: Any
    if model.endswith("-vae"):
        from minigen import data
        from minigen.recommender import model_class as recommender_class

        kind: Any = recommender_class(model)
        rows = data.protocol_split("online-retail", seed=0).train
        fitted = kind(**(parse_settings(kind, pairs) | {"seed": seed}))
        size = fitted.config.batch
        what = f"{size} customers of Online Retail"
    else:
        from minigen.cli.generate import model_class
        from minigen.data.vectors import load_vectors

        kind, points = model_class(model), model.endswith("gan") or model == "wgan-gp"
        table = load_vectors("ring" if points else "fashion-mnist")
        rows = table.train
        fitted = kind(
            kind.points if points else kind.images, **(parse_settings(kind, pairs) | {"seed": seed})
        )
        size = fitted.batch
        what = f"{size} {'points of the ring' if points else 'images of Fashion-MNIST'}"
    fitted.start(rows)
    return (lambda: fitted.train_step(rows[:size], np.random.default_rng([seed, 2]), 0)), what


def _row(call: Call) -> dict[str, Any]:
    arrays = [
        {
            "name": name,
            "shape": list(array.shape),
            "min": float(array.min()) if array.size else None,
            "max": float(array.max()) if array.size else None,
            "bytes": array.nbytes,
        }
        for name, array in call.arrays
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
