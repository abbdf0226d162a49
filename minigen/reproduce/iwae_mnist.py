"""The IWAE paper's experiment on MNIST with one stochastic layer: 784-200-200-50, 3,280 epochs, batch 20.

Every image is made of bits anew each time it is seen.  Burda et al. 2016, section 5; k = 1 is the VAE.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigen import vae
from minigen.collapse import active_units
from minigen.data.images import read_images
from minigen.errors import InputError
from minigen.ops import AdamState
from minigen.optimizers import Adam, Optimizer
from minigen.training import checkpoint
from minigen.typing import Array, Params

SIZES = (784, 200, 200, 50)
BATCH = 20
STEPS = 149  # of Adam in one call: 20 calls an epoch, a checkpoint or Ctrl-C between two
N_TRAIN = 59_600  # of the 60,000: the paper kept 400 back
STAGES = 8
ADAM = 0.9, 0.999, 1e-4 / BATCH  # beta1, beta2, and eps: the paper's 1e-4 is for a sum over the batch
ROUND = 50  # samples of an image at once where the NLL is estimated
NAMES = [f"{part}.{{}}{n}" for part in ("encoder", "decoder") for n in range(3)]
ABOUT = {"experiment": "iwae-mnist", "calls": N_TRAIN // (BATCH * STEPS)}  # calls an epoch

Grey = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Settings:
    """k samples in the bound; the first `stages` of the eight stages of the schedule."""

    k: int = 1
    stages: int = STAGES
    seed: int = 0

    def __post_init__(self) -> None:
        if self.k < 1 or not 1 <= self.stages <= STAGES or self.seed < 0:
            raise InputError(
                f"want k of at least 1, 1 to {STAGES} stages and a seed of at least 0, "
                f"got {self.k}, {self.stages}, {self.seed}"
            )

    @property
    def epochs(self) -> int:
        """Stage i has 3^(i-1)."""
        return sum(3**i for i in range(self.stages))

    @property
    def about(self) -> dict[str, Any]:
        """What every checkpoint of the run holds."""
        return ABOUT | {"settings": asdict(self)}

    @property
    def model(self) -> str:
        """The name of the row."""
        return "vae-k1" if self.k == 1 else f"iwae-k{self.k}"

    def lr(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0: 1e-3 falling to 1e-4 in eight stages."""
        stage = next(i for i in range(STAGES) if epoch < sum(3**n for n in range(i + 1)))
        return 1e-4 * round(10 ** (1 - stage / 7), 1)


class _Adam(Adam):
    def states(self, params: Params) -> list[AdamState]:
        """The state of each array, made where there is none."""
        return [self._states.setdefault(name, AdamState.zeros_like(w)) for name, w in params.items()]


class Experiment:
    """What the training loop trains, on indices of images; a step of the loop is `steps` steps of Adam."""

    def __init__(self, settings: Settings, images: np.ndarray, steps: int = STEPS) -> None:
        self.settings, self.steps = settings, steps
        self.grey = grey_of(images)
        self.params = vae.init_params(SIZES, np.random.default_rng([settings.seed, 0]))
        mean = np.clip(images.reshape(len(images), -1).mean(axis=0) / 255, 1e-3, 1 - 1e-3)
        self.params["decoder.b2"] = np.log(mean / (1 - mean)).astype(np.float32)
        self._adam = _Adam(1e-3, *ADAM)
        self.optimizers: dict[str, Optimizer] = {"adam": self._adam}
        self._calls = math.ceil(len(images) / (BATCH * steps))  # an epoch
        self._workspace: Any = None

    def train_step(self, rows: np.ndarray, rng: np.random.Generator, step: int) -> dict[str, float]:
        """Steps of Adam over the images `rows`, in batches of 20; what is left of a batch is dropped."""
        from minigen.reproduce.numba_iwae import steps, workspace

        weights, biases = _layers(self.params)
        states = dict(zip(self.params, self._adam.states(self.params)))
        m_w, m_b = _layers({name: state.m for name, state in states.items()})
        v_w, v_b = _layers({name: state.v for name, state in states.items()})
        t = next(iter(states.values())).t
        settings = (self.settings.lr(step // self._calls), *ADAM)
        batches = rows[: len(rows) // BATCH * BATCH].reshape(-1, BATCH)

        def run(batches: np.ndarray) -> float:
            moments = m_w, v_w, m_b, v_b
            return steps(weights, biases, moments, t, settings, self.grey, batches, rng, self._workspace)

        if self._workspace is None:
            self._workspace = workspace(weights, BATCH, self.settings.k)
            run(batches[:0])  # compiles, which is no part of a step's time
        began, began_cpu = time.perf_counter(), time.process_time()
        loss = run(batches)
        for state in states.values():
            state.t += len(batches)
        return {
            "loss": loss,
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - began_cpu,
        }


def grey_of(images: np.ndarray) -> Grey:
    """The pixels of images (N, H, W) that are not black: where each image starts, place, probability of 1."""
    flat = images.reshape(len(images), -1)
    image, pixel = np.nonzero(flat)
    start = np.searchsorted(image, np.arange(len(flat) + 1))
    return start.astype(np.int64), pixel.astype(np.int32), (flat[image, pixel] / np.float32(255))


def training_images(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """59,600 of MNIST's training images, drawn once for all runs, and the test images.

    Raises InputError where the folder does not hold MNIST.
    """
    images = read_images(folder)
    if images.train.shape != (60_000, 28, 28):
        raise InputError(f"{folder}: want the 60,000 training images of MNIST, got {images.train.shape}")
    return images.train[np.random.default_rng(0).permutation(60_000)[:N_TRAIN]], images.test


def nll_nats(
    params: Params,
    images: np.ndarray,
    samples: int,
    seed: int,
    report: Callable[[int], None] = lambda done: None,
) -> Array:
    """-log p(x) (N,) of test images by `samples` importance samples each (rounded up to 50s).

    Each image is made of bits once.  `report` is told how many are done.  See `minigen.iwae.nll_estimate`.
    """
    from minigen.reproduce.numba_iwae import estimate, workspace

    weights, biases = _layers(params)
    grey, parts = grey_of(images), []
    for start in range(0, len(images), BATCH):
        rows = np.arange(start, min(start + BATCH, len(images)))
        ws = workspace(weights, len(rows), ROUND)
        rng = np.random.default_rng([seed, 5, start])
        parts.append(estimate(weights, biases, grey, rows, math.ceil(samples / ROUND), rng, ws))
        report(int(rows[-1]) + 1)
    return np.concatenate(parts)


def row_of(
    run: Path, images: np.ndarray, samples: int, report: Callable[[int], None] = lambda done: None
) -> dict[str, Any]:
    """Measure the latest checkpoint of `run` on test images: its row in a result file.

    A run cut short says so: epochs of epochs_planned, complete or not.
    Raises InputError where the run is not one of this experiment.
    """
    arrays, state = checkpoint.load(run)
    if state.get("experiment") != ABOUT["experiment"]:
        raise InputError(f"{run} is not a run of {ABOUT['experiment']}")
    settings, params, calls = Settings(**state["settings"]), arrays["weights"], state["calls"]
    nll = nll_nats(params, images, samples, settings.seed, report)
    mu, _, _ = vae.encode(params, images.reshape(len(images), -1) / np.float32(255), vae.Form())
    spent = {  # the history holds means over the calls of an epoch
        name: round(state["sums"].get(name, 0) + calls * sum(row[name] for row in state["history"]), 1)
        for name in ("seconds", "cpu_seconds")
    }
    return {
        "model": settings.model,
        "family": "generative",
        "settings": asdict(settings),
        "metrics": {"nll_nats": float(nll.mean()), "active_units": int(active_units(mu).sum())},
        "se": {"nll_nats": float(nll.std() / math.sqrt(len(nll)))},
        "samples": samples,
        "images": len(images),
        "seeds": [settings.seed],
        "epochs": state["epoch"] + state["position"] / calls,
        "epochs_planned": settings.epochs,
        "complete": state["finished"] and settings.stages == STAGES,
        "steps": state["step"] * STEPS,
        **spent,
    }


def _layers(arrays: Params) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Weights and biases in the order of the network."""
    weights, biases = (tuple(arrays[name.format(kind)] for name in NAMES) for kind in "wb")
    return weights, biases
