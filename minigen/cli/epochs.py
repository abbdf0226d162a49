"""`minigen bench --preset epochs`: an epoch of every model on somebody's events, time and memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def measure_epochs(
    events: str, models: str, ladder: Path | None, pairs: list[str], threads: int
) -> list[dict[str, Any]]:
    """Measure and print; a model has the settings of its last row in `ladder`, else its own and `pairs`."""
    from tempfile import TemporaryDirectory

    from minigen.bench.epochs import epochs
    from minigen.cli.columns import Columns
    from minigen.cli.output import console, print_table
    from minigen.cli.progress import counted
    from minigen.cli.settings import parse_settings
    from minigen.cli.splits import make_split
    from minigen.cli.work import describe
    from minigen.ladder import model_class
    from minigen.recommender.runs import write_split

    chosen, known = {}, _settings_in(ladder) if ladder else {}
    kinds = {name: model_class(name) for name in map(str.strip, models.split(","))}
    settings = {name: kind().settings for name, kind in kinds.items()}
    for pair in pairs:
        if not any(_named(pair) in has for has in settings.values()):
            parse_settings(next(iter(kinds.values())), [pair])  # which says what it has instead
    for name, kind in kinds.items():
        own = [pair for pair in pairs if _named(pair) in settings[name]]
        chosen[name] = known[name] if name in known else parse_settings(kind, own)
        kind(**chosen[name])  # a bad value is said before the data is worked on
    data = make_split(events, Columns())
    console.print(describe(data))
    with TemporaryDirectory() as folder, counted("Models", len(chosen)) as report:
        write_split(Path(folder), data)
        rows = list(epochs(Path(folder), chosen, threads, report))

    def seconds(row: dict[str, Any], name: str) -> str:
        return f"{row[name] / 1e3:.3g}" if name in row else ""

    cells = [
        (
            row["model"],
            row.get("backend", ""),
            row.get("error") or seconds(row, "median_ms"),
            seconds(row, "median_cpu_ms"),
            seconds(row, "start_ms"),
            f"{row.get('peak_memory_mb') or 0:.0f}",
        )
        for row in rows
    ]
    columns = ("model", "backend", "an epoch, s", "of CPU", "before it, or the whole fit, s", "peak MB")
    print_table("Time and memory of an epoch", columns, cells, rules=False)
    return rows


def _named(pair: str) -> str:
    return pair.partition("=")[0].strip().replace("-", "_")


def _settings_in(ladder: Path) -> dict[str, dict[str, Any]]:
    from minigen.errors import InputError
    from minigen.files import read_json

    document = read_json(ladder)
    try:
        return {str(row["model"]): dict(row["settings"]) for row in document["rows"]}
    except (KeyError, TypeError, ValueError):
        raise InputError(f"--ladder {ladder}: holds no rows of models and their settings") from None
