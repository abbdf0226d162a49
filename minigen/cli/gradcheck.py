"""`minigen gradcheck`: hand-written gradients against numeric ones, and the check against planted slips."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer


def gradcheck(
    op: Annotated[str | None, typer.Option(help="Check this operation or model only.")] = None,
    mutants: Annotated[bool, typer.Option("--mutants", help="Plant classic slips; see each caught.")] = False,
    broken: Annotated[
        str | None,
        typer.Option(
            "--break", metavar="NAME", help="Train a right model beside one with this slip; or list."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the picture of --break.")] = Path("broken"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of --break.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
) -> None:
    """Check every gradient against five-point differences in float64; exit with 1 where one is wrong."""
    from minigen.errors import InputError
    from minigen.gradcheck.catalogue import catalogue
    from minigen.provenance import write_json

    known = list(catalogue())
    if op is not None and op not in known:
        raise InputError(f"--op {op}: unknown; there are {', '.join(known)}")
    chosen = known if op is None else [op]
    settings: dict[str, Any] = {"op": op, "mutants": mutants}
    if broken is not None:
        if op is not None or mutants:
            raise InputError("--break goes with neither --op nor --mutants")
        if broken == "list":
            _print_names()
            return
        settings = {"break": broken, "seed": seed}
        rows, right = _side_by_side(broken, out, seed)
    elif mutants:
        rows, right = _mutants(chosen)
    else:
        rows, settings["other_checks"], right = _gradients(chosen)
    if json:
        write_json(json, "gradcheck", settings, rows)
    if not right:
        raise typer.Exit(1)


def _gradients(chosen: list[str]) -> tuple[list[dict], dict, bool]:
    from rich.progress import track

    from minigen.cli.output import console
    from minigen.gradcheck.catalogue import catalogue
    from minigen.gradcheck.report import gradient_rows, other_checks

    quantities = catalogue()
    rows: list[dict] = []
    others: dict[str, dict[str, str]] = {}
    for name in track(chosen, "Checking gradients", console=console, transient=True):
        rows += gradient_rows(quantities[name])
        others[name] = other_checks(quantities[name])
    if rows:
        _print_table(
            "Analytic against five-point differences, at the worst entry of each array",
            ("name", "parameter", "entry", "analytic", "numeric", "complex step", "rel_error", "verdict"),
            map(_cells, rows),
        )
    results = [(f"{name}: {check}", text) for name, found in others.items() for check, text in found.items()]
    wrong = [row["message"] for row in rows if not row["ok"]] + [
        f"{c}: {text}" for c, text in results if text
    ]
    for line in wrong:
        console.print(line)
    if len(chosen) == 1:
        for check in (check for check, text in results if not text):
            console.print(f"{check}: passed")
    console.print(
        f"gradients right: {sum(row['ok'] for row in rows)}/{len(rows)}; "
        f"contract and meaning: {sum(not text for _, text in results)}/{len(results)}"
    )
    return rows, others, not wrong


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    index, error = row.get("index"), row["rel_error"]
    return (
        row["name"],
        row["parameter"],
        "" if index is None else ",".join(map(str, index)),
        *(_number(row.get(key)) for key in ("analytic", "numeric", "complex_step")),
        "" if error is None else f"{error:.1e}",
        "right" if row["ok"] else "WRONG",
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if abs(value) >= 0.01 or value == 0 else f"{value:.1e}"


def _mutants(chosen: list[str]) -> tuple[list[dict], bool]:
    from rich.progress import track

    from minigen.cli.output import console
    from minigen.errors import InputError
    from minigen.gradcheck.mutants import MUTANTS, run_mutants
    from minigen.gradcheck.report import mutant_row

    planted = sum(mutant.quantity in chosen for mutant in MUTANTS)
    if not planted:
        have = ", ".join(dict.fromkeys(mutant.quantity for mutant in MUTANTS))
        raise InputError(f"--op {chosen[0]}: no slips to plant; there are some for {have}")
    verdicts = track(run_mutants(chosen), "Planting slips", planted, console=console, transient=True)
    rows = [mutant_row(verdict) for verdict in verdicts]
    _print_table(
        "Each slip planted, and the checks that scream",
        ("mutant", "killed", "by, and the message"),
        (
            (f"{r['mutant']}\n  {r['what']}", "yes" if r["killed"] else "NO", f"{r['by']}\n  {r['message']}")
            for r in rows
        ),
    )
    killed = sum(row["killed"] for row in rows)
    console.print(f"killed/planted: {killed}/{planted}")
    return rows, killed == planted


def _side_by_side(name: str, out: Path, seed: int) -> tuple[list[dict], bool]:
    from minigen.cli.output import console
    from minigen.cli.progress import progress
    from minigen.errors import InputError
    from minigen.gradcheck.catalogue import catalogue
    from minigen.gradcheck.mutants import Verdict, failures
    from minigen.gradcheck.side_by_side import FAMILIES, UnknownSlipError, find, looks_fine, run
    from minigen.plots import save
    from minigen.plots.side_by_side import side_by_side

    try:
        mutant = find(name)
    except UnknownSlipError:
        _print_names()
        raise
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file, not a folder for the picture")
    family, quantity = FAMILIES[mutant.quantity], catalogue()[mutant.quantity]
    title = f"{mutant.name}: {mutant.what}"
    console.print(title)
    sides = []
    for word, planted in (("right", False), ("broken", True)):
        scene = family.build(mutant, planted, seed, None)
        console.print(f"{family.title}, {word}: {scene.epochs} epochs")
        with progress(scene.epochs) as report:
            sides.append(run(scene, report))
    verdict = Verdict(mutant, failures(mutant.plant(quantity)))
    screams = [failures(quantity), {check: verdict.failures[check] for check in verdict.by}]
    fine = [True, looks_fine(family, *sides)]
    words = list(map(_words, ("right", "broken"), fine, screams, (side.stopped for side in sides)))
    _print_table(
        "The same seed, data and number of steps",
        ("", "right", "broken"),
        (
            (figure.words, *(f"{side.figures[key]:.4g}" if key in side.figures else "-" for side in sides))
            for key, figure in family.figures.items()
        ),
    )
    console.print("\n".join(words))
    picture = out / f"{mutant.name}.png"
    save(side_by_side(title, sides, words), picture)
    console.print(f"The picture is in {picture}")
    rows = [
        {"side": side, "mutant": mutant.name, "model": family.title, "metrics": trained.figures}
        | {"looks_fine": looks, "stopped": trained.stopped, "seconds": round(trained.seconds, 1)}
        | {"checks_failed": failed}
        for side, trained, looks, failed in zip(("right", "broken"), sides, fine, screams)
    ]
    return rows, not screams[0] and verdict.killed


def _words(side: str, fine: bool, screams: dict[str, str], stopped: str) -> str:
    if not screams:
        return f"{side}: every check passes."
    looks = f"training stopped, {stopped}" if stopped else "still looks fine" if fine else "looks worse"
    lines = [f"{side}: {looks}. The checks scream:"]
    lines += [f"{check}: {text.splitlines()[0]}" for check, text in screams.items()]
    if screams.keys().isdisjoint(("derivative", "contract")):
        lines.append("No gradient check can see it: a check of meaning has to.")
    return "\n".join(lines)


def _print_names() -> None:
    from itertools import groupby

    from minigen.cli.output import console
    from minigen.gradcheck.side_by_side import FAMILIES, trainable

    def title(mutant: Any) -> str:
        return FAMILIES[mutant.quantity].title

    for model, slips in groupby(sorted(trainable(), key=title), title):
        console.print(f"\n{model}")
        for mutant in slips:
            console.print(f"  {mutant.name}: {mutant.what}", soft_wrap=True)


def _print_table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from minigen.cli.output import console

    # Eight columns must fit a terminal of 80: no rules between them.
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
