"""`--set NAME=VALUE` and `--tune NAME=V1,V2`: text into a model's settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigen.errors import InputError
from minigen.recommender import Recommender


def parse_settings(model: type[Recommender], pairs: Iterable[str]) -> dict[str, Any]:
    """Turn NAME=VALUE pairs into settings of `model`, each of the type of its default.

    Raises InputError for another name, or a value of another type.
    """
    return dict(_parse(model, *_pair("--set", pair)) for pair in pairs)


def parse_tuning(model: type[Recommender], pair: str) -> tuple[str, list[Any]]:
    """Turn NAME=V1,V2,... into a name and its values, see `parse_settings`."""
    name, values = _pair("--tune", pair)
    return name, [_parse(model, name, value)[1] for value in values.split(",")]


def _pair(flag: str, pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not (name and equals and value):
        raise InputError(f"{flag} wants NAME=VALUE, got {pair!r}")
    return name.strip().replace("-", "_"), value.strip()


def _parse(model: type[Recommender], name: str, text: str) -> tuple[str, Any]:
    defaults = model().settings
    if name not in defaults:
        has = f"its settings are {', '.join(defaults)}" if defaults else "it has no settings"
        raise InputError(f"{model.id} has no setting {name!r}; {has}")
    kind = type(defaults[name])
    try:
        if kind is bool:
            return name, {"true": True, "false": False}[text.lower()]
        return name, kind(text)
    except (ValueError, KeyError):
        raise InputError(f"{model.id}: {name} wants a value like {defaults[name]!r}, got {text!r}") from None
