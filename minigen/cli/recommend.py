"""`minigen recommend`: the best items for a user of the run, or for a person never seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from minigen.application.filters import Mask
    from minigen.application.ranking import Application
    from minigen.data.interactions import Split
    from minigen.recommender import Recommender

AUTO = "auto"


def recommend(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    user: Annotated[str | None, typer.Option(help="Id of a user of the run.")] = None,
    items: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME [NAME]...", help="Items (names or ids) of a person never seen."),
    ] = None,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="For somebody of whom nothing at all is known.")
    ] = False,
    k: Annotated[int, typer.Option("-k", "--k", help="How many.")] = 10,
    again: Annotated[bool, typer.Option("--again", help="Recommend items of the history, too.")] = False,
    repeat: Annotated[
        str | None,
        typer.Option(help="Share of the history in the ranking, 0 to 1, or auto: by validation users."),
    ] = None,
    unavailable: Annotated[
        Path | None, typer.Option(help="A text file of items (ids or names, one a line) to leave out.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Only items whose name this regular expression finds."),
    ] = None,
    table: Annotated[Path | None, typer.Option(help="A table of items, for --where.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="Only items with this in --table; repeatable."),
    ] = None,
    diversity: Annotated[
        str, typer.Option(help="Weight of variety in the list, 0 to 1, or auto: by validation users.")
    ] = "0",
    explore: Annotated[
        bool, typer.Option("--explore", help="Draw the person's code, so that doubt is tried out (Thompson).")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of --explore.")] = 0,
    why: Annotated[bool, typer.Option("--why", help="Name the items that speak for each.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the list to this file.")] = None,
) -> None:
    """Recommend K items from the history of --user, or from the --items of somebody new (no retraining)."""
    import numpy as np
    from scipy.sparse import csr_matrix

    from minigen.cli.output import console, print_table
    from minigen.errors import InputError
    from minigen.ladder import load_run
    from minigen.provenance import write_json
    from minigen.recommender.explain import because
    from minigen.recommender.lookup import history_of_items, history_of_user

    if (user is not None) + bool(items) + unknown != 1:
        raise InputError("want either --user ID, --items NAME [NAME]..., or --unknown")
    if again and repeat is not None:
        raise InputError("want either --again or --repeat, not both")
    model, data = load_run(run)
    if user is not None:
        history, who = history_of_user(data, user), f"user {user}"
    elif unknown:
        history, who = csr_matrix((1, len(data.items))), "somebody unknown"
    else:
        history, who = history_of_items(data, [*(items or []), *(more or [])]), "the items given"
    application = _application(model, data, k, again, repeat, diversity, explore, cold=not history.nnz)
    allowed = _allowed(data, unavailable, name, table, where or [])
    found, scores = application.recommend(history, k, allowed, np.random.default_rng(seed))
    listed = found[0][found[0] >= 0]

    def called(item: int) -> str:
        return data.item_names.get(data.items[item], data.items[item])

    rows: list[dict[str, Any]] = [
        {"rank": n, "item": data.items[i], "name": data.item_names.get(data.items[i]), "score": float(score)}
        for n, (i, score) in enumerate(zip(listed, scores[0]), start=1)
    ]
    columns = ["rank", "item", "name", "score"]
    if why:
        columns.append("because of")
        reasons = because(model, history, listed.tolist()) if history.nnz else [[]] * len(listed)
        for row, clicks in zip(rows, reasons):
            row["because of"] = "; ".join(called(click) for click, _ in clicks)
    title = f"{model.id} for {who}, {history.nnz} items known"
    print_table(title, columns, ([row[column] for column in columns] for row in rows))
    if len(rows) < k:
        plain = allowed is None and application.repeat == 0
        console.print(f"Only {len(rows)} items are left {'outside the history' if plain else 'to be shown'}.")
    if json:
        about = {"run": str(run), "user": user, "items": items, "k": k, "repeat": application.repeat}
        about |= {"diversity": application.diversity, "explore": explore, "seed": seed if explore else None}
        write_json(json, "recommend", about, rows)


def _application(
    model: Recommender,
    data: Split,
    k: int,
    again: bool,
    repeat: str | None,
    diversity: str,
    explore: bool,
    cold: bool,
) -> Application:
    """The application that the flags ask for; what validation users chose is said."""
    from minigen.application import ranking, weights
    from minigen.cli.output import console
    from minigen.cli.work import VALIDATION_METRIC, within
    from minigen.errors import InputError

    def say(text: str) -> None:
        console.print(text, soft_wrap=True)

    if AUTO in (repeat, diversity) and data.validation is None:
        raise InputError("auto: the run has no validation users to choose by")
    held = None if data.validation is None else weights.few(data.validation)
    share = None if again else 0.0
    if repeat not in (None, AUTO):
        share = _share("--repeat", repeat)
    if repeat == AUTO and held is not None:
        trial = weights.best(weights.repeat_trials(model, held, k))
        share = trial.value
        say(f"Share of the history, by {len(trial.ndcg)} validation users: {share:g}.")
    variety = 0.0 if diversity == AUTO else _share("--diversity", diversity)
    vectors = ranking.model_vectors(model, data.train) if variety or diversity == AUTO else None
    if vectors is not None and held is not None and diversity == AUTO:
        variety = weights.most_varied(weights.diversity_trials(model, vectors, held, k)).value
        say(f"Weight of variety that costs validation users at most {weights.MOST_LOST:.0%}: {variety:g}.")
    behaviour = None
    if cold:
        n_items, source = data.n_items, "popularity"
        behaviour = weights.popularity(data.train, n_items)
        if held is not None:  # test users choose nothing
            (metric,) = within((VALIDATION_METRIC,), n_items)
            source, behaviour, _ = weights.cold_answers(model, data.train, held, metric, n_items)[0]
        say(f"Nothing is known of this person: this is what {_SOURCES[source]}.")
    return ranking.Application(model, share, variety, vectors, explore, behaviour)


_SOURCES = {"popularity": "most people have", "prior": "the model's prior generates, over all people"}


def _share(flag: str, text: str | None) -> float:
    from minigen.errors import InputError

    try:
        value = float(text or "")
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise InputError(f"{flag}: want a number from 0 to 1, or auto, got {text!r}") from None
    return value


def _allowed(
    data: Split, unavailable: Path | None, name: str | None, table: Path | None, conditions: list[str]
) -> Mask | None:
    """The items that pass every filter; None where there is none.  Of several behaviours only the last."""
    from minigen.application import filters
    from minigen.cli.output import console
    from minigen.errors import InputError

    if (table is None) != (not conditions):
        raise InputError("--table and --where go together")
    masks = [filters.of_last(data)] if data.behaviours else []
    if unavailable is not None:
        listed = filters.read_list(unavailable)
        mask, strange = filters.available(data, listed)
        masks.append(mask)
        if strange:
            console.print(f"{strange} of {len(listed)} lines of {unavailable} name no item of the run.")
    if name is not None:
        masks.append(filters.named(data, name))
    if table is not None:
        masks.append(filters.where(data, table, conditions))
    if not masks:
        return None
    allowed = masks[0]
    for mask in masks[1:]:
        allowed = allowed & mask
    if not allowed.any():
        raise InputError("the filters leave no item")
    return allowed
