"""What has been tried, kept in the user's cache folder; a file that cannot be read counts as empty."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from minigen.errors import InputError
from minigen.exercises.registry import Exercise


def path() -> Path:
    """The file: $XDG_CACHE_HOME/minigen/learn.json, by default below ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return base / "minigen" / "learn.json"


def tried() -> dict[str, bool]:
    """Exercise (as `dense-2`) -> whether an answer was right; what is damaged is left out."""
    try:
        found = json.loads(path().read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: right for name, right in found.items() if isinstance(right, bool)}


def remember(found: Exercise, right: bool) -> None:
    """Note an attempt.  Once right stays right; where the folder cannot be written, nothing is noted."""
    from minigen.files import write_text

    known = tried()
    known[key(found)] = known.get(key(found), False) or right
    with suppress(InputError, OSError):
        write_text(path(), json.dumps(known, indent=1, sort_keys=True) + "\n")


def key(found: Exercise) -> str:
    """The name of an exercise in the file."""
    return f"{found.room}-{found.number}"
