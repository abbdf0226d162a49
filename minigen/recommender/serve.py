"""Recommendations from one weights file, with NumPy alone: this file needs nothing else of minigen.

    python serve.py ITEM [ITEM]... [-k 10] [--weights model.safetensors]

prints the best items for somebody who has these, one a line: id, score, name.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_DTYPES = {"F32": np.float32, "F64": np.float64}
_LONGEST = 2**28  # bytes of a header that is believed
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "leaky-relu": lambda a: np.where(a > 0, a, np.float32(0.2) * a),
    "sigmoid": lambda a: np.exp(-np.logaddexp(0, -a)),
    "softplus": lambda a: np.logaddexp(0, a),
}


class Model:
    """A weights file written by `minigen export`: arrays by name, settings, and the ids of the items.

    Raises ValueError where the file is damaged or holds no model that can be served here.
    """

    def __init__(self, path: str | Path) -> None:
        with Path(path).open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= _LONGEST:
                raise ValueError(f"{path} is no weights file")
            try:
                header = json.loads(file.read(length))
            except (ValueError, RecursionError):
                raise ValueError(f"{path} is no weights file") from None
        start, about = 8 + length, header.pop("__metadata__", {})
        try:
            self.arrays = {
                name: np.memmap(
                    path, _DTYPES[a["dtype"]], "r", start + a["data_offsets"][0], tuple(a["shape"])
                )
                for name, a in header.items()
            }
            self.id = str(about["model"])
            self.settings, self.items, self.names = (
                json.loads(about[key]) for key in ("settings", "items", "names")
            )
            self._column = {item: n for n, item in enumerate(self.items)}
            self._by_name = {name.casefold(): self._column[item] for item, name in self.names.items()}
            self._score = SCORES[self.id]
        except (AttributeError, KeyError, TypeError, ValueError, OSError, RecursionError) as error:
            raise ValueError(f"{path} holds no model that can be served here: {error!r}") from None

    def recommend(self, items: Sequence[str], k: int = 10) -> list[tuple[str, float, str]]:
        """The k best items outside `items` (ids or names): id, score and name, best first.

        Raises ValueError for an unknown item, or none.
        """
        clicks = np.unique([self._place(item) for item in items]).astype(np.intp)
        if not clicks.size:
            raise ValueError("name at least one item")
        scores = np.array(self._score(self.arrays, self.settings, clicks), np.float32)
        scores[clicks] = -np.inf
        best = np.argsort(-scores, kind="stable")[: min(k, len(scores) - len(clicks))]
        return [(self.items[i], float(scores[i]), self.names.get(self.items[i], "")) for i in best]

    def _place(self, item: str) -> int:
        place = self._column.get(item, self._by_name.get(item.casefold()))
        if place is None:
            raise ValueError(f"unknown item {item!r}")
        return place


def _popularity(arrays: Any, settings: Any, clicks: np.ndarray) -> np.ndarray:
    return arrays["count"]


def _ease(arrays: Any, settings: Any, clicks: np.ndarray) -> np.ndarray:
    return arrays["weights"][clicks].sum(axis=0)


def _autoencoder(arrays: Any, settings: Any, clicks: np.ndarray) -> np.ndarray:
    activate = ACTIVATIONS[settings["activation"]]
    click = np.float32(1 / np.sqrt(len(clicks)) if settings["normalise"] else 1)

    def first(layer: str) -> np.ndarray:  # of a history of ones: the sum of its items' rows
        return click * arrays[f"w_{layer}"][clicks].sum(axis=0) + arrays[f"b_{layer}"]

    def dense(h: np.ndarray, layer: str) -> np.ndarray:
        return h @ arrays[f"w_{layer}"] + arrays[f"b_{layer}"]

    if not settings["hidden"]:
        return dense(first("mu"), "out")
    z = dense(activate(first("in")), "mu")
    return dense(activate(dense(z, "dec")), "out")


SCORES: dict[str, Callable[[Any, Any, np.ndarray], np.ndarray]] = {
    "popularity": _popularity,
    "ease": _ease,
    "seed-vae": _autoencoder,
    "mult-vae": _autoencoder,
}


def main() -> None:
    """The command line above; bad input is one line and exit code 2."""
    parser = argparse.ArgumentParser(description="Recommend items for somebody who has ITEMs.")
    parser.add_argument("items", nargs="+", metavar="ITEM", help="id or name")
    parser.add_argument("-k", type=int, default=10, help="how many")
    parser.add_argument("--weights", default=Path(__file__).with_name("model.safetensors"))
    args = parser.parse_args()
    try:
        found = Model(args.weights).recommend(args.items, args.k)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    for item, score, name in found:
        print(f"{item}\t{score:.4f}\t{name}")


if __name__ == "__main__":
    main()
