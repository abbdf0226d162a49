"""`minigen bench`: our backends against each other and against PyTorch, and all against the machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

# What is measured otherwise than in a race of backends over one piece of work.
OTHERS = {
    "growth": "a step of Mult-VAE M-64-32-64-M against items, batch and clicks: time and memory",
    "ladder": "the dense layer from Python loops to register tiles, against BLAS",
    "epochs": "an epoch of each of --models on --events: time and memory",
    "cuda-kernels": "registers, shared memory and spills of every CUDA kernel; no GPU needed",
}


class Measured(NamedTuple):
    """Rows, what they were measured with, and the figure that draws them, if any."""

    rows: list[dict[str, Any]]
    about: dict[str, Any]
    figure: Callable[[Any], Any] | None = None


def bench(
    preset: Annotated[str, typer.Option(help="What to measure; `--preset list` tells.")] = "mult-vae-ml20m",
    peer: Annotated[str | None, typer.Option(help="torch: race PyTorch too, in its three forms.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of everyone; all cores if not given.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=3, help="Turns of everyone at every piece of work.")] = 15,
    vectors: Annotated[
        int | None,
        typer.Option(help="ladder: bits of Numba's vectors, 256 or 512."),
    ] = None,
    events: Annotated[
        str | None, typer.Option(help="epochs: a file, folder or embedded set, as `minigen train` reads it.")
    ] = None,
    models: Annotated[str, typer.Option(metavar="NAME,NAME,...", help="epochs: the models.")] = "mult-vae",
    ladder: Annotated[
        Path | None, typer.Option(help="epochs: a result file; models have the settings of their rows there.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="epochs: for models that are not in --ladder."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the figures into this PNG file.")] = None,
    json: Annotated[
        Path | None, typer.Option(help="Put the rows into this file, with other presets'.")
    ] = None,
) -> None:
    """Time operations and whole training steps, everyone in turn on the same machine."""
    from minigen.bench.presets import PRESETS
    from minigen.cli.epochs import measure_epochs
    from minigen.cli.output import console, print_table
    from minigen.errors import InputError
    from minigen.provenance import Clock, cores

    known = {name: p.about for name, p in PRESETS.items()} | OTHERS
    if preset == "list":
        print_table("Presets", ("name", "what"), known.items())
        return
    if preset not in known:
        raise InputError(f"--preset {preset}: unknown; there are {', '.join(known)}")
    with_peers = [name for name, p in PRESETS.items() if p.peers]
    if peer not in (None, "torch") or (peer and preset not in with_peers):
        raise InputError(f"--peer {peer}: there is torch, in the presets {', '.join(with_peers)}")
    if vectors and (preset != "ladder" or vectors not in (256, 512)):
        raise InputError("--vectors goes with --preset ladder, and is 256 or 512")
    if (preset == "epochs") != (events is not None):
        raise InputError("--preset epochs and --events go together")
    if plot and preset in ("cuda-kernels", "epochs"):
        raise InputError(f"--plot: {preset} has no figure")
    before = _read(json) if json and json.exists() else None
    clock, threads = Clock(), threads or cores()
    console.print(f"{preset}: {known[preset]}")
    if preset == "growth":
        found = _growth(threads)
    elif preset == "ladder":
        found = _ladder(threads, rounds, vectors)
    elif preset == "cuda-kernels":
        found = _cuda_kernels()
    elif events is not None:
        pairs = settings or []
        about = {"threads": threads, "events": events, "ladder": ladder and str(ladder), "set": pairs}
        found = Measured(measure_epochs(events, models, ladder, pairs, threads), about)
    else:
        found = _race(preset, peer, threads, rounds)
    if plot and found.figure:
        from minigen.plots.style import save

        save(found.figure(found.rows), plot)
    if json:
        _write(json, before, f"{preset}-{vectors}" if vectors else preset, found, clock.provenance())


def _race(preset: str, peer: str | None, threads: int, rounds: int) -> Measured:
    from importlib.util import find_spec

    from minigen.bench.presets import PRESETS
    from minigen.bench.race import race
    from minigen.cli.output import console, print_table
    from minigen.cli.progress import counted
    from minigen.errors import InputError
    from minigen.plots.race import race_figure

    if peer and find_spec("torch") is None:
        raise InputError("--peer torch: PyTorch is not here; pip install 'minigen[oracle]'")
    backends = PRESETS[preset].ours + (PRESETS[preset].peers if peer else ())
    console.print(f"{threads} threads, float32: {', '.join(backends)}")
    with counted("Rounds", rounds) as report:
        rows, roofline = race(preset, backends, threads=threads, rounds=rounds, report=report)

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
        "the best seen in this run; each round is held to its own",
    )
    about = {"threads": threads, "peer": peer, "rounds": rounds, **roofline._asdict()}
    return Measured(rows, about, race_figure)


def _growth(threads: int) -> Measured:
    from minigen.bench.growth import AXES, growth
    from minigen.bench.presets import OURS
    from minigen.cli.output import print_table
    from minigen.cli.progress import counted
    from minigen.plots.growth import growth_figure

    with counted("Sizes", len(OURS) * sum(map(len, AXES.values()))) as report:
        rows = list(growth(OURS, threads, report))

    def cells(row: dict[str, Any]) -> tuple[Any, ...]:
        powers = row.get("exponents")
        fit = "" if powers is None else f"{powers['median_ms']:.2f}, {powers['peak_memory_mb']:.2f}"
        return row["axis"], row["size"], row["backend"], f"{row['median_ms']:.3g}", row["peak_memory_mb"], fit

    columns = ("axis", "size", "backend", "median ms", "peak MB", "exponents of time, memory")
    print_table("A step of Mult-VAE, and how it grows", columns, map(cells, rows))
    return Measured(rows, {"threads": threads}, growth_figure)


def _ladder(threads: int, rounds: int, vectors: int | None) -> Measured:
    from minigen.bench.ladder import SIZES, choose_vectors, ladder
    from minigen.cli.output import console, print_table
    from minigen.cli.progress import counted
    from minigen.plots.ladder import ladder_figure

    if vectors:
        choose_vectors(vectors)
    with counted("Sizes", None) as report:
        rows = ladder(repeats=rounds, threads=threads, report=report)

    def cells(row: dict[str, Any]) -> tuple[Any, ...]:
        time, speed = f"{row['median_ms']:.3g}", f"{row['gflops']:.3g}"
        return row["rung"], row["size"], row["threads"], time, speed, f"{row['ratio']:.3f}"

    columns = ("rung", "size", "threads", "median ms", "GFLOP/s", "x BLAS")
    print_table("The ladder of the dense layer", columns, map(cells, rows), rules=False)
    bits = {row["vector_bits"] for row in rows if row.get("vector_bits")}
    console.print(f"Numba's vectors here have {', '.join(map(str, bits)) or 'an unknown number of'} bits")
    about = {"threads": threads, "rounds": rounds, "sizes": SIZES, "vectors": vectors}
    return Measured(rows, about, ladder_figure)


def _cuda_kernels() -> Measured:
    from minigen.backends import cuda_compile
    from minigen.cli.output import print_table
    from minigen.cli.progress import counted

    about = cuda_compile.settings()
    rows: list[dict[str, Any]] = []
    with counted("Kernels", None) as report:
        for row in cuda_compile.rows():
            rows.append(row)
            report(len(rows))
    columns = ("kernel", "arch", "dtype", "registers", "shared_bytes", "stack_bytes", "spill_bytes")
    print_table(
        "Compiled and assembled", columns, ([row[key] for key in columns] for row in rows), rules=False
    )
    return Measured(rows, about)


def _read(path: Path) -> dict[str, Any]:
    """What an earlier bench wrote there; raises InputError for any other file, before anything is timed."""
    from minigen.errors import InputError
    from minigen.files import read_json

    document = read_json(path)
    try:
        if document["command"] == "bench" and all("preset" in row for row in document["rows"]):
            return document | {key: dict(document[key]) for key in ("settings", "provenance")}
    except (KeyError, TypeError, ValueError):
        pass
    raise InputError(f"--json {path}: holds something else than what bench measured")


def _write(
    path: Path, before: dict[str, Any] | None, preset: str, found: Measured, provenance: dict[str, Any]
) -> None:
    """Rows of other presets in the file stay, with the settings and the record of their own run."""
    from minigen.provenance import write_json

    rows = [{"preset": preset, **row} for row in found.rows]
    settings, runs = {preset: found.about}, {preset: provenance}
    if before:
        rows = [row for row in before["rows"] if row["preset"] != preset] + rows
        settings, runs = before["settings"] | settings, before["provenance"] | runs
    write_json(path, "bench", settings, rows, runs)
