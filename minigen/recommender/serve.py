"""Recommendations from one weights file, with NumPy alone: this file needs nothing else of minigen.

    python serve.py ITEM [ITEM]... [-k 10] [--weights model.safetensors]

prints the best items for somebody who has these, one a line: id, score, name.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_DTYPES = {"F32": np.float32, "F64": np.float64, "I32": np.int32, "I64": np.int64}
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
            self._by_name: dict[str, list[str]] = {}
            for item, name in self.names.items():
                self._by_name.setdefault(name.casefold(), []).append(item)
            self._score = SCORES[self.id]
        except (AttributeError, KeyError, TypeError, ValueError, OSError, RecursionError) as error:
            raise ValueError(f"{path} holds no model that can be served here: {error!r}") from None

    def recommend(self, items: Sequence[str], k: int = 10) -> list[tuple[str, float, str]]:
        """The k best items outside `items` (ids or names): id, score and name, best first.

        Raises ValueError for an unknown item, a name of several, or none, or k below 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}: want at least 1")
        clicks = np.unique([self._place(item) for item in items]).astype(np.intp)
        if not clicks.size:
            raise ValueError("name at least one item")
        scores = np.array(self._score(self.arrays, self.settings, clicks), np.float32)
        scores[clicks] = -np.inf
        best = [i for i in np.argsort(-scores, kind="stable")[:k] if scores[i] > -np.inf]
        return [(self.items[i], float(scores[i]), self.names.get(self.items[i], "")) for i in best]

    def _place(self, item: str) -> int:
        found = [item] if item in self._column else self._by_name.get(item.casefold(), [])
        if not found:
            raise ValueError(f"unknown item {item!r}")
        if len(found) > 1:
            raise ValueError(
                f"several items are called {item!r}: give the id, {' or '.join(map(repr, found))}"
            )
        return self._column[found[0]]


def _popularity(arrays: Any, settings: Any, clicks: np.ndarray) -> np.ndarray:
    return arrays["count"]


def _ease(arrays: Any, settings: Any, clicks: np.ndarray) -> np.ndarray:
    return arrays["weights"][clicks].sum(axis=0)


def _itemknn(arrays: Any, settings: Any, clicks: np.ndarray) -> np.ndarray:
    scores = np.zeros(len(arrays["indptr"]) - 1, np.float32)
    for items, weights in _rows(arrays, clicks):
        scores[items] += weights
    return scores


def _ials(arrays: Any, settings: Any, clicks: np.ndarray) -> np.ndarray:
    items, factors = arrays["items"], arrays["items"][clicks]
    mass = len(clicks) + settings["alpha0"] * len(items)
    system = settings["alpha0"] * arrays["gram"] + factors.T @ factors
    system[np.diag_indices(len(system))] += settings["l2"] * mass ** settings["nu"]
    return items @ np.linalg.solve(system, factors.sum(axis=0))


def _spectral(arrays: Any, settings: Any, clicks: np.ndarray) -> np.ndarray:
    vectors, degree = arrays["vectors"], arrays["degree"]
    own = vectors[clicks] / np.sqrt(np.maximum(degree[clicks], np.finfo(np.float32).tiny))[:, None]
    scores = vectors @ (own * (degree[clicks] > 0)[:, None]).sum(axis=0) * np.sqrt(degree)
    if settings["gram"]:
        user = np.repeat(np.arange(len(arrays["indptr"]) - 1), np.diff(arrays["indptr"]))
        edges, at = arrays["data"], arrays["indices"]
        known = np.isin(at, clicks)
        alike = np.bincount(user[known], edges[known], minlength=len(arrays["indptr"]) - 1)
        scores += settings["gram"] * np.bincount(at, edges * alike[user], minlength=len(degree))
    return scores


def _autoencoder(arrays: Any, settings: Any, clicks: np.ndarray) -> np.ndarray:
    scale = 1 / np.sqrt(len(clicks)) if settings["normalise"] else 1
    a = _first(arrays, "_in" if settings["hidden"] else "_mu", clicks, scale)
    return _decoded(a, arrays, settings, "_out")


def _behaviours(arrays: Any, settings: Any, clicks: np.ndarray) -> np.ndarray:
    layer, names = "_in" if settings["hidden"] else "_mu", settings["behaviours"].split(",")
    n_items = len(arrays[f"w{layer}"]) // len(names)
    block = clicks // n_items  # each behaviour's block of columns has length 1
    click = (1 / np.sqrt(np.bincount(block)[block])).astype(np.float32)
    a = click @ arrays[f"w{layer}"][clicks] + arrays[f"b{layer}"]
    scores = np.full(n_items * len(names), -np.inf, np.float32)  # the last behaviour is recommended
    head = f".{names[-1]}" if names[-1] else ""
    scores[-n_items:] = _decoded(a, arrays, settings, f"_out{head}")
    if len(names) > 1:  # what was otherwise touched is lifted
        np.add.at(scores[-n_items:], clicks % n_items, np.append(arrays["gain"], np.float32(0))[block])
    if settings["fresh"]:
        scores[len(scores) - n_items + clicks % n_items] = -np.inf
    return scores


def _decoded(a: np.ndarray, arrays: Any, settings: Any, out: str) -> np.ndarray:
    """From what the first layer gave to the scores of the layer `out`."""
    if not settings["hidden"]:
        return _dense(a, arrays, out)
    activate = ACTIVATIONS[settings["activation"]]
    z = _dense(activate(a), arrays, "_mu")
    return _dense(activate(_dense(z, arrays, "_dec")), arrays, out)


def _linear_vae(arrays: Any, settings: Any, clicks: np.ndarray) -> np.ndarray:
    path = {name[5:]: array for name, array in arrays.items() if name.startswith("path.")}
    score = {"ease": _ease, "edlae": _ease, "spectral": _spectral}[settings["path"]]
    said = np.maximum(score(path, {"gram": settings["path_gram"]}, clicks), 0)
    return _autoencoder(arrays, settings, clicks) + arrays["gain"] * np.log1p(said / (said.mean() or 1))


def _recvae(arrays: Any, settings: Any, clicks: np.ndarray) -> np.ndarray:
    layers, scale = settings["layers"], 1 / np.sqrt(len(clicks))
    a = _first(arrays, "1" if layers else "_mu", clicks, scale)
    if not layers:
        return _dense(a, arrays, "_out")
    skip: Any = 0  # the sum of all h so far
    for n in range(1, layers + 1):
        s = a * ACTIVATIONS["sigmoid"](a)
        h = arrays[f"gain{n}"] * (s - s.mean()) / np.sqrt(s.var() + 0.1) + arrays[f"shift{n}"]
        skip = skip + h
        a = _dense(h, arrays, "_mu" if n == layers else str(n + 1)) + (skip if n < layers else 0)
    return _dense(a, arrays, "_out")


def _cfgan(arrays: Any, settings: Any, clicks: np.ndarray) -> np.ndarray:
    g = {name[2:]: array for name, array in arrays.items() if name.startswith("g.")}
    sigmoid = ACTIVATIONS["sigmoid"]
    if settings["rows"] == "users":
        return _dense(sigmoid(_first(g, "_in", clicks, 1)), g, "_out")
    known = {name[7:]: array for name, array in arrays.items() if name.startswith("clicks.")}
    lengths = np.sqrt(np.bincount(known["indices"], known["data"] ** 2, minlength=len(g["b_out"])))
    cosines = np.zeros(len(g["b_out"]), np.float32)  # of the history with each person of training
    for people, weights in _rows(known, clicks):
        cosines[people] += weights
    person = np.argmax(cosines / np.maximum(lengths, np.finfo(np.float32).tiny))
    of_items = _rows(known, range(len(known["indptr"]) - 1))
    h = np.array([weights @ g["w_in"][people] for people, weights in of_items]) + g["b_in"]
    return sigmoid(h) @ g["w_out"][:, person] + g["b_out"][person]


def _rows(sparse: Any, rows: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The columns and the values of rows of a CSR matrix."""
    for n in rows:
        part = slice(*sparse["indptr"][n : n + 2])
        yield sparse["indices"][part], sparse["data"][part]


def _first(arrays: Any, layer: str, clicks: np.ndarray, click: float) -> np.ndarray:
    """The layer that sees a history, each click as the number `click`: a sum of its items' rows."""
    return np.float32(click) * arrays[f"w{layer}"][clicks].sum(axis=0) + arrays[f"b{layer}"]


def _dense(h: np.ndarray, arrays: Any, layer: str) -> np.ndarray:
    return h @ arrays[f"w{layer}"] + arrays[f"b{layer}"]


SCORES: dict[str, Callable[[Any, Any, np.ndarray], np.ndarray]] = {
    "popularity": _popularity,
    "itemknn": _itemknn,
    **dict.fromkeys(("ease", "edlae"), _ease),
    "ials": _ials,
    "spectral": _spectral,
    **dict.fromkeys(("seed-vae", "ae", "dae", "mult-dae", "mult-vae", "beta-vae"), _autoencoder),
    "recvae": _recvae,
    "linear-vae": _linear_vae,
    "cfgan": _cfgan,
    "behaviour-vae": _behaviours,
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
        print(_printable(str(error)), file=sys.stderr)
        sys.exit(2)
    for item, score, name in found:
        print(f"{_printable(item)}\t{score:.4f}\t{_printable(name)}")


def _printable(text: str) -> str:
    """Text of the data with what would steer a terminal, or leave its line, as escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


if __name__ == "__main__":
    main()
