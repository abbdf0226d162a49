"""From what a person types, ids and names, to a history the model can read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import numpy as np
from scipy.sparse import csr_matrix

from minigen.data.behaviours import own_ids, own_names
from minigen.data.interactions import Split
from minigen.errors import InputError
from minigen.recommender.runs import known_histories


def history_of_user(split: Split, user: str) -> csr_matrix:
    """The history (1, M) that the run knows of `user`.

    Raises InputError for an unknown user, with the nearest ids.
    """
    known = known_histories(split)
    if user not in known:
        raise InputError(f"the run does not know the user {user!r}{_nearest(user, known)}")
    matrix, row = known[user]
    return matrix[row]


def history_of_items(split: Split, items: Iterable[str]) -> csr_matrix:
    """The history (1, M) of somebody who has `items`, each an id or a name (upper and lower case alike).

    Of several behaviours "view:17" is one, and "17" alone the behaviour that is recommended.
    Raises InputError for an unknown item, with the nearest names, and for no items.
    """
    places = item_columns(split)
    columns = set()
    for item in items:
        found = places.get(item, places.get(item.casefold()))
        if found is None:
            names = [split.item_names.get(i, i) for i in split.items]
            raise InputError(f"the run does not know the item {item!r}{_nearest(item, names)}")
        columns.add(found)
    if not columns:
        raise InputError("the history is empty: name at least one item")
    indices = np.array(sorted(columns))
    ones = np.ones(len(indices), dtype=np.float32)
    return csr_matrix((ones, indices, [0, len(indices)]), shape=(1, len(split.items)))


def item_columns(split: Split) -> dict[str, int]:
    """The column of each item by its id, and by its case-folded name where no id is that.

    Of several behaviours an item's own id and name are the column of the last: that is recommended.
    """
    places: dict[str, int] = {}
    for ids, names in ((own_ids(split), own_names(split)), (split.items, split.item_names)):
        columns = [(names[item].casefold(), n) for n, item in enumerate(split.items) if item in names]
        places |= dict(columns) | {item: n for n, item in enumerate(ids)}
    return places


def _nearest(word: str, names: Iterable[str]) -> str:
    """The names that contain the word, or else look like it, as the end of a sentence."""
    folded = {name.casefold(): name for name in names}
    inside = sorted((name for name in folded if word.casefold() in name), key=len)
    near = (inside or difflib.get_close_matches(word.casefold(), folded, n=3, cutoff=0.5))[:3]
    return f"; the nearest are {', '.join(repr(folded[name]) for name in near)}" if near else ""
