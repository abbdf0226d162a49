"""What an item is, without anybody who bought it: n-grams of its name, and a band of its price."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

_WORD = re.compile(r"[^\W_]+")


def ngrams(name: str) -> list[str]:
    """The n-grams of a name: its words, its pairs of words, and the beginnings of long words.

    Case does not matter.  "Red Retrospot Bag" gives red, retrospot, bag, "red retrospot", "retrospot bag"
    and "retro~": a beginning of five letters stands for words alike, such as bag and bags, cake and cakes.
    """
    words = [word for word in _WORD.findall(name.casefold()) if not word.isdigit()]
    pairs = [f"{a} {b}" for a, b in pairwise(words)]
    stems = [f"{word[: max(3, min(5, len(word) - 1))]}~" for word in words if len(word) > 3]
    return [*words, *pairs, *stems]


def name_ngrams(names: Sequence[str], size: int = 2048) -> tuple[csr_matrix, list[str]]:
    """Which n-grams each name has, hashed into `size` columns: (M, size) of ones.   [eq:hashed-ngrams]

    With them the n-gram that most names bring to each column, "" where there is none.
    Weinberger et al. 2009, without signs: a collision is an "or".
    """
    counts: list[Counter[str]] = [Counter() for _ in range(size)]
    rows, columns = [], []
    for row, name in enumerate(names):
        for gram in dict.fromkeys(ngrams(name)):
            column = zlib.crc32(gram.encode()) % size
            counts[column][gram] += 1
            rows.append(row)
            columns.append(column)
    features = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(names), size))
    features.sum_duplicates()
    features.data[:] = 1
    return features, [count.most_common(1)[0][0] if count else "" for count in counts]


def price_bands(
    prices: NDArray[np.floating], bands: int = 8
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The band (M,) of each price, and the inner edges: quantiles, so that bands are alike in size.

    A price that is an edge belongs to the band above.  Raises ValueError for a price that is no number.
    """
    if not np.isfinite(prices).all():
        raise ValueError("prices: want a number for each item")
    edges = np.unique(np.quantile(prices, np.linspace(0, 1, bands + 1)[1:-1]))
    return np.searchsorted(edges, prices, side="right"), edges
