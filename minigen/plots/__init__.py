"""Figures of training and of recommendations, drawn without a display, readable in grey."""

from minigen.plots.behaviour import behaviour
from minigen.plots.comparison import comparison
from minigen.plots.contest import contest
from minigen.plots.graph import graph
from minigen.plots.latent import latent_map
from minigen.plots.learning import learning_curves
from minigen.plots.style import new_figure, save

__all__ = [
    "behaviour",
    "comparison",
    "contest",
    "graph",
    "latent_map",
    "learning_curves",
    "new_figure",
    "save",
]
