"""Which slip is shown on which model."""

from __future__ import annotations

from difflib import get_close_matches

from minigen.errors import InputError
from minigen.gradcheck.side_by_side.clicks import MULT_VAE_ON_CLICKS, WITH_DROPOUT
from minigen.gradcheck.side_by_side.images import IWAE_ON_CLOTHES, VAE_ON_CLOTHES
from minigen.gradcheck.side_by_side.points import GAN_ON_THE_RING, WGAN_ON_THE_RING
from minigen.gradcheck.side_by_side.scene import Family
from minigen.gradcheck.slips import MUTANTS, Mutant

_QUANTITIES = {
    "gan-discriminator gan-minimax gan-non-saturating": GAN_ON_THE_RING,
    "wgan-critic wgan-generator": WGAN_ON_THE_RING,
    "gradient-penalty-tanh gradient-penalty-softplus gradient-penalty-leaky-relu": WGAN_ON_THE_RING,
    "reparameterise gaussian-kl bernoulli-log-prob gaussian-log-prob": VAE_ON_CLOTHES,
    "vae-bernoulli vae-gaussian": VAE_ON_CLOTHES,
    "iwae-bernoulli iwae-gaussian": IWAE_ON_CLOTHES,
    "dense sparse-dense tanh relu leaky-relu softplus l2-normalise": MULT_VAE_ON_CLICKS,
    "dropout": WITH_DROPOUT,
    "softmax-nll bernoulli-nll adam mult-vae": MULT_VAE_ON_CLICKS,
}
FAMILIES: dict[str, Family] = {
    quantity: family for names, family in _QUANTITIES.items() for quantity in names.split()
}
UNFIT = {
    "dense-transposed-d-w": "its gradient has not the shape of w, and the first step of Adam fails",
    "dense-unsummed-d-b": "its gradient has not the shape of b, and the first step of Adam fails",
    "sparse-dense-d-x-by-row": "clicks are data, and no training asks for their gradient",
    "l2-normalise-no-projection": "clicks are data, and no training asks for their gradient",
    "l2-normalise-length-squared": "clicks are data, and no training asks for their gradient",
    "softmax-nll-ignores-d-loss": "training begins its backward pass with d_loss = 1, and 1 can be left out",
}


class UnknownSlipError(InputError):
    """No slip has this name, or more than one."""


def trainable() -> list[Mutant]:
    """The slips that a training can be shown with."""
    return [mutant for mutant in MUTANTS if mutant.quantity in FAMILIES and mutant.name not in UNFIT]


def find(name: str) -> Mutant:
    """The slip called `name`, in full or without the quantity in front where that is enough.

    Raises UnknownSlipError for none or more than one, InputError for one that no training can show.
    """
    found = [m for m in MUTANTS if name == m.name] or [m for m in MUTANTS if name == _short(m)]
    if len(found) != 1:
        names = [m.name for m in found] or get_close_matches(name, _all_names(), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(names)}?" if names else "--break list shows them"
        count = "more than one" if found else "no"
        raise UnknownSlipError(f"--break {name}: there is {count} such slip; {hint}")
    (mutant,) = found
    if mutant.name in UNFIT:
        raise InputError(f"--break {mutant.name}: cannot be trained: {UNFIT[mutant.name]}")
    if mutant.quantity not in FAMILIES:
        raise InputError(
            f"--break {mutant.name}: cannot be trained: no model shown here stands on {mutant.quantity} alone"
        )
    return mutant


def _short(mutant: Mutant) -> str:
    return mutant.name.removeprefix(f"{mutant.quantity}-")


def _all_names() -> list[str]:
    return sorted({name for mutant in trainable() for name in (mutant.name, _short(mutant))})
