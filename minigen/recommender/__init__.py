"""The recommenders: fit on sparse rows, recommend to anybody with a history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigen.errors import InputError
from minigen.recommender.base import Recommender
from minigen.recommender.baselines import EASE, Popularity
from minigen.recommender.mult_vae import MultVAE
from minigen.recommender.seed_vae import SeedVAE
from minigen.recommender.trained import AutoencoderRecommender

if TYPE_CHECKING:
    from minigen.ladder import MODELS

__all__ = [
    "EASE",
    "MODELS",
    "AutoencoderRecommender",
    "MultVAE",
    "Popularity",
    "Recommender",
    "SeedVAE",
    "load_model",
    "model_class",
]


def __getattr__(name: str) -> Any:
    if name == "MODELS":  # the ladder stands on this room, so the room cannot load it at once
        from minigen.ladder import MODELS

        return MODELS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def model_class(name: str) -> type[Recommender]:
    """The class of the model called `name`.  Raises InputError for an unknown name."""
    from minigen.ladder import MODELS

    if name not in MODELS:
        raise InputError(f"there is no model {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]


def load_model(run: str | Path) -> Recommender:
    """The model in the folder `run`, whichever it is.  Raises InputError where there is none."""
    from minigen.training import checkpoint

    state = checkpoint.read_json(checkpoint.latest_folder(Path(run)) / "state.json")
    name = state.get("model") if isinstance(state, dict) else None
    return model_class(str(name)).load(run)
