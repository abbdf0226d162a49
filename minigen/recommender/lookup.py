"""From what a person types, ids and names, to a history the model can read."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from itertools import count

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
    Raises InputError for an unknown item, with the nearest names, for a name of several, and for no items.
    """
    place = item_finder(split)
    columns = set()
    for item in items:
        found = place(item)
        if found is None:
            names = [split.item_names.get(i, i) for i in split.items]
            raise InputError(f"the run does not know the item {item!r}{_nearest(item, names)}")
        columns.add(found)
    if not columns:
        raise InputError("the history is empty: name at least one item")
    indices = np.array(sorted(columns))
    ones = np.ones(len(indices), dtype=np.float32)
    return csr_matrix((ones, indices, [0, len(indices)]), shape=(1, len(split.items)))


def item_finder(split: Split) -> Callable[[str], int | None]:
    """The column of an item by its id, or where no id is that by its name, upper and lower case alike.

    Of several behaviours an item's own id and name are the column of the last: that is recommended.
    None for an unknown item; raises InputError for a name of several.
    """
    ids = dict(zip(own_ids(split), count())) | dict(zip(split.items, count()))
    named: dict[str, list[str]] = {}
    for names, items in ((split.item_names, split.items), (own_names(split), split.items[-split.n_items :])):
        for item in items:
            if item in names and item not in (known := named.setdefault(names[item].casefold(), [])):
                known.append(item)

    def place(item: str) -> int | None:
        folded = item.casefold()
        if len(twins := named.get(folded, [])) > 1 and not {item, folded} & ids.keys():
            raise InputError(
                f"several items are called {item!r}: give the id, {' or '.join(map(repr, twins))}"
            )
        return ids.get(item, ids.get(folded, ids[twins[0]] if twins else None))

    return place


def _nearest(word: str, names: Iterable[str]) -> str:
    """The names that contain the word, or else look like it, as the end of a sentence."""
    folded = {name.casefold(): name for name in names}
    inside = sorted((name for name in folded if word.casefold() in name), key=len)
    near = (inside or difflib.get_close_matches(word.casefold(), folded, n=3, cutoff=0.5))[:3]
    return f"; the nearest are {', '.join(repr(folded[name]) for name in near)}" if near else ""
