"""A model's settings from keyword arguments: the defaults, with what was given in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, TypeVar

from minigen.errors import InputError

S = TypeVar("S")


def with_settings(model: str, defaults: S, given: Mapping[str, Any]) -> S:
    """A dataclass of settings like `defaults`, changed by `given`.

    Raises InputError for a name that `defaults` lacks, or, by its own checks, for a bad value.
    """
    known = asdict(defaults)  # type: ignore[call-overload]
    if unknown := set(given) - set(known):
        raise InputError(f"{model} has no setting {min(unknown)!r}; it has {', '.join(known)}")
    return replace(defaults, **given)  # type: ignore[type-var]
