"""Mixtures of Gaussians in the plane: data whose modes can be counted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigen.typing import Array


class Mixture(NamedTuple):
    """Equally likely Gaussians of one standard deviation around `centres` (K, D)."""

    centres: Array
    std: float

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw x (n, D), float32."""
        centres = self.centres[rng.integers(len(self.centres), size=n)]
        return (centres + self.std * rng.standard_normal(centres.shape)).astype(np.float32)


def ring(modes: int = 8, radius: float = 2.0, std: float = 0.02) -> Mixture:
    """`modes` Gaussians on a circle.  Metz et al. 2017, section 3.1."""
    angle = 2 * np.pi * np.arange(modes) / modes
    return Mixture(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """side x side Gaussians around the origin.  Srivastava et al. 2017, section 4.1."""
    line = spacing * (np.arange(side) - (side - 1) / 2)
    return Mixture(np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2), std)


MIXTURES = {"ring": ring, "grid": grid}
