"""`minigen generate users`: synthetic histories from a run, and how true and how private they are."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_matrix

    from minigen.data.events import Events
    from minigen.data.interactions import Split
    from minigen.synthetic.users import Users

MOST = 5000  # users that a report compares; more are not looked at
BEGIN = datetime(2000, 1, 1)  # of made-up times, which tell the order alone


def users(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of a model with a code.")],
    out: Annotated[Path, typer.Option(help="Events file: .csv, .tsv, .parquet or .jsonl.")] = Path(
        "users.csv"
    ),
    count: Annotated[
        int | None,
        typer.Option("-n", "--count", help="How many; as many as were trained on.", show_default=False),
    ] = None,
    source: Annotated[
        str, typer.Option(help="prior (nobody in particular) or posterior (people like those of training).")
    ] = "prior",
    user: Annotated[str | None, typer.Option(help="People like this one: what they would do next.")] = None,
    report: Annotated[bool, typer.Option(help="Measure how true and how private they are.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write the report to this file.")] = None,
) -> None:
    """Sample histories from a trained model into an events file, with a fidelity and privacy report."""
    import numpy as np

    from minigen.cli.output import console
    from minigen.data.write import write_events
    from minigen.errors import InputError
    from minigen.ladder import load_run
    from minigen.provenance import Clock, write_json
    from minigen.recommender.lookup import history_of_user
    from minigen.synthetic.chain import read_portraits, together
    from minigen.synthetic.users import sample_users

    clock = Clock()
    if user is not None and source != "prior":
        raise InputError("want either --user or --source, not both")
    model, data = load_run(run)
    history = None if user is None else history_of_user(data, user)
    halves = read_portraits(run)
    chain = None if halves is None else together(*halves).chain
    n = len(data.train_users) if count is None else count
    rng = np.random.default_rng(seed)
    made = sample_users(model, data, n, rng, source, history, chain)
    write_events(events_of(made, data), out)
    console.print(f"{out}: {n:,} synthetic users, {made.rows.nnz:,} events", soft_wrap=True)
    row: dict[str, Any] = {"model": model.id, "family": model.family, "settings": model.settings}
    row |= {"source": source if user is None else "user", "users": n}
    if report and user is None:
        row["report"] = measure(made, data, rng)
        if halves is not None and made.sequences is not None:
            row["report"]["sequences"] = measure_order(made, halves, len(data.behaviours))
        show(row["report"])
    if json:
        about = {"run": str(run), "split": data.name, "count": n, "source": row["source"]}
        write_json(json, "generate users", about, [row], clock.provenance(seed, data.hash))


def events_of(made: Users, data: Split) -> Events:
    """Synthetic histories as events: user, item, of several behaviours the behaviour, of sequences a time."""
    import polars as pl

    from minigen.data.behaviours import own_ids
    from minigen.data.events import Events

    width, n_items = len(str(made.rows.shape[0] - 1)), data.n_items
    if made.sequences is not None:
        acts = [(u, b * n_items + i, t) for u, s in enumerate(made.sequences) for t, (b, i) in enumerate(s)]
    else:
        acts = [(u, i, 0) for u, i in zip(*(part.tolist() for part in made.rows.nonzero()))]
    columns: dict[str, Any] = {"user": [f"synthetic-{u:0{width}d}" for u, _, _ in acts]}
    ids = own_ids(data)
    columns["item"] = [ids[column] for _, column, _ in acts]
    if data.behaviours:
        columns["behaviour"] = [data.behaviours[column // n_items] for _, column, _ in acts]
    if made.sequences is not None:
        columns["time"] = [BEGIN + timedelta(minutes=t) for _, _, t in acts]
    types = {name: pl.String for name in columns if name != "time"}
    item_names = {} if data.behaviours else data.item_names
    return Events(pl.DataFrame(columns, schema_overrides=types).lazy(), "synthetic", item_names)


def measure(made: Users, data: Split, rng: np.random.Generator) -> dict[str, Any]:
    """Fidelity and privacy of the last block, each figure of synthetic users beside that of real ones."""
    import numpy as np
    from scipy.sparse import csr_matrix

    from minigen.data.behaviours import of_target
    from minigen.evaluation.bootstrap import paired_bootstrap
    from minigen.synthetic import fidelity, privacy

    alone = of_target(data)
    synthetic = _with_clicks(made.rows[:, -len(alone.items) :])[:MOST]
    strong = not set(data.test.users) & set(data.train_users)
    held = _with_clicks(csr_matrix(alone.test.fold_in + alone.test.target))[:MOST]
    real = _with_clicks(alone.train)
    real = real[np.sort(rng.permutation(real.shape[0])[: min(MOST, synthetic.shape[0])])]
    popular = fidelity.popular_items(alone.train)
    found: dict[str, Any] = {
        "distance": fidelity.distances(synthetic, held, popular),
        "distance_real": fidelity.distances(real, held, popular),
    }
    if alone.validation is not None:
        metric = f"ndcg@{min(100, len(alone.items))}"
        scores = [
            fidelity.trained_on(rows, alone.validation, alone.test, metric) for rows in (synthetic, real)
        ]
        difference = paired_bootstrap(scores[0][0], scores[1][0])
        found["train_on"] = {
            "metric": metric,
            "synthetic": float(scores[0][0].mean()), "real": float(scores[1][0].mean()),
            "l2": [l2 for _, l2 in scores], "users": [synthetic.shape[0], real.shape[0]],
            "difference": difference._asdict(),
        }  # fmt: skip
    if strong:  # else the held-out people are members, too
        near, near_real = privacy.nearest(synthetic, alone.train), privacy.nearest(held, alone.train)
        marks = (0.5, 0.95, 1.0)
        found["nearest"] = dict(zip(("median", "p95", "max"), np.quantile(near, marks).tolist()))
        found["nearest_real"] = dict(zip(("median", "p95", "max"), np.quantile(near_real, marks).tolist()))
        found["copies"] = float(np.mean(near == 1))
        found["copies_real"] = float(np.mean(near_real == 1))
        attack = privacy.membership(privacy.nearest(real, synthetic), privacy.nearest(held, synthetic))
        found["membership"] = attack._asdict()
    return found


def measure_order(made: Users, halves: Any, n_behaviours: int) -> dict[str, Any]:
    """Distances of generated sequences from those of training, and of its two halves from each other."""
    from minigen.synthetic.chain import distances, portrait, together

    assert made.sequences is not None
    return {
        "distance": distances(portrait(made.sequences, n_behaviours), together(*halves)),
        "distance_real": distances(*halves),
    }


def show(found: dict[str, Any]) -> None:
    """Print a report: a figure a line, synthetic beside real."""
    from minigen.cli.output import print_table

    lines = [
        [f"{name}: distance from held-out people", value, found["distance_real"][name]]
        for name, value in found["distance"].items()
    ]
    for name, value in found.get("sequences", {}).get("distance", {}).items():
        lines.append([f"{name} in order: distance", value, found["sequences"]["distance_real"][name]])
    if trained := found.get("train_on"):
        lines.append([f"{trained['metric']} of EASE trained on them", trained["synthetic"], trained["real"]])
    if "nearest" in found:
        for name, value in found["nearest"].items():
            lines.append([f"likeness to the nearest trained on, {name}", value, found["nearest_real"][name]])
        lines.append(["share that are copies of one", found["copies"], found["copies_real"]])
        attack = found["membership"]
        lines.append([f"AUC of a membership attack (± {attack['se']:.4f})", attack["auc"], 0.5])
    print_table("Synthetic users, and real ones in their place", ["figure", "synthetic", "real"], lines)


def _with_clicks(rows: csr_matrix) -> csr_matrix:
    import numpy as np

    return rows[np.diff(rows.indptr) > 0]
