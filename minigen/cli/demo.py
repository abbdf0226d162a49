"""`minigen demo`: the recommendation example, from a shop's purchases to ten named products."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the report, the plots and the model.")] = Path(
        "minigen-demo"
    ),
    protocol: Annotated[
        str, typer.Option(help="online-retail (cleaned) or online-retail-raw (as published).")
    ] = "online-retail",
    customer: Annotated[
        str | None, typer.Option(help="A held-out customer of the shop; one is chosen if not given.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of Mult-VAE at the most.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split and of training.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file.")] = None,
) -> None:
    """Train on a real shop's purchases, compare, recommend, explain: the whole example in about a minute."""
    from minigen.cli.output import console
    from minigen.cli.showcase import Showcase
    from minigen.provenance import Clock, want_results, write_json
    from minigen.recommender.lookup import history_of_user

    clock = Clock()
    if json:
        want_results(json)  # before the work
    show = Showcase(out, protocol, epochs, seed)
    if customer is not None:
        history_of_user(show.split, customer)  # an unknown one is said before a minute of training
    out.mkdir(parents=True, exist_ok=True)  # and so is a folder that cannot be made
    show.train()
    rows = show.compare()
    show.recommend(customer)
    show.write_report()
    console.print(f"\nWritten to {out}/: report.html, four plots, and the model in run/. Next:")
    for line in show.next_steps():
        console.print(f"  {line}", soft_wrap=True)
    if json:
        about = {"protocol": show.split.name, "data_hash": show.split.hash, "customer": show.customer}
        write_json(json, "demo", about, rows, clock.provenance(seed, show.split.hash))
