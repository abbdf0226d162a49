"""Sequences of behaviours: what somebody does next, to which item, in which order.

A chain says which behaviour follows which, and whether it is done to the same item as the last, to a new one
or to an earlier one, by what was last done to that; a model's heads, at one code, say which item it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from minigen.data.behaviours import MARK
from minigen.data.events import Events
from minigen.data.interactions import Split
from minigen.data.tables import collect, reading
from minigen.files import read_arrays, writing
from minigen.typing import Array

SAME, NEW, EARLIER = 0, 1, 2  # the item of a move; EARLIER + b: an earlier one, to which b was done last
FILE = "sequences.safetensors"

Sequence_ = list[tuple[int, int]]  # (behaviour, item), in order


class Portrait(NamedTuple):
    """What is counted of sequences over C behaviours.

    moves (C + 1, C + 2, C): after each behaviour, the last row being the beginning, how often each behaviour
    followed, and to which item: SAME, NEW, EARLIER + b; triples (C, C, C): three behaviours in a row;
    after (C, C): of the items that had behaviour b, how many had had a before; items (C,); lengths (U,).
    """

    moves: Array
    triples: Array
    after: Array
    items: Array
    lengths: Array

    @property
    def chain(self) -> Array:
        """P(item, behaviour | the behaviour before): the moves as shares, (C + 1, C + 2, C).   [eq:chain]

        The most likely ones for the sequences, which is what counting finds.
        """
        total = self.moves.sum(axis=(1, 2), keepdims=True)
        return self.moves / np.maximum(total, 1)


def portrait(sequences: Sequence[Sequence_], n_behaviours: int) -> Portrait:
    """Count moves, triples, orders and lengths of sequences, each with every action at most once."""
    moves = np.zeros((n_behaviours + 1, EARLIER + n_behaviours, n_behaviours))
    triples = np.zeros((n_behaviours,) * 3)
    after, items = np.zeros((n_behaviours, n_behaviours)), np.zeros(n_behaviours)
    for sequence in sequences:
        done: dict[int, list[int]] = {}
        state, last = n_behaviours, -1
        for behaviour, item in sequence:
            before = done.setdefault(item, [])
            which = NEW if not before else SAME if item == last else EARLIER + before[-1]
            moves[state, which, behaviour] += 1
            after[before, behaviour] += 1
            items[behaviour] += 1
            before.append(behaviour)
            state, last = behaviour, item
        acts = [behaviour for behaviour, _ in sequence]
        for three in zip(acts, acts[1:], acts[2:]):
            triples[three] += 1
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.float64)
    return Portrait(moves, triples, after, items, lengths)


def training_sequences(events: Events, split: Split) -> list[Sequence_]:
    """What each training user of a split of several behaviours did, by the time of its first time.

    Only pairs that are in the training rows count.  Raises InputError where the events cannot be read.
    """
    columns = {item: n for n, item in enumerate(split.items)}
    n_items = split.n_items
    with reading(events.source):
        first = collect(events.frame.group_by("user", "behaviour", "item").agg(pl.col("time").min()))
    rows = {user: n for n, user in enumerate(split.train_users)}
    action = pl.concat_str("behaviour", "item", separator=MARK)
    known = first.with_columns(action=action).filter(
        pl.col("user").is_in(split.train_users) & pl.col("action").is_in(split.items)
    )
    row = known["user"].replace_strict(rows, return_dtype=pl.Int64).to_numpy()
    column = known["action"].replace_strict(columns, return_dtype=pl.Int64).to_numpy()
    in_training = np.asarray(csr_matrix(split.train)[row, column]).ravel() > 0
    time = known["time"].to_physical().to_numpy()
    order = np.lexsort((column, time, row))
    order = order[in_training[order]]
    sequences: list[Sequence_] = [[] for _ in split.train_users]
    for user, place in zip(row[order].tolist(), column[order].tolist()):
        sequences[user].append(divmod(place, n_items))
    return [sequence for sequence in sequences if sequence]


def generate(
    chain: Array, logits: Array, n: int, rng: np.random.Generator, done: NDArray[np.bool_] | None = None
) -> Sequence_:
    """n actions of somebody, one after the other: logits (C, M) of the heads at their code.   [eq:sequence]

    A move is drawn by the `chain` among those that are possible, then its item by the softmax of the
    behaviour's head over the items that it may be.  No action happens twice.  `done` (C, M) is what has
    happened before, in the order of the behaviours.  Ends early where nothing is left to do.
    """
    n_behaviours = len(logits)
    done = np.zeros(logits.shape, dtype=bool) if done is None else done.copy()
    latest = np.where(done.any(axis=0), n_behaviours - 1 - done[::-1].argmax(axis=0), -1)  # to each item
    sequence: Sequence_ = []
    state, last = n_behaviours, -1
    for _ in range(n):
        which = np.where(latest < 0, NEW, EARLIER + latest)  # of each item
        if last >= 0:
            which[last] = SAME
        possible = np.zeros((EARLIER + n_behaviours, n_behaviours), dtype=bool)
        for behaviour in range(n_behaviours):
            possible[which[~done[behaviour]], behaviour] = True
        p = (chain[state] * possible).ravel()
        if not p.sum() > 0:
            break
        kind, behaviour = divmod(int(rng.choice(p.size, p=p / p.sum())), n_behaviours)
        among = np.flatnonzero((which == kind) & ~done[behaviour])
        item = int(among[np.argmax(logits[behaviour, among] + rng.gumbel(size=among.size))])
        sequence.append((behaviour, item))
        done[behaviour, item] = True
        state, last, latest[item] = behaviour, item, behaviour
    return sequence


def write_portraits(run: Path, sequences: Sequence[Sequence_], n_behaviours: int) -> None:
    """Keep in a run the portraits of its training sequences, of every second user apart."""
    from safetensors.numpy import save

    halves = [portrait(sequences[n::2], n_behaviours)._asdict() for n in range(2)]
    arrays = {f"{n}.{name}": a for n, half in enumerate(halves) for name, a in half.items()}
    with writing(run / FILE) as beside:
        beside.write_bytes(save(arrays))


def read_portraits(run: Path) -> tuple[Portrait, Portrait] | None:
    """What `write_portraits` left in a run; None where there is nothing.  Raises InputError for damage."""
    if not (run / FILE).exists():
        return None
    arrays = read_arrays(run / FILE)
    first, second = (Portrait(**{name: arrays[f"{n}.{name}"] for name in Portrait._fields}) for n in range(2))
    return first, second


def together(one: Portrait, other: Portrait) -> Portrait:
    """The portrait of both halves."""
    summed = {name: getattr(one, name) + getattr(other, name) for name in Portrait._fields[:-1]}
    return Portrait(**summed, lengths=np.append(one.lengths, other.lengths))


def distances(one: Portrait, other: Portrait) -> dict[str, float]:
    """Total variation of moves and of triples, the largest difference of an order's share, KS of lengths.

    Each from 0, alike, to 1.  Moves are what a chain is made of; triples and orders are not.
    """
    shares = [p.after / np.maximum(p.items, 1) for p in (one, other)]
    return {
        "moves": _variation(one.moves, other.moves),
        "triples": _variation(one.triples, other.triples),
        "orders": float(np.abs(shares[0] - shares[1]).max()),
        "lengths": ks_distance(one.lengths, other.lengths),
    }


def ks_distance(a: Array, b: Array) -> float:
    """The largest difference of two distribution functions (Kolmogorov and Smirnov)."""
    at = np.union1d(a, b)
    below = [np.searchsorted(np.sort(x), at, side="right") / max(x.size, 1) for x in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


def _variation(a: Array, b: Array) -> float:
    return float(np.abs(a / max(a.sum(), 1) - b / max(b.sum(), 1)).sum() / 2)
