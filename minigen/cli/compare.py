"""`minigen compare`: several models on the same events, each tuned within a budget, and a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minigen.cli import columns, work

if TYPE_CHECKING:
    from minigen.data.interactions import Split
    from minigen.recommender import Recommender
    from minigen.tuning.contest import Entrant

    Fixed = dict[type[Recommender], dict[str, Any]]


def compare(
    events: columns.EventsArgument,
    models: Annotated[
        str, typer.Option(metavar="NAME,NAME,...", help="The models, such as popularity,ease,mult-vae.")
    ] = "popularity,itemknn,ease,mult-vae",
    budget: Annotated[
        str,
        typer.Option(help="Time for all models together: 90s, 10m, 1h30m. Each trains one epoch at least."),
    ] = "10m",
    out: Annotated[
        Path, typer.Option(help="Folder of the contest; after a stop, the same command goes on in it.")
    ] = Path("comparison"),
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="For every model that has it, instead of tuning it."
        ),
    ] = None,
    test: work.TestOption = None,
    split: work.SplitOption = "strong",
    held_out: work.HeldOutOption = None,
    k_core: work.KCoreOption = 5,
    duplicates: work.DuplicatesOption = "once",
    target: work.TargetOption = None,
    unseen: work.UnseenOption = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split, of the search and of training.")] = 0,
    metrics: work.MetricsOption = None,
    json: Annotated[Path | None, typer.Option(help="Write settings and figures to this file.")] = None,
    user: columns.UserOption = None,
    item: columns.ItemOption = None,
    behaviour: columns.BehaviourOption = None,
    time: columns.TimeOption = None,
    weight: columns.WeightOption = None,
    item_name: columns.ItemNameOption = None,
    format: columns.FormatOption = None,
    separator: columns.SeparatorOption = None,
    header: columns.HeaderOption = None,
    weights: columns.WeightsOption = None,
    min_weight: columns.MinWeightOption = None,
) -> None:
    """Tune models on the validation users of EVENTS, measure them on its test users, say which to take."""
    from minigen import plots
    from minigen.cli import contest as report
    from minigen.cli.output import command, console
    from minigen.cli.splits import make_split
    from minigen.data.behaviours import of_target
    from minigen.errors import InputError, Interrupted
    from minigen.provenance import Clock, want_results, write_json
    from minigen.recommender.runs import write_split
    from minigen.tuning.contest import Contest
    from minigen.tuning.plan import parse_budget

    clock, seconds = Clock(), parse_budget(budget)
    if json:
        want_results(json)  # before the work
    fixed = _fixed(models, settings or [], seed)
    read = columns.Columns(
        user, item, behaviour, time, weight, format, weights, min_weight, item_name, separator, header
    )
    data = make_split(
        events,
        read,
        test=test,
        split=split,
        held_out=held_out,
        k_core=k_core,
        duplicates=duplicates,
        seed=seed,
        target=target,
        unseen=unseen,
    )
    if data.validation is None:
        raise InputError("compare needs validation data, and this split has none")
    asked = {"models": [kind.id for kind in fixed], "settings": settings or [], "seed": seed}
    _begin(out, asked | {"budget": seconds, "data_hash": data.hash})
    console.print(work.describe(data))
    views = {kind: data if "behaviours" in kind().settings else of_target(data) for kind in fixed}
    if data.behaviours:
        several = {"behaviours": ",".join(data.behaviours), "fresh": unseen}
        fixed = {kind: given | several if views[kind] is data else given for kind, given in fixed.items()}
    n_items = len(of_target(data).items)
    (metric,) = work.within((work.VALIDATION_METRIC,), n_items)
    contest = Contest({kind: _entrant(fixed[kind], views[kind]) for kind in fixed}, metric, out, seed, _watch)
    names = work.within(work.METRICS, n_items, metrics)
    rows, contenders, winners = [], {}, {}
    try:
        for kind, outcome in contest.outcomes(seconds):
            row, values = report.row_of(kind, outcome, contest, views[kind].test, names)
            rows.append(row)
            if values is not None:
                contenders[kind.id] = values
                winners[kind.id] = outcome
            report.say(row)
    except KeyboardInterrupt:
        raise Interrupted(f"the same command goes on with what is in {out}") from None
    if not contenders:
        raise InputError(f"no model could be fitted; {rows[0]['model']}: {rows[0]['error']}")
    verdict = report.decide_on(rows, contenders, metric)
    plots.save(plots.contest(rows, metric, verdict.reference), out / "comparison.png")
    report.show(rows, metric)
    kind = next(kind for kind in fixed if kind.id == verdict.winner)
    winner = out / "winner"
    write_split(winner, views[kind])
    contest.fitted(kind, winners[verdict.winner]).save(winner)
    for line in report.caveats(rows):
        console.print(line, soft_wrap=True)
    next_step = command("recommend", winner, "--user", data.test.users[0])
    console.print(
        f"{verdict.winner} is in {winner}, a picture in {out}. Next: {next_step}",
        soft_wrap=True,
    )
    console.print(verdict.text, soft_wrap=True)
    if json:
        about = asked | {"events": str(events), "split": data.name, "budget_seconds": seconds}
        about |= {"metric": metric, "verdict": verdict._asdict()}
        write_json(json, "compare", about, rows, clock.provenance(seed, data.hash))


def _fixed(models: str, pairs: list[str], seed: int) -> Fixed:
    """The settings of each model that are given, not tuned; raises InputError for one that no model has."""
    from minigen.cli.settings import parse_settings
    from minigen.errors import InputError
    from minigen.ladder import model_class

    kinds = [model_class(name.strip()) for name in models.split(",")]
    if len(set(kinds)) < len(kinds):
        raise InputError(f"--models: want each once, got {models}")
    has = {kind: kind().settings for kind in kinds}
    fixed: Fixed = {kind: {"seed": seed} if "seed" in has[kind] else {} for kind in kinds}
    for pair in pairs:
        name = pair.partition("=")[0].strip().replace("-", "_")
        asked = [kind for kind in kinds if name in has[kind]]
        for kind in asked or kinds[:1]:  # of a setting that nobody has, the first says what it has instead
            fixed[kind] |= parse_settings(kind, [pair])
    for kind, settings in fixed.items():
        kind(**settings)  # a bad value is said before the data is worked on
    return fixed


def _entrant(settings: dict[str, Any], data: Split) -> Entrant:
    from minigen.tuning.contest import Entrant

    assert data.validation is not None
    return Entrant(settings, data.train, data.validation)


def _begin(out: Path, asked: dict[str, Any]) -> None:
    """Note in the folder what was asked; raises InputError where it holds something else."""
    from json import dumps

    from minigen.errors import InputError
    from minigen.files import read_json, write_text

    file = out / "asked.json"
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, not a folder for a comparison")
    if not file.exists() and out.exists() and any(out.iterdir()):
        raise InputError(f"{out} holds something else: choose another --out")
    if not file.exists():
        write_text(file, dumps(asked, indent=1))
    elif read_json(file) != asked:
        raise InputError(f"{out} holds a comparison of other models, settings or data: choose another --out")


@contextmanager
def _watch(what: str, until: int) -> Iterator[Any]:
    from minigen.cli.output import console
    from minigen.cli.progress import SILENCE, progress

    console.print(f"{what}: up to epoch {until}", soft_wrap=True)
    with progress(until, SILENCE) as report:
        yield report
