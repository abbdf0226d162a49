"""What `minigen compare` says: the row of a model, the table, and the words around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigen.data.interactions import HeldOut
    from minigen.recommender import Recommender
    from minigen.tuning.contest import Contest, Outcome
    from minigen.tuning.verdict import Contender, Verdict


def row_of(
    kind: type[Recommender], outcome: Outcome, contest: Contest, test: HeldOut, names: tuple[str, ...]
) -> tuple[dict[str, Any], Contender | None]:
    """The row of a result file, and what the verdict needs of it; the test part is used here alone."""
    from minigen.evaluation.evaluate import evaluate
    from minigen.tuning.verdict import Contender

    row: dict[str, Any] = {"trials": outcome.trials, "seconds": round(outcome.seconds, 3)}
    row |= {"share": outcome.share and outcome.share._asdict(), "cut_at_epoch": outcome.cut or None}
    if outcome.best is None:
        return {
            "model": kind.id,
            "family": kind.family,
            "error": outcome.error,
            "metrics": {},
            "se": {},
        } | row, None
    trial = outcome.trials[outcome.best]
    *_, score = trial["scores"].values()  # of the longest training: that of the model
    model = contest.fitted(kind, outcome)
    result = evaluate(model, test, dict.fromkeys((contest.metric, *names)))
    row |= {"chosen": trial["settings"], "validation": {contest.metric: score}}
    values = Contender(kind.id, kind.family, score, result.per_user[contest.metric])
    return result.row(kind.id, kind.family, model.settings, **row), values


def decide_on(rows: list[dict[str, Any]], contenders: dict[str, Contender], metric: str) -> Verdict:
    """The verdict; every row is told its difference to the model that the winner was held against."""
    from minigen.evaluation.bootstrap import paired_bootstrap
    from minigen.tuning.verdict import decide

    verdict = decide(contenders, metric)
    reference = contenders[verdict.reference]
    for row in rows:
        if row["metrics"] and row["model"] != reference.model:
            d = paired_bootstrap(contenders[row["model"]].per_user, reference.per_user)
            row["difference"] = {"to": reference.model, "metric": metric} | d._asdict()
    return verdict


def say(row: dict[str, Any]) -> None:
    """A line about a model that is done."""
    from minigen.cli.output import console

    what = f"did not run: {row['error']}" if not row["metrics"] else _told(row)
    console.print(f"{row['model']} {what}", soft_wrap=True)


def _told(row: dict[str, Any]) -> str:
    ((metric, score),) = row["validation"].items()
    chosen = ", ".join(f"{name}={value}" for name, value in row["chosen"].items()) or "its own settings"
    n, seconds = sum(bool(t["scores"]) for t in row["trials"]), row["seconds"]
    return f"tried {n} settings in {seconds:.0f} s, best {chosen}: {metric} {score:.4f} on validation"


def show(rows: list[dict[str, Any]], metric: str) -> None:
    """The table: a line a model, the best on top, those that did not run below."""
    from minigen.cli.output import print_table

    ran = sorted((row for row in rows if row["metrics"]), key=lambda row: -row["metrics"][metric])
    names = list(ran[0]["metrics"])[:2]
    cells = []
    for row in ran:
        d = row.get("difference")
        against = f"{d['difference']:+.4f} ± {d['se']:.4f}" if d else "-"
        figures = [f"{row['metrics'][name]:.4f} ± {row['se'].get(name, 0):.4f}" for name in names]
        cells.append([row["model"], *figures, against, f"{row['seconds']:.0f} s"])
    failed = [[row["model"], *[row["error"], *[""] * len(names)], ""] for row in rows if not row["metrics"]]
    to = next((row["difference"]["to"] for row in ran if "difference" in row), "")
    title = f"{ran[0]['users']:,} test users, mean ± standard error"
    print_table(title, ["model", *names, f"minus {to}" if to else "", "time"], cells + failed, rules=False)


def caveats(rows: list[dict[str, Any]]) -> list[str]:
    """What a larger budget may change."""
    return [
        f"{row['model']} had time for {row['cut_at_epoch']} of {row['settings']['epochs']} epochs: "
        "a larger --budget may change this"
        for row in rows
        if row["cut_at_epoch"]
    ]
