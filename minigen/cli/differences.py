"""One model against another on the same users: the paired bootstrap of each metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigen.data.interactions import HeldOut
    from minigen.evaluation.evaluate import Evaluation
    from minigen.recommender import Recommender


def differences(one: Evaluation, first: Evaluation) -> dict[str, dict[str, float]]:
    """`one` minus `first`, metric by metric, with what it would be for other users."""
    from minigen.evaluation.bootstrap import paired_bootstrap

    return {
        name: paired_bootstrap(values, first.per_user[name])._asdict()
        for name, values in one.per_user.items()
    }


def print_differences(row: dict[str, Any], first: str) -> None:
    """Print `row["differences"]` as a table."""
    from minigen.cli.output import print_table

    cells = [
        [
            name,
            f"{d['difference']:+.4f} ± {d['se']:.4f}",
            f"{d['low']:+.4f} to {d['high']:+.4f}",
            f"{d['p_value']:.4f}",
        ]
        for name, d in row["differences"].items()
    ]
    title = f"{row['model']} minus {first}, paired bootstrap over the same users"
    print_table(title, ["metric", "difference", "95% interval", "p"], cells)


def beside_its_path(model: Recommender, held: HeldOut, measured: Evaluation) -> dict[str, Any]:
    """What the decoder of a model with a linear path adds to the path; nothing for other models."""
    from minigen.evaluation.evaluate import evaluate
    from minigen.ladder import LinearVAE

    if not isinstance(model, LinearVAE):
        return {}
    alone = evaluate(model.path, held, tuple(measured.per_user))
    return {"path": alone.row(model.path.id, model.path.family, {})["metrics"]} | {
        "differences": differences(measured, alone)
    }
