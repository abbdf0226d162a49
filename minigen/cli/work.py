"""What the commands that train and measure share: the split, the progress bar, the row of figures."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from minigen.data.interactions import HeldOut, Split
    from minigen.recommender import AutoencoderRecommender, Recommender

METRICS = ("recall@20", "recall_min@20", "recall_min@50", "ndcg@20", "ndcg@100", "precision@5")
VALIDATION_METRIC = "ndcg@100"

TestOption = Annotated[
    Path | None, typer.Option(help="Held-out events of a published split; EVENTS is then its training part.")
]
SplitOption = Annotated[
    str,
    typer.Option(
        help="strong (held-out users), weak (held-out items of every user), time, or rebuy (time, with "
        "what was bought before to be found as well)."
    ),
]
HeldOutOption = Annotated[
    int | None,
    typer.Option(help="Users held out for validation, and as many for test; a tenth if not given."),
]
MetricsOption = Annotated[
    str | None,
    typer.Option(metavar="NAME@K,...", help=f"Metrics.  [default: {', '.join(METRICS)}]", show_default=False),
]
KCoreOption = Annotated[int, typer.Option(help="Keep users and items with at least this many of each other.")]
TargetOption = Annotated[
    str | None,
    typer.Option(
        metavar="BEHAVIOUR",
        help="Of several behaviours the one to recommend; behaviour-vae sees all, other models this alone.",
    ),
]
UnseenOption = Annotated[
    bool,
    typer.Option("--unseen", help="With --target: hide what else a user did to an item that is to be found."),
]
DuplicatesOption = Annotated[str, typer.Option(help="Repeated events: once (count one) or sum.")]
DebugOption = Annotated[
    bool,
    typer.Option("--debug-numerics", help="Stop at the first operation that makes nan or infinity; slow."),
]


def check_run_folder(out: Path, resume: bool) -> None:
    """Refuse, before any work, to write over a run or to resume what is not there."""
    from minigen.errors import InputError
    from minigen.files import cut_off
    from minigen.recommender.runs import FIRST

    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, not a folder for a run")
    exists = (out / "ids.json").exists() or (out / "LATEST").exists()
    if exists and not resume:
        raise InputError(f"{out} holds a run already: add --resume to go on with it, or choose another --out")
    if resume and not (out / "ids.json").exists():
        raise InputError(f"{out} holds no run to resume")
    if out.is_dir() and not exists:
        strange = [one.name for one in out.iterdir() if one.name not in FIRST and not cut_off(one)]
        if strange:
            raise InputError(f"{out} holds something else, such as {min(strange)}: choose another --out")


def describe(data: Split) -> str:
    """One line about a split."""
    n_validation = len(data.validation.users) if data.validation else 0
    return (
        f"{data.name}: {len(data.train_users):,} users to train on, {n_validation:,} for validation, "
        f"{len(data.test.users):,} for test; {len(data.items):,} items, {data.train.nnz:,} pairs; "
        f"hash {data.hash[:12]}"
    )


def fit(
    kind: type[Recommender],
    settings: dict[str, Any],
    data: Split,
    out: Path,
    resume: bool = False,
    refit: bool = False,
    checkpoint_seconds: float = 60.0,
) -> tuple[Recommender, Split]:
    """Fit a model into the run folder `out`, its data beside it; returns both.

    With `refit` a trained model is fitted twice: in `out`/choice with early stopping, which chooses the
    number of epochs, then anew for so many epochs with the validation clicks put back.  What else training
    chooses on validation (`chosen`) is kept, too.
    """
    from minigen.errors import InputError, Interrupted
    from minigen.recommender import AutoencoderRecommender
    from minigen.recommender.runs import merged_training, read_split, write_split
    from minigen.training import checkpoint

    final = merged_training(data) if refit else data
    if resume and read_split(out).hash != final.hash:
        raise InputError(f"{out} was trained on other data than these flags make")
    if not resume:
        write_split(out, final)
    final = read_split(out)  # its rows are on the disk
    model = kind(**settings)
    if not isinstance(model, AutoencoderRecommender):
        if (out / "LATEST").exists():
            about = {"model": model.id, "settings": model.settings}
            checkpoint.want_same(out, checkpoint.load(out)[1], about)
        model.fit(final.train).save(out)
        return model, final
    try:
        if refit and data.validation is not None:
            choice = _fit_with_progress(model, data, out / "choice", checkpoint_seconds)
            model = type(model)(**model.settings | choice.chosen)
        return _fit_with_progress(model, final, out, checkpoint_seconds), final
    except KeyboardInterrupt:
        raise Interrupted(f"add --resume to go on with {out}") from None


def watched(debug_numerics: bool) -> AbstractContextManager[None]:
    """What training runs in: `minigen.trace.faults_raised` where asked, else nothing."""
    from minigen.trace import faults_raised

    return faults_raised() if debug_numerics else nullcontext()


def _fit_with_progress(
    model: AutoencoderRecommender, data: Split, run: Path, checkpoint_seconds: float
) -> AutoencoderRecommender:
    from minigen.cli.progress import progress

    with progress(model.config.epochs) as report:
        return model.fit(
            data.train,
            data.validation,
            run=run,
            resume=(run / "LATEST").exists(),
            checkpoint_seconds=checkpoint_seconds,
            report=report,
        )


def validation_score(model: Recommender, data: Split) -> dict[str, float]:
    """Fit on the training part alone, and score on the validation part: what a choice may be based on."""
    assert data.validation is not None
    return on_validation(model.fit(data.train, data.validation), data.validation)


def on_validation(model: Recommender, held: HeldOut) -> dict[str, float]:
    """What choices go by, of a model that has not seen the validation part, and its standard error."""
    from minigen.evaluation.evaluate import evaluate

    (metric,) = within((VALIDATION_METRIC,), held.target.shape[1])
    result = evaluate(model, held, (metric,))
    return {VALIDATION_METRIC: result.mean(metric), "se": result.se(metric)}


def measure(model: Recommender, held: HeldOut, metrics: str | None = None) -> dict[str, Any]:
    """The row of figures of a model on held-out users, in the form of every `--json` file."""
    from minigen.cli.differences import beside_its_path
    from minigen.evaluation.evaluate import evaluate

    result = evaluate(model, held, metrics.split(",") if metrics else within(METRICS, held.target.shape[1]))
    return result.row(model.id, model.family, model.settings, **beside_its_path(model, held, result))


def within(metrics: tuple[str, ...], n_items: int, asked: str | None = None) -> tuple[str, ...]:
    """The metrics that are `asked` for; else `metrics`, with no list longer than the catalogue.

    Raises InputError where what is asked for cannot be measured.
    """
    from minigen.evaluation.evaluate import read_metrics

    if asked:
        return tuple(map(str, dict.fromkeys(read_metrics(asked.split(","), n_items))))
    parts = (metric.partition("@") for metric in metrics)
    return tuple(dict.fromkeys(f"{name}@{min(int(k), n_items)}" for name, _, k in parts))


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Print rows of figures as a table: a metric a line, mean and standard error of each model beside it."""
    from minigen.cli.output import print_table

    cells = [
        [name, *(_figure(row["metrics"][name], row["se"].get(name)) for row in rows)]
        for name in rows[0]["metrics"]
    ]
    title = f"{rows[0]['users']:,} held-out users, mean ± standard error"
    print_table(title, ["metric", *(row["model"] for row in rows)], cells)


def _figure(mean: float, se: float | None) -> str:
    return f"{mean:.4f}" if se is None else f"{mean:.4f} ± {se:.4f}"
