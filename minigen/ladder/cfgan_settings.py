"""The settings of CFGAN: both players, the two draws of places, and who tells G what."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

from minigen.errors import InputError
from minigen.ladder.cfgan_model import Form

BACKENDS = ("numpy", "numba")
ROWS = ("items", "users")
DRAWS = ("one", "two")


@dataclass(frozen=True)
class Settings:
    """Both players, the two draws of places without a click, and what G is told by whom."""

    rows: str = "items"  # what G completes: the people of an item, or the items of a person
    hidden: int = 400
    hidden_d: int = 125
    zr: float = 0.7  # zero reconstruction: share of the places without a click where G should say 0
    pm: float = 0.7  # partial masking: share of these places that D sees
    draws: str = "two"  # of places, one a scheme; or one, and the smaller share lies in the larger
    alpha: float = 0.03  # weight of the zero reconstruction
    gan: float = 1.0  # weight of D's verdict in G's loss; 0: there is no adversary
    clicks: float = 0.0  # weight of a squared error at the clicks in G's loss, which CFGAN has not
    noise: int = 0  # entries of a noise vector beside the row; G is served without
    l2_g: float = 1e-3
    l2_d: float = 0.0
    lr_g: float = 1e-4
    lr_d: float = 1e-4
    batch_g: int = 32
    batch_d: int = 64
    passes_g: int = 4  # in an epoch: D's passes over the rows, then G's
    passes_d: int = 2  # 0: D stays as it was drawn
    epochs: int = 250  # the authors count G's passes, of which this is a thousand
    patience: int = 50  # epochs without a better validation score; 0: never stop early
    seed: int = 0
    backend: str = "numpy"  # whose operations train and serve

    def __post_init__(self) -> None:
        least_1 = ("hidden", "hidden_d", "batch_g", "batch_d", "passes_g", "epochs")
        least_0 = ("alpha", "gan", "clicks", "noise", "l2_g", "l2_d", "passes_d", "patience", "seed")
        for least, names in ((1, least_1), (0, least_0)):
            for name in names:
                if not least <= getattr(self, name) < math.inf:
                    raise InputError(f"{name}: want a number of at least {least}, got {getattr(self, name)}")
        for name in ("zr", "pm"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: want a share between 0 and 1, got {getattr(self, name)}")
        for name in ("lr_g", "lr_d"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name}: want a number above 0, got {getattr(self, name)}")
        for name, known in (("rows", ROWS), ("draws", DRAWS), ("backend", BACKENDS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name}: want {' or '.join(known)}, got {getattr(self, name)}")

    @property
    def form(self) -> Form:
        """The weights of the terms of both losses."""
        return Form(self.gan, self.alpha if self.zr else 0.0, self.clicks, self.l2_g, self.l2_d)

    @property
    def batch(self) -> int:
        """Rows in a step of the training loop: all, since its step is an epoch of both players."""
        return sys.maxsize
