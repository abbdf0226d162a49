"""What the demo does, step by step: each step prints what it found and keeps it for the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minigen import plots
from minigen.cli import work
from minigen.cli.output import command, console, print_table
from minigen.cli.progress import progress
from minigen.data import protocol_split
from minigen.errors import InputError
from minigen.evaluation.bootstrap import Comparison, paired_bootstrap
from minigen.evaluation.evaluate import Evaluation, evaluate
from minigen.files import write_text
from minigen.plots import report
from minigen.plots.style import png
from minigen.recommender import EASE, MultVAE, Popularity, Recommender
from minigen.recommender.combine import combine, generated
from minigen.recommender.explain import because
from minigen.recommender.lookup import history_of_user
from minigen.recommender.runs import write_split
from minigen.training import checkpoint

METRICS = ("recall@20", "recall_min@20", "ndcg@100")
K = 10
BOUGHT_SHOWN = 5
# Of three settings tried on validation customers, alike within a standard error, a quick one.
SETTINGS = {"hidden": 300, "latent": 100, "lr": 4e-3, "batch": 250, "dropout": 0.6, "anneal_epochs": 15}
EASE_L2 = 100.0


class Showcase:
    """One run of the demo; the steps are meant to be called in the order in which they stand."""

    def __init__(self, out: Path, protocol: str, epochs: int, seed: int) -> None:
        if out.exists() and not out.is_dir():
            raise InputError(f"{out} is a file, not a folder")
        _check_run(out / "run")
        self.out = out
        self.split = protocol_split(protocol, seed=seed)
        self._say(f"Online Retail, the purchases of a real shop.  {work.describe(self.split)}")
        settings = SETTINGS | {"epochs": epochs, "seed": seed}
        self.vae = MultVAE(**settings)
        self.models: list[Recommender] = [Popularity(), EASE(EASE_L2), self.vae]
        self.customer = ""
        self.parts: list[str] = []

    def train(self) -> None:
        """Fit all models; Mult-VAE goes into the run folder, which then serves `minigen recommend`."""
        self._say("Training popularity and EASE (closed form), then Mult-VAE by mini-batches:")
        for model in self.models[:-1]:
            model.fit(self.split.train)
        with progress(self.vae.config.epochs) as report_progress:
            self.vae.fit(self.split.train, self.split.validation, report=report_progress)
        write_split(self.out / "run", self.split)
        self.vae.save(self.out / "run")
        figure = plots.learning_curves(self.vae.state.history)
        plots.save(figure, self.out / "learning-curves.png")
        self.parts += [
            report.heading("Training"),
            report.paragraph(
                "Mult-VAE learns to reconstruct each customer's purchases through a narrow code. The weights "
                "of the epoch that served held-out validation customers best are kept."
            ),
            report.picture(png(figure), "Reconstruction loss, KL term and validation NDCG over the epochs"),
        ]

    def compare(self) -> list[dict[str, Any]]:
        """Measure all models on the same held-out test customers."""
        results = [evaluate(model, self.split.test, METRICS) for model in self.models]
        rows = [
            result.row(model.id, model.family, model.settings) for model, result in zip(self.models, results)
        ]
        work.print_rows(rows)
        words = _verdict(results)
        self._say(words)
        figure = plots.comparison(rows, METRICS)
        plots.save(figure, self.out / "comparison.png")
        cells = [[row["model"], *(row["metrics"][m] for m in METRICS), row["se"]["ndcg@100"]] for row in rows]
        self.parts += [
            report.heading("Comparison"),
            report.table(["model", *METRICS, "± (ndcg@100)"], cells),
            report.paragraph(words),
            report.picture(png(figure), "The three models' recall and NDCG with 95% intervals"),
        ]
        return rows

    def recommend(self, customer: str | None = None) -> None:
        """Recommend to one held-out customer, explain, and show how generated behaviour meets history."""
        self.customer = customer or self._readable_customer()
        history = history_of_user(self.split, self.customer)
        items, _ = self.vae.recommend(history, K)
        reasons = because(self.vae, history, items[0])
        rows = [
            [n, self._name(item), "; ".join(self._name(i) for i, _ in why) or "-"]
            for n, (item, why) in enumerate(zip(items[0], reasons), start=1)
        ]
        print_table(
            f"Ten products for customer {self.customer}, who has bought {history.nnz}",
            ["rank", "recommended", "because of"],
            rows,
        )
        behaviour = generated(self.vae, history)[0]
        ranking = combine(behaviour[None], history)[0]
        order = np.argsort(-ranking, kind="stable")
        rank = {int(item): n for n, item in enumerate(order, start=1)}
        bought = set(history.indices.tolist())
        old = sorted(bought, key=lambda item: -behaviour[item])[:BOUGHT_SHOWN]
        meeting = [
            [
                self._name(item),
                f"{behaviour[item]:.2%}",
                "bought: left out" if item in bought else f"new: rank {rank[item]}",
            ]
            for item in sorted([*order[:K].tolist(), *old], key=lambda item: -behaviour[item])
        ]
        title = "What the decoder generates for this customer, and how it meets the history"
        print_table(title, ["generated product", "probability", "history says"], meeting)
        self._pictures(history, behaviour, order)
        self.parts += [
            report.heading(f"Ten products for customer {self.customer}"),
            report.table(["rank", "recommended", "because of"], rows),
            report.heading("Generated behaviour, combined with the history"),
            report.paragraph(
                "The decoder turns the customer's code into a probability for every product: generated "
                "behaviour. What was bought already is left out, and the rest, most probable first, is the "
                "recommendation."
            ),
            report.table(["generated product", "probability", "history says"], meeting),
            *self._drawn,
        ]

    def write_report(self) -> None:
        """Write report.html."""
        self.parts += [report.heading("What next"), report.commands(self.next_steps())]
        write_text(self.out / "report.html", report.page("minigen: the recommendation example", self.parts))

    def next_steps(self) -> list[str]:
        """Commands that go on from here."""
        popular = np.argsort(-np.asarray(self.split.train.sum(axis=0)).ravel(), kind="stable")
        names = [self._name(i) for i in popular[[1, 4]]]
        return [
            command("recommend", self.out / "run", "--items", *names),
            command("recommend", self.out / "run", "--user", self.customer),
            command("gradcheck", "--mutants"),
            command("train", "YOUR.csv", "--user", "CUSTOMER", "--item", "PRODUCT", "--out", "run"),
        ]

    def _pictures(self, history: Any, behaviour: Any, order: Any) -> None:
        names = [self._name(n) for n in range(len(self.split.items))]
        beside = plots.behaviour(history, behaviour, order, names)
        everybody = self.split.train
        latent = plots.latent_map(self.vae, everybody, names, history)
        plots.save(beside, self.out / "behaviour.png")
        plots.save(latent, self.out / "latent-map.png")
        self._drawn = [
            report.picture(png(beside), "The history beside the generated behaviour"),
            report.heading("The code"),
            report.picture(png(latent), "Customers and products in the two widest directions of the code"),
        ]

    def _readable_customer(self) -> str:
        """A test customer with a history of 10 to 14 products: enough to see a taste, few enough to read."""
        sizes = np.diff(self.split.test.fold_in.indptr)
        rows = np.flatnonzero((sizes >= 10) & (sizes <= 14))
        return self.split.test.users[int(rows[0]) if rows.size else int(sizes.argmax())]

    def _name(self, item: int) -> str:
        return self.split.item_names.get(self.split.items[item], self.split.items[item])

    def _say(self, text: str) -> None:
        console.print(f"\n{text}")


def _check_run(run: Path) -> None:
    """Raise InputError where a run stands that no demo left: its model would be lost."""
    if (run / "LATEST").exists():
        _, state = checkpoint.load(run)
        demo = {"model": MultVAE.id, **SETTINGS}
        if {"model": state["model"], **state["settings"]}.items() >= demo.items():
            return
        raise InputError(f"{run} holds another model, {state['model']}: choose another --out")
    work.check_run_folder(run, resume=False)


def _verdict(results: list[Evaluation]) -> str:
    """The comparison in words, by paired bootstrap over the same customers."""
    popularity, ease, vae = (result.per_user["ndcg@100"] for result in results)
    gain, gap = paired_bootstrap(vae, popularity), paired_bootstrap(ease, vae)
    words = (
        f"In NDCG@100 Mult-VAE finds {vae.mean() / popularity.mean():.1f} times what popularity finds "
        f"({_interval(gain)}). "
    )
    if gap.low > 0:
        return words + (
            f"EASE, a linear model in closed form, is still ahead of it ({_interval(gap)}): on a small "
            "catalogue a linear model is a strong baseline, and a neural model's figure means little without "
            "one beside it. Closing that gap is what the later chapters work on."
        )
    return words + (
        "A linear model is a strong baseline on a small catalogue: EASE, in closed form, differs from "
        f"Mult-VAE by {_interval(gap)}."
    )


def _interval(c: Comparison) -> str:
    return f"{c.difference:+.3f}, 95% interval {c.low:+.3f} to {c.high:+.3f}"
