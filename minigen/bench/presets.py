"""What can be raced: a name, what it is, and who takes part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minigen.bench.cases import Case

OURS = ("numpy", "numba")
TORCH = ("torch-eager", "torch-fused", "torch-compile")
_GRID = (  # batch, items, hidden, clicks
    *((1, 64, 16, 5), (1, 20_108, 64, 70), (4, 512, 32, 8), (25, 4_000, 64, 20)),
    *((100, 1_000, 64, 50), (100, 20_000, 64, 50), (500, 1_000, 200, 30), (500, 4_000, 600, 70)),
)


@dataclass(frozen=True)
class Preset:
    """`cases` makes the work of a backend; `ours` and `peers` are those that have it."""

    about: str
    cases: Callable[[str], dict[str, Case]]
    ours: tuple[str, ...] = OURS
    peers: tuple[str, ...] = TORCH


def _mult_vae(items: int, clicks: int) -> Callable[[str], dict[str, Case]]:
    def cases(backend: str) -> dict[str, Case]:
        from minigen.bench import mult_vae

        sizes = mult_vae.Sizes(items, clicks=clicks)
        if backend in TORCH:
            from minigen.bench import torch_mult_vae

            return torch_mult_vae.operation_cases(sizes, backend) | torch_mult_vae.step_cases(sizes, backend)
        return mult_vae.operation_cases(sizes, backend) | mult_vae.step_cases(sizes, backend)

    return cases


def _large(backend: str) -> dict[str, Case]:
    from minigen.bench import mult_vae

    sizes = mult_vae.Sizes(1_000_000, hidden=0, latent=64, negatives=8192)
    return mult_vae.step_cases(sizes, backend)


def _serve(backend: str) -> dict[str, Case]:
    from minigen.bench import mult_vae, serve

    return serve.cases(mult_vae.Sizes(20_108), backend)


def _vae(backend: str) -> dict[str, Case]:
    from minigen.bench import small

    return small.vae_cases(backend)


def _gan(backend: str) -> dict[str, Case]:
    from minigen.bench import small

    return small.gan_cases(backend)


def _sizes(backend: str) -> dict[str, Case]:
    from minigen.bench import mult_vae

    return {
        f"{op} {batch} x {items} x {hidden}": case
        for batch, items, hidden, clicks in _GRID
        for op, case in mult_vae.operation_cases(
            mult_vae.Sizes(items, hidden, 16, batch, clicks), backend
        ).items()
        if not op.startswith("clicks_as")
    }


def cases_of(name: str, backend: str) -> dict[str, Case]:
    """The work of a preset, of the machine's own probes, or of "growth AXIS SIZE"."""
    kind, *axis = name.split()
    if kind == "machine":
        from minigen.bench.machine import machine_cases

        return machine_cases()
    if kind == "growth":
        from minigen.bench import growth, mult_vae

        return mult_vae.step_cases(growth.sizes_of(axis[0], int(axis[1])), backend)
    return PRESETS[kind].cases(backend)


PRESETS = {
    "mult-vae-ml20m": Preset(
        "Mult-VAE, 20,108 items, 600-200-600, batch 500, 70 clicks", _mult_vae(20_108, 70)
    ),
    "large-catalogue": Preset(
        "Mult-VAE, 1,000,000 items, 64, batch 500, 70 clicks, 8,192 negatives", _large, peers=()
    ),
    "gowalla": Preset("Mult-VAE, 40,981 items, 600-200-600, batch 500, 27 clicks", _mult_vae(40_981, 27)),
    "vae-mnist": Preset("a VAE on bits, 784-200-200-50, batch 20", _vae),
    "gan-ring": Preset("both players' step on the ring, batch 256", _gan, ("numpy",)),
    "serve": Preset("one person's top 10 of 20,108 items", _serve, peers=("torch-eager", "torch-compile")),
    "sizes": Preset("every operation of Mult-VAE from small sizes to large", _sizes, peers=()),
}
