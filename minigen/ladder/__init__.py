"""The ladder of recommenders, from counting upwards: every model by its id."""

from __future__ import annotations

from pathlib import Path

from minigen.data.interactions import Split
from minigen.errors import InputError
from minigen.files import read_json
from minigen.ladder.autoencoders import AE, DAE, BetaVAE, MultDAE
from minigen.ladder.behaviours import BehaviourVAE
from minigen.ladder.cfgan import CFGAN
from minigen.ladder.edlae import EDLAE
from minigen.ladder.ials import IALS
from minigen.ladder.itemknn import ItemKNN
from minigen.ladder.linear_vae import LinearVAE
from minigen.ladder.recvae import RecVAE
from minigen.ladder.spectral import Spectral
from minigen.recommender.base import Recommender
from minigen.recommender.baselines import EASE, Popularity
from minigen.recommender.mult_vae import MultVAE
from minigen.recommender.seed_vae import SeedVAE
from minigen.training import checkpoint

MODELS: dict[str, type[Recommender]] = {
    m.id: m
    for m in (
        *(Popularity, ItemKNN, EASE, EDLAE, IALS, Spectral),
        *(SeedVAE, AE, DAE, MultDAE, MultVAE, BetaVAE, RecVAE, LinearVAE, CFGAN, BehaviourVAE),
    )
}

__all__ = [
    "AE",
    "CFGAN",
    "DAE",
    "EDLAE",
    "IALS",
    "MODELS",
    "BehaviourVAE",
    "BetaVAE",
    "ItemKNN",
    "LinearVAE",
    "MultDAE",
    "RecVAE",
    "Spectral",
    "load_model",
    "load_run",
    "model_class",
]


def model_class(name: str) -> type[Recommender]:
    """The class of the model called `name`.  Raises InputError for an unknown name."""
    if name not in MODELS:
        raise InputError(f"there is no model {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]


def load_model(run: str | Path, data: Split | None = None) -> Recommender:
    """The model in the folder `run`, whichever it is; with `data`, the model of this split.

    Raises InputError where there is none, or `data` is of other items or behaviours.
    """
    state = read_json(checkpoint.latest_folder(Path(run)) / "state.json")
    name = state.get("model") if isinstance(state, dict) else None
    model = model_class(str(name)).load(run)
    if data is not None:
        if model.n_items != len(data.items):
            raise InputError(f"the data in {run} has {len(data.items)} items, its model {model.n_items}")
        names, wanted = ",".join(data.behaviours), model.settings.get("behaviours", "")
        if "behaviours" in model.settings and names != wanted:
            raise InputError(
                f"{run}: its model is of {wanted or 'no behaviours'}, the data of {names or 'no behaviours'}"
            )
    return model


def load_run(run: str | Path) -> tuple[Recommender, Split]:
    """The model in the folder `run` and the split beside it.

    Raises InputError where one of them is missing, or they do not belong together.
    """
    from minigen.recommender.runs import read_split  # with Polars, which a model alone does not need

    checkpoint.latest_folder(Path(run))  # its line is the clearest where there is no run at all
    data = read_split(Path(run))
    return load_model(run, data), data
