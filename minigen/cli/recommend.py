"""`minigen recommend`: the best items for a user of the run, or for a person never seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def recommend(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    user: Annotated[str | None, typer.Option(help="Id of a user of the run.")] = None,
    items: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME [NAME]...", help="Items (names or ids) of a person never seen."),
    ] = None,
    k: Annotated[int, typer.Option("-k", "--k", help="How many.")] = 10,
    again: Annotated[bool, typer.Option("--again", help="Recommend items of the history, too.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the list to this file.")] = None,
) -> None:
    """Recommend K items from the history of --user, or from the --items of somebody new (no retraining)."""
    from minigen.cli.output import console, print_table, write_json
    from minigen.errors import InputError
    from minigen.ladder import load_model
    from minigen.recommender.lookup import history_of_items, history_of_user
    from minigen.recommender.runs import read_split

    if (user is None) == (not items):
        raise InputError("want either --user ID or --items NAME [NAME]...")
    model, data = load_model(run), read_split(run)
    if user is not None:
        history = history_of_user(data, user)
    else:
        history = history_of_items(data, [*(items or []), *(more or [])])
    found, scores = model.recommend(history, k, exclude_seen=not again)
    rows = [
        {"rank": n, "item": data.items[i], "name": data.item_names.get(data.items[i]), "score": float(score)}
        for n, (i, score) in enumerate(zip(found[0], scores[0]), start=1)
        if i >= 0
    ]
    who = f"user {user}" if user is not None else "the items given"
    print_table(
        f"{model.id} for {who}, {history.nnz} items known",
        ["rank", "item", "name", "score"],
        ([row["rank"], row["item"], row["name"], row["score"]] for row in rows),
    )
    if len(rows) < k:
        console.print(f"Only {len(rows)} items are left outside the history.")
    if json:
        write_json(json, "recommend", {"run": str(run), "user": user, "items": items, "k": k}, rows)
