"""`minigen bench`: our backends against each other and against PyTorch, and all against the machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from minigen.bench.machine import Roofline


def bench(
    preset: Annotated[str, typer.Option(help="What to race; `--preset list` tells.")] = "mult-vae-ml20m",
    peer: Annotated[str | None, typer.Option(help="torch: race PyTorch too, in its three forms.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of everyone; all cores if not given.")] = None,
    rounds: Annotated[int, typer.Option(min=3, help="Turns of everyone at every piece of work.")] = 15,
    plot: Annotated[Path | None, typer.Option(help="Draw the ratios into this PNG file.")] = None,
    json: Annotated[
        Path | None, typer.Option(help="Put the rows into this file, with other presets'.")
    ] = None,
) -> None:
    """Time operations and whole training steps, everyone in turn on the same machine."""
    from rich.progress import Progress

    from minigen.bench.growth import AXES, growth
    from minigen.bench.presets import PRESETS, TORCH
    from minigen.bench.race import race
    from minigen.cli.output import console, print_table
    from minigen.errors import InputError
    from minigen.provenance import Clock, cores

    if preset == "list":
        print_table("Presets", ("name", "what"), ((name, p.about) for name, p in PRESETS.items()))
        return
    if preset not in PRESETS:
        raise InputError(f"--preset {preset}: unknown; there are {', '.join(PRESETS)}")
    if peer not in (None, "torch") or (peer and preset == "growth"):
        raise InputError(f"--peer {peer}: there is torch, in every preset but growth")
    threads = cores() if threads is None else threads
    if threads < 1:
        raise InputError(f"--threads {threads}: want at least 1")
    backends = PRESETS[preset].ours + (_torch(TORCH) if peer else ())
    clock = Clock()
    console.print(f"{PRESETS[preset].about}; {threads} threads, float32: {', '.join(backends)}", markup=False)
    about: dict[str, Any] = {"threads": threads, "peer": peer}
    with Progress(console=console, transient=True) as bar:
        total = len(backends) * sum(map(len, AXES.values())) if preset == "growth" else rounds
        task = bar.add_task("Measuring", total=total)

        def report(done: int) -> None:
            bar.update(task, completed=done)

        if preset == "growth":
            rows = list(growth(backends, threads, report))
        else:
            rows, roofline = race(preset, backends, threads=threads, rounds=rounds, report=report)
            about |= {"rounds": rounds, **roofline._asdict()}
    rows = [{"preset": preset, **row} for row in rows]
    if preset == "growth":
        _print_growth(rows)
    else:
        _print(rows, roofline)
    if plot:
        from minigen.plots.growth import growth_figure
        from minigen.plots.race import race_figure
        from minigen.plots.style import save

        save((growth_figure if preset == "growth" else race_figure)(rows), plot)
    if json:
        _write(json, preset, rows, about, clock.provenance())


def _torch(flavours: tuple[str, ...]) -> tuple[str, ...]:
    from importlib.util import find_spec

    from minigen.errors import InputError

    if find_spec("torch") is None:
        raise InputError("--peer torch: PyTorch is not here; pip install 'minigen[oracle]'")
    return flavours


def _print(rows: list[dict[str, Any]], roofline: Roofline) -> None:
    from minigen.cli.output import console, print_table

    def cells(row: dict[str, Any]) -> tuple[Any, ...]:
        low, high = row.get("ratio_95", (None, None))
        return (
            row["op"],
            row["backend"],
            f"{row['median_ms']:.3g}",
            "" if low is None else f"{row['ratio']:.2f} ({low:.2f}-{high:.2f})",
            f"{row['times_floor']:.2f}" if "times_floor" in row else "",
            f"{row['first_ms']:.0f}",
        )

    columns = ("work", "backend", "median ms", "x NumPy (95%)", "x floor", "first call ms")
    print_table("The larger the ratio to NumPy, the faster", columns, map(cells, rows), rules=False)
    console.print(
        f"floor: products at {roofline.gflops:.0f} GFLOP/s, memory at {roofline.gb_per_second:.1f} GB/s, "
        "both the best seen in this run",
        markup=False,
    )


def _print_growth(rows: list[dict[str, Any]]) -> None:
    from minigen.cli.output import print_table

    def cells(row: dict[str, Any]) -> tuple[Any, ...]:
        powers = row.get("exponents")
        fit = "" if powers is None else f"{powers['median_ms']:.2f}, {powers['peak_memory_mb']:.2f}"
        return row["axis"], row["size"], row["backend"], f"{row['median_ms']:.3g}", row["peak_memory_mb"], fit

    columns = ("axis", "size", "backend", "median ms", "peak MB", "exponents of time, memory")
    print_table("A step of Mult-VAE, and how it grows", columns, map(cells, rows))


def _write(
    path: Path, preset: str, rows: list[dict[str, Any]], about: dict[str, Any], provenance: dict[str, Any]
) -> None:
    """Rows of other presets in the file stay, with the settings and the record of their own run."""
    from json import loads

    from minigen.cli.output import write_json

    settings: dict[str, Any] = {}
    runs: dict[str, Any] = {}
    if path.exists():
        before = loads(path.read_text("utf-8"))
        settings, runs = before["settings"], before["provenance"]
        rows = [row for row in before["rows"] if row["preset"] != preset] + rows
    write_json(path, "bench", settings | {preset: about}, rows, runs | {preset: provenance})
