"""UCI Online Retail (Chen 2015, CC BY 4.0): as published, and cleaned by rules that say what they remove."""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import polars as pl

from minigen.data.events import Events

TABLE = Path(__file__).parent / "sets" / "online_retail" / "online_retail.parquet"
# Five digits and perhaps letters, or the shop's own label; all else is postage, discounts, fees, corrections.
PRODUCT = r"^(\d{5}[A-Za-z]*|DCGS\w+)$"


class RuleCount(NamedTuple):
    """What one cleaning rule did: rows removed, rows changed, rows left."""

    rule: str
    removed: int
    changed: int
    left: int


def load_table() -> pl.DataFrame:
    """All 541,909 published rows: invoice, item, name, quantity, time, price, user, country."""
    return pl.read_parquet(TABLE)


def load_raw() -> Events:
    """The purchases as published: every row with a customer, a positive quantity and a positive price."""
    table = load_table()
    names = most_frequent_names(table)
    sold = table.filter(pl.col("user").is_not_null() & (pl.col("quantity") > 0) & (pl.col("price") > 0))
    return _events(sold.with_columns(behaviour=pl.lit("purchase")), "online-retail-raw", names)


def load_clean(cancellations: bool = False) -> Events:
    """The purchases that stood, after `RULES`; with the cancellations as events of their own on request."""
    table, bought, _ = _apply_rules()
    names = {item: string.capwords(name) for item, name in most_frequent_names(load_table()).items()}
    bought = bought.with_columns(behaviour=pl.lit("purchase"))
    if cancellations:
        returned = table.filter(is_cancellation()).with_columns(behaviour=pl.lit("cancellation"))
        bought = pl.concat([bought, returned]).sort("time", maintain_order=True)
    return _events(bought, "online-retail", names)


def cleaning_report() -> list[RuleCount]:
    """Each rule in order, with the rows that it removed, changed and left."""
    return list(_apply_rules()[2])


def with_customer(table: pl.DataFrame) -> pl.DataFrame:
    """Leave out rows without a customer: nobody's history."""
    return table.filter(pl.col("user").is_not_null())


def with_product(table: pl.DataFrame) -> pl.DataFrame:
    """Leave out what is no product: POST DOT M D C2 S B CRUK PADS AMAZONFEE, BANK CHARGES, vouchers."""
    return table.filter(pl.col("item").str.contains(PRODUCT))


def with_price(table: pl.DataFrame) -> pl.DataFrame:
    """Leave out gifts and corrections, whose price is not above 0."""
    return table.filter(pl.col("price") > 0)


def without_repeats(table: pl.DataFrame) -> pl.DataFrame:
    """Leave out lines that one invoice holds twice, equal in every column."""
    return table.unique(maintain_order=True)


def is_cancellation() -> pl.Expr:
    """Whether a row is a cancellation: its invoice begins with C."""
    return pl.col("invoice").str.starts_with("C")


def net_cancellations(table: pl.DataFrame) -> pl.DataFrame:
    """Take each cancelled quantity off the customer's latest earlier purchases of that item.

    Returns the purchases (item, user, quantity, time, invoice) of which something is left. A cancellation of
    something bought before the table begins has nothing to take from, and is dropped.
    """
    table = table.sort("time", maintain_order=True).with_row_index("row")
    touched = table.filter(is_cancellation()).select("user", "item").unique()
    left: dict[int, int] = {}
    stacks: dict[tuple[str, str], list[int]] = {}
    history = table.join(touched, on=["user", "item"], how="semi").sort("row")
    for row, user, item, quantity in history.select("row", "user", "item", "quantity").iter_rows():
        stack = stacks.setdefault((user, item), [])
        if quantity > 0:
            stack.append(row)
            left[row] = quantity
        while quantity < 0 and stack:
            taken = min(-quantity, left[stack[-1]])
            quantity += taken
            left[stack[-1]] -= taken
            if left[stack[-1]] == 0:
                stack.pop()
    quantity = pl.col("row").replace_strict(left, default=pl.col("quantity"), return_dtype=pl.Int64)
    return (
        table.filter(~is_cancellation())
        .with_columns(quantity.cast(pl.Int32).alias("quantity"))
        .filter(pl.col("quantity") > 0)
        .drop("row")
    )


RULES: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "rows without a customer": with_customer,
    "codes that are no product": with_product,
    "price not above 0": with_price,
    "repeated lines of an invoice": without_repeats,
}


def most_frequent_names(table: pl.DataFrame) -> dict[str, str]:
    """Each item's most frequent name among the sold rows (the first in the alphabet of equals)."""
    named = table.filter(pl.col("name").is_not_null() & (pl.col("price") > 0))
    counts = named.group_by("item", pl.col("name").str.strip_chars()).len()
    best = counts.sort("item", "len", "name", descending=[False, True, False]).unique("item", keep="first")
    return dict(best.select("item", "name").sort("item").iter_rows())


def item_prices() -> dict[str, float]:
    """Each item's median price over the purchases that stood, in pounds."""
    _, bought, _ = _apply_rules()
    return dict(bought.group_by("item").agg(pl.col("price").median()).sort("item").iter_rows())


@cache
def _apply_rules() -> tuple[pl.DataFrame, pl.DataFrame, tuple[RuleCount, ...]]:
    """What the rules leave, the purchases of it that stood, and the counts."""
    table = load_table()
    counts = []
    for rule, apply in RULES.items():
        after = apply(table)
        counts.append(RuleCount(rule, table.height - after.height, 0, after.height))
        table = after
    purchases, netted = table.filter(~is_cancellation()), net_cancellations(table)
    counts.append(RuleCount("cancellations", table.height - purchases.height, 0, purchases.height))
    whole = netted.join(purchases, on=purchases.columns, how="semi").height
    cancelled = purchases.height - netted.height
    counts.append(RuleCount("purchases cancelled", cancelled, netted.height - whole, netted.height))
    return table, netted, tuple(counts)


def _events(table: pl.DataFrame, source: str, names: dict[str, str]) -> Events:
    return Events(table.select("user", "item", "behaviour", "time").lazy(), source, names)
