"""Writes what a script of this folder found into one result file, beside what the others found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minigen import __version__
from minigen.provenance import Clock
from minigen.training.checkpoint import write_text


def record(
    path: Path, check: str, rows: list[dict[str, Any]], command: str, clock: Clock | None = None
) -> None:
    """Put `rows` of one check in the place of its earlier ones; each check keeps its own provenance."""
    document: dict[str, Any] = {"command": "reliability", "version": __version__, "settings": {}, "rows": []}
    if path.exists():
        document = json.loads(path.read_text("utf-8"))
    document["version"] = __version__
    document["rows"] = [row for row in document["rows"] if row["check"] != check]
    document["rows"] += [{"check": check} | row for row in rows]
    provenance = document.setdefault("provenance", {})
    provenance[check] = (clock or Clock()).provenance() | {"command": command}
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
