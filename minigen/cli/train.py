"""`minigen train`: events in, a run folder with a trained and measured model out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minigen.cli import apart, columns, work

if TYPE_CHECKING:
    from minigen.data.interactions import Split
    from minigen.recommender import Recommender


def train(
    events: columns.EventsArgument,
    model: Annotated[
        str,
        typer.Option(
            help="popularity, itemknn, ease, edlae, ials, spectral, seed-vae, ae, dae, mult-dae, "
            "mult-vae, beta-vae, recvae, linear-vae, cfgan or behaviour-vae."
        ),
    ] = "mult-vae",
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("run"),
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the model; repeatable."),
    ] = None,
    tune: Annotated[
        str | None, typer.Option(metavar="NAME=V1,V2,...", help="Choose a setting by validation NDCG.")
    ] = None,
    refit: Annotated[
        bool,
        typer.Option("--refit", help="After model choice, train anew with the validation clicks put back."),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in OUT after a stop.")] = False,
    checkpoint_seconds: Annotated[
        float, typer.Option(help="Time between checkpoints; 0: one after every step.")
    ] = 60.0,
    debug_numerics: work.DebugOption = False,
    test: work.TestOption = None,
    split: work.SplitOption = "strong",
    held_out: work.HeldOutOption = None,
    k_core: work.KCoreOption = 5,
    duplicates: work.DuplicatesOption = "once",
    target: work.TargetOption = None,
    unseen: work.UnseenOption = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split and of training.")] = 0,
    metrics: work.MetricsOption = None,
    json: Annotated[Path | None, typer.Option(help="Write settings and figures to this file.")] = None,
    add: Annotated[
        bool, typer.Option("--add", help="Add to the rows of the JSON file; refused where its data is other.")
    ] = False,
    note: Annotated[str | None, typer.Option(help="A remark that goes into the JSON row.")] = None,
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
    """Train a recommender on EVENTS (a file, or the name of an embedded set), measure it on held-out data."""
    from minigen.cli.differences import print_differences
    from minigen.cli.output import command, console
    from minigen.cli.splits import make_split
    from minigen.data.behaviours import of_target
    from minigen.data.interactions import pairs_hash
    from minigen.errors import InputError
    from minigen.ladder import model_class
    from minigen.provenance import Clock, want_results, write_json

    for flag, said in (("--add", add), ("--note", note is not None)):
        if said and json is None:
            raise InputError(f"{flag}: there is no --json to write to")
    clock = Clock()
    if json:
        want_results(json)  # before the work
    kind = model_class(model)
    work.check_run_folder(out, resume)
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
    if "behaviours" not in kind().settings:
        data = of_target(data)
    work.within(work.METRICS, len(data.items), metrics)  # what cannot be measured is said before the training
    about: dict[str, Any] = {}
    if json:
        about = {"events": str(events), "split": data.name, "test_hash": pairs_hash(data.test.target)}
        if add:
            _rows_of(json, about)  # other work is refused before hours of this one
    console.print(work.describe(data))
    given = ["fresh=true"] if unseen and data.behaviours else []
    chosen, trials = _choose(kind, given + (settings or []), tune, data, seed)
    with work.watched(debug_numerics):
        fitted, data = work.fit(kind, chosen, data, out, resume, refit, checkpoint_seconds)
    if data.behaviours and not Path(events).is_dir():
        apart.keep_order(read.load(events), data, out)
    row = work.measure(fitted, data.test, metrics)
    work.print_rows([row])
    if "differences" in row:
        print_differences(row, "its linear path alone")
    if data.behaviours:
        row["apart"] = apart.measure_apart(fitted, data, metrics)
        apart.print_apart(row["apart"])
    next_step = command("recommend", out, "--user", data.test.users[0])
    console.print(f"The model is in {out}. Next: {next_step}", soft_wrap=True)
    if json:
        if data.validation is not None:
            row["validation"] = work.on_validation(fitted, data.validation)
        record = clock.provenance(seed, data.hash)
        row |= {"note": note, "trials": trials, "refit": refit} | {
            key: record[key] for key in ("command", "seconds", "peak_memory_mb")
        }
        write_json(json, "train", about, [*(_rows_of(json, about) if add else []), row], record)


def _rows_of(file: Path, about: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that stand in a result file, if they were measured on the same work; none where it is not."""
    from minigen.errors import InputError
    from minigen.files import read_json

    if not file.exists():
        return []
    document = read_json(file)
    if not isinstance(document, dict) or document.get("settings") != about:
        raise InputError(f"{file} holds figures of other work; rows are added only to the same")
    rows = document.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{file} holds no rows to add to")
    return rows


def _choose(
    kind: type[Recommender], pairs: list[str], tune: str | None, data: Split, seed: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The settings given, and the tuned one by validation; with what every trial scored."""
    from minigen.cli.settings import parse_settings, parse_tuning
    from minigen.errors import InputError

    chosen = parse_settings(kind, pairs)
    if "seed" in kind().settings:
        chosen.setdefault("seed", seed)
    if data.behaviours:
        names = ",".join(data.behaviours)
        if chosen.setdefault("behaviours", names) != names:
            raise InputError(f"behaviours: want {names}, the blocks of the data, got {chosen['behaviours']}")
    if tune is None:
        kind(**chosen)  # a bad setting is said before the data is worked on
        return chosen, []
    if data.validation is None:
        raise InputError("--tune needs validation data, and this split has none")
    name, values = parse_tuning(kind, tune)
    trials = [
        {name: value, **work.validation_score(kind(**chosen | {name: value}), data)} for value in values
    ]
    best = max(trials, key=lambda trial: trial[work.VALIDATION_METRIC])
    return chosen | {name: best[name]}, trials
