"""Writes what a script of this folder found into one result file, beside what the others found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minigen.files import read_json
from minigen.provenance import Clock, write_json


def record(
    path: Path, check: str, rows: list[dict[str, Any]], command: str, clock: Clock | None = None
) -> None:
    """Put `rows` of one check in the place of its earlier ones; each check keeps its own provenance."""
    before = read_json(path) if path.exists() else {"rows": [], "provenance": {}}
    kept = [row for row in before["rows"] if row["check"] != check]
    own = {check: (clock or Clock()).provenance() | {"command": command}}
    rows = kept + [{"check": check} | row for row in rows]
    write_json(path, "reliability", {}, rows, before["provenance"] | own)
