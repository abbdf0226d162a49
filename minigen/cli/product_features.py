"""`minigen study product-features`: what a generator of features is worth, for items that nobody has yet."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minigen.application.cold_items import Found, Measured
    from minigen.application.feature_generator import Features
    from minigen.data.interactions import Split

BANDS = 8
SHOWN = 6


def product_features(
    seeds: Annotated[int, typer.Option(min=1, help="Divisions of the items, and trainings.")] = 3,
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file.")] = None,
) -> None:
    """Names and prices from a person's code (Online Retail): items without a buyer, and items found again."""
    from minigen.application import cold_items
    from minigen.cli.output import console, print_table
    from minigen.cli.showcase import SETTINGS
    from minigen.data import protocol_split
    from minigen.provenance import Clock, write_json
    from minigen.recommender import MultVAE

    clock, split = Clock(), protocol_split("online-retail")
    features, words, edges = shop_features(split)
    found = []
    for seed in range(seeds):
        run = cold_items.run(split, features, lambda s: MultVAE(**SETTINGS, epochs=60, seed=s), seed)
        found.append(run)
        console.print(f"seed {seed}: chosen on validation: {run.chosen}", soft_wrap=True)
    rows = [
        row
        for work in ("cold", "warm")
        for row in rows_of(work, [getattr(one, work) for one in found], cold_items.KNN)
    ]
    for work, title in (
        ("cold", f"Items without a buyer, {seeds} divisions"),
        ("warm", "Items of the catalogue, found again by generated features"),
    ):
        cells = [
            [row["model"], *(f"{row['metrics'][m]:.4f} ± {row['se'][m]:.4f}" for m in row["metrics"])]
            for row in rows
            if row["work"] == work
        ]
        print_table(title, ["", "ndcg@20", "recall@20"], cells, rules=False)
    last = next(row for row in rows if row["model"] == cold_items.BOTH)["more_than_neighbours"]
    console.print(
        f"What generated features add to neighbours, in NDCG@20: {last['difference']:+.4f}, "
        f"95% interval {last['low']:+.4f} to {last['high']:+.4f}"
    )
    for line in example(found[0], split, features, words, edges):
        console.print(line, soft_wrap=True)
    if json:
        about = {"study": "product-features", "split": split.name, "seeds": seeds}
        about |= {"model": SETTINGS, "chosen": [one.chosen for one in found]}
        write_json(json, "study", about, rows, clock.provenance(0, split.hash))


def shop_features(split: Split) -> tuple[Features, list[str], Any]:
    """Names and median prices of the shop's products; a word for each column, and the edges of the bands."""
    import numpy as np

    from minigen.application.feature_generator import Features
    from minigen.application.item_features import name_ngrams, price_bands
    from minigen.data.online_retail import item_prices

    prices = item_prices()
    grams, words = name_ngrams([split.item_names.get(item, "") for item in split.items])
    band, edges = price_bands(np.array([prices[item] for item in split.items]), BANDS)
    return Features(grams, band, len(edges) + 1), words, edges


def rows_of(work: str, runs: Sequence[dict[str, Measured]], reference: str) -> list[dict[str, Any]]:
    """Rows of the mean over seeds; se over users, each of whom counts by the mean of their seeds."""
    from minigen.evaluation.bootstrap import paired_bootstrap

    def by_user(name: str, metric: str) -> Any:
        import numpy as np

        values: dict[str, list[float]] = {}
        for run in runs:
            for user, value in zip(run[name].users, getattr(run[name], metric)):
                values.setdefault(user, []).append(value)
        return np.array([np.mean(values[user]) for user in sorted(values)])

    rows = []
    for name in runs[0]:
        figures = {f"{metric}@20": by_user(name, metric) for metric in ("ndcg", "recall")}
        row: dict[str, Any] = {"model": name, "work": work, "users": figures["ndcg@20"].size}
        row["metrics"] = {m: float(v.mean()) for m, v in figures.items()}
        row["se"] = {m: float(v.std(ddof=1) / math.sqrt(v.size)) for m, v in figures.items()}
        row["by_seed"] = [float(run[name].ndcg.mean()) for run in runs]
        difference = paired_bootstrap(figures["ndcg@20"], by_user(reference, "ndcg"))
        rows.append(row | {"more_than_neighbours": difference._asdict()})
    return rows


def example(found: Found, split: Split, features: Features, words: Sequence[str], edges: Any) -> list[str]:
    """One test customer: history, the words and the price generated, and the new items nearest to them."""
    import numpy as np

    from minigen.application.cold_items import cold_case, split_items

    warm, _, cold = split_items(len(split.items), 0)
    case = cold_case(split.test, warm, cold)
    row = int(np.argmin(np.abs(np.diff(case.histories.indptr) - 12)))
    history, z = case.histories[row], found.model.posterior(case.histories[row])[0]
    logits = found.generator.logits(z)[0] - found.generator.base
    best = np.argsort(-logits[: len(words)], kind="stable")[:SHOWN]
    band = int(np.argmax(logits[len(words) :]))
    bounds = ["0", *(f"{edge:g}" for edge in edges), "more"]
    chosen = found.chosen
    lift = found.generator.lift(z, features.of(cold), chosen["power"], chosen["price"])[0]
    wanted = set(case.target[row].indices.tolist())

    def name(item: int) -> str:
        return split.item_names.get(split.items[item], split.items[item])

    near = [f"{name(cold[i])}{' (bought)' if i in wanted else ''}" for i in np.argsort(-lift)[:SHOWN]]
    return [
        f"Customer {case.users[row]} has: {'; '.join(name(warm[i]) for i in history.indices)}.",
        f"Generated words: {', '.join(words[i] for i in best)}; price {bounds[band]} to {bounds[band + 1]}.",
        f"Nearest items that nobody has yet: {'; '.join(near)}.",
    ]
