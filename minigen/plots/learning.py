"""How training went: the parts of the loss, and the validation score that ends it."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from minigen.plots.style import BLUE, GREEN, GREY, ORANGE, new_figure


def learning_curves(history: Sequence[dict[str, float]], metric: str = "NDCG@100") -> Figure:
    """Three panels over the epochs of `State.history`: reconstruction, KL with its weight, validation."""
    epochs = [row["epoch"] for row in history]
    figure, (nll, kl, validation) = new_figure(11, 3.3, columns=3)
    nll.plot(epochs, [row["nll"] for row in history], color=BLUE)
    nll.set(title="Reconstruction", xlabel="epoch", ylabel="negative log-likelihood, nats a user")
    kl.plot(epochs, [row["kl"] for row in history], color=ORANGE, label="KL")
    kl.set(title="Information in the code", xlabel="epoch", ylabel="KL to the prior, nats a user")
    weight = kl.twinx()
    weight.plot(epochs, [row["beta"] for row in history], color=GREY, linestyle="--", label="β")
    weight.set_ylabel("weight β of the KL (dashed)")
    weight.set_ylim(bottom=0)
    if "validation" in history[0]:
        scores = [row["validation"] for row in history]
        best = max(range(len(scores)), key=scores.__getitem__)
        validation.plot(epochs, scores, color=GREEN)
        validation.plot(epochs[best], scores[best], "o", color=GREEN, markersize=8, fillstyle="none")
        validation.set_title(f"Held-out users (kept: epoch {epochs[best]:.0f})")
    validation.set(xlabel="epoch", ylabel=f"validation {metric}")
    return figure
