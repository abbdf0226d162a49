"""The README's table of speeds, made from results/bench.json: `python -m minigen.bench.table` prints it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minigen.bench.growth import NEGATIVES

RACED = ("mult-vae-ml20m", "gowalla", "large-catalogue", "serve", "vae-mnist", "gan-ring")
SIDE = 1024  # of the ladder's square product, on one thread


def speeds(document: Mapping[str, Any]) -> str:
    """Whole steps of every race, and the operations of the first: times, and ratios with 95% intervals."""
    columns = ["preset", "work", "NumPy, ms", "Numba, ms", "PyTorch, ms"]
    columns += ["Numba faster than NumPy", "than PyTorch", "times the floor"]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for preset in RACED:
        rows = [row for row in document["rows"] if row["preset"] == preset]
        for op in dict.fromkeys(row["op"] for row in rows):
            if op.endswith(("step", "serve", "serve_compact", "explain")) or preset == RACED[0]:
                lines.append(_line(preset, op, {row["backend"]: row for row in rows if row["op"] == op}))
    return "\n".join(lines)


def _line(preset: str, op: str, by: Mapping[str, Mapping[str, Any]]) -> str:
    own = by.get("numba", by["numpy"])
    peers = [name for name in by if name.startswith("torch")]
    cells = [preset, f"`{op}`", *(_ms(by.get(name)) for name in ("numpy", "numba"))]
    best = min(peers, key=lambda name: by[name]["median_ms"], default="")
    cells.append(f"{_ms(by[best])} {best.removeprefix('torch-')}" if best else "")
    cells.append(_ratio(own, "ratio") if "numba" in by else "")
    against = own.get("against", {})
    shown = dict.fromkeys(name for name in (best, "torch-eager") if name in against)
    cells.append(
        ", ".join(f"{name.removeprefix('torch-')} {_ratio(against[name], 'ratio')}" for name in shown)
    )
    cells.append(_ratio(own, "times_floor") if "times_floor" in own else "")
    return f"| {' | '.join(cells)} |"


def rungs(document: Mapping[str, Any]) -> str:
    """The ladder on one thread: the share of BLAS's speed that each rung reaches, by the width of vectors."""
    found: dict[str, dict[str, str]] = {}
    widths = [name for name in ("ladder-256", "ladder-512") if name in document["settings"]]
    for row in document["rows"]:
        if row["preset"] in widths and (row["size"], row["threads"]) == (SIDE, 1):
            speed = f"{row['gflops']:.3g} GFLOP/s, {row['ratio']:.2f} of BLAS"
            found.setdefault(row["rung"], {})[row["preset"]] = speed
    columns = [f"vectors of {name.removeprefix('ladder-')} bits" for name in widths]
    lines = [f"| rung | {' | '.join(columns)} |", f"|---|{'---|' * len(widths)}"]
    for rung, by in found.items():
        lines.append(f"| {rung} | {' | '.join(by.get(name, '') for name in widths)} |")
    return "\n".join(lines)


def _ms(row: Mapping[str, Any] | None) -> str:
    return "" if row is None else f"{row['median_ms']:.3g}"


def _ratio(row: Mapping[str, Any], name: str) -> str:
    low, high = row[f"{name}_95"]
    return f"{row[name]:.2f} ({low:.2f}-{high:.2f})"


def growth(document: Mapping[str, Any]) -> str:
    """A step with a softmax over all items beside one over a sample, at growing catalogues."""
    rows = [row for row in document["rows"] if row["preset"] == "growth" and row["backend"] == "numba"]
    by = {(row["axis"], row["size"]): row for row in rows if row["axis"].startswith("items")}
    sizes = sorted({size for _, size in by})
    lines = [f"| items | all of them | {NEGATIVES:,} drawn |", "|---|---|---|"]
    for size in sizes:
        cells = (by.get((axis, size)) for axis in ("items", "items-sampled"))
        shown = (f"{_ms(row)} ms, {row['peak_memory_mb']:.0f} MB" if row else "" for row in cells)
        lines.append(f"| {size:,} | {' | '.join(shown)} |")
    return "\n".join(lines)


def all_tables(document: Mapping[str, Any]) -> list[str]:
    """What stands in the README."""
    return [speeds(document), rungs(document), growth(document)]


if __name__ == "__main__":
    print(*all_tables(json.loads(Path("results", "bench.json").read_text("utf-8"))), sep="\n\n")
