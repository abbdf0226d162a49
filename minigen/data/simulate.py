"""Synthetic shoppers whose taste is known: three behaviours and a best recommender to measure against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from minigen.data.events import Events
from minigen.errors import InputError
from minigen.ops import sigmoid
from minigen.typing import Array

START = datetime(2024, 1, 1)
DAYS = 90
CART_LAG_MINUTES = 20.0  # mean time from a view to the cart
PURCHASE_LAG_HOURS = 12.0  # and from the cart to the purchase
# The logit of view -> cart and of cart -> purchase: base + slope * fit.
FUNNEL = ((-1.8, 0.8), (-0.8, 0.8))
SHARPNESS = 1.5  # how far taste bends the views away from popularity
LONG_TAIL = 1.0  # an item of rank r is viewed r**-1 as often, taste aside


@dataclass(frozen=True)
class Truth:
    """What the simulation knows: tastes, appeal of the items, views a user makes, and the share of noise."""

    users: list[str]
    items: list[str]
    taste: Array  # (U, K)
    style: Array  # (M, K)
    log_popularity: Array  # (M,)
    n_views: Array  # (U,) expected
    noise: float

    def scores(self, users: Sequence[str], items: Sequence[str] | None = None) -> Array:
        """The true probability (N, M) that a user buys an item at least once: no recommender ranks better.

        Columns follow `items`, by default all of the simulation. Raises InputError for an unknown id.
        """
        rows = _positions(self.users, users, "user")
        columns = slice(None) if items is None else _positions(self.items, items, "item")
        view, cart, purchase = self._chances(rows)
        bought = view * cart * purchase
        spread = bought.sum(axis=1, keepdims=True) / len(self.items)
        rate = self.n_views[rows, None] * ((1 - self.noise) * bought + self.noise * spread)
        return -np.expm1(-rate)[:, columns]

    def _chances(self, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        """P(a view is of the item), P(cart | view), P(purchase | cart): each (N, M)."""
        fit = self.taste[rows] @ self.style.T / np.sqrt(self.taste.shape[1])
        logits = SHARPNESS * fit + self.log_popularity
        view = np.exp(logits - logits.max(axis=1, keepdims=True))
        view /= view.sum(axis=1, keepdims=True)
        cart, purchase = (sigmoid(base + slope * fit) for base, slope in FUNNEL)
        return view, cart, purchase


def simulate(
    n_users: int,
    n_items: int,
    n_taste: int = 8,
    seed: int = 0,
    noise: float = 0.0,
    views_per_user: float = 60.0,
) -> tuple[Events, Truth]:
    """Draw view -> cart -> purchase events of users with a latent taste; source "synthetic".

    A user of taste u views item i with probability softmax(sharpness u.v_i / sqrt(K) + log popularity), a
    Poisson number of times in all, and each view goes on to the cart and the purchase with a chance that
    grows with the fit. `noise` is the share of events whose item is replaced by any item at random.
    Raises InputError for sizes below 1 or a noise outside [0, 1].
    """
    sizes = {"n_users": n_users, "n_items": n_items, "n_taste": n_taste, "views_per_user": views_per_user}
    for name, value in sizes.items():
        if not value >= 1:
            raise InputError(f"{name}: want at least 1, got {value}")
    if not 0 <= noise <= 1:
        raise InputError(f"noise: want a share between 0 and 1, got {noise}")
    rng = np.random.default_rng(seed)
    truth = _draw_truth(rng, n_users, n_items, n_taste, noise, views_per_user)
    parts = [np.concatenate(part) for part in zip(*_draw_events(rng, truth))]
    user, item, step, minute = parts
    time = (np.datetime64(START, "ms") + (minute * 60_000).astype("timedelta64[ms]")).astype("datetime64[ms]")
    behaviour = np.array(["view", "cart", "purchase"])[step]
    columns = {
        "user": np.array(truth.users)[user],
        "item": np.array(truth.items)[item],
        "behaviour": behaviour,
        "time": time,
    }
    frame = pl.DataFrame(columns).sort("time", "user", "item", "behaviour")
    favourite = truth.style.argmax(axis=1)
    names = {
        id: f"Synthetic item {n}, style {style}" for n, (id, style) in enumerate(zip(truth.items, favourite))
    }
    return Events(frame.lazy(), "synthetic", names), truth


def _draw_truth(
    rng: np.random.Generator, n_users: int, n_items: int, n_taste: int, noise: float, views_per_user: float
) -> Truth:
    log_popularity = rng.permutation(-LONG_TAIL * np.log(np.arange(1, n_items + 1)))
    return Truth(
        users=_ids("u", n_users),
        items=_ids("i", n_items),
        taste=rng.standard_normal((n_users, n_taste)),
        style=rng.standard_normal((n_items, n_taste)),
        log_popularity=log_popularity,
        n_views=views_per_user * rng.lognormal(-0.125, 0.5, n_users),  # of mean views_per_user
        noise=noise,
    )


def _draw_events(rng: np.random.Generator, truth: Truth) -> Iterator[tuple[Array, Array, Array, Array]]:
    """Each user's events: user, item, step (0 view, 1 cart, 2 purchase), minute."""
    for user in range(len(truth.users)):
        view, cart, purchase = (part[0] for part in truth._chances(np.array([user])))
        n = rng.poisson(truth.n_views[user])
        item = rng.choice(view.size, size=n, p=view)
        in_cart = rng.random(n) < cart[item]
        bought = in_cart & (rng.random(n) < purchase[item])
        minute = rng.uniform(0, DAYS * 1440, n)
        cart_minute = minute + rng.exponential(CART_LAG_MINUTES, n)
        bought_minute = cart_minute + rng.exponential(PURCHASE_LAG_HOURS * 60, n)
        items = np.concatenate([item, item[in_cart], item[bought]])
        stray = rng.random(items.size) < truth.noise
        items[stray] = rng.integers(view.size, size=stray.sum())
        step = np.repeat([0, 1, 2], [n, in_cart.sum(), bought.sum()])
        minutes = np.concatenate([minute, cart_minute[in_cart], bought_minute[bought]])
        yield np.full(items.size, user), items, step, minutes


def _ids(letter: str, count: int) -> list[str]:
    width = len(str(count - 1))
    return [f"{letter}{number:0{width}d}" for number in range(count)]


def _positions(known: Sequence[str], asked: Sequence[str], what: str) -> NDArray[np.int64]:
    index = {id: position for position, id in enumerate(known)}
    for id in asked:
        if id not in index:
            raise InputError(f"no {what} {id!r} in the simulation")
    return np.array([index[id] for id in asked], dtype=np.int64)
