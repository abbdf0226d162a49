"""A Mult-VAE on the device: the losses of NumPy, and no host between the batch and its loss."""

from __future__ import annotations

import numpy as np
import pytest
from numba import cuda
from numba.cuda.args import InOut
from scipy import sparse

from minigen.recommender import MultVAE

SETTINGS = {"hidden": 9, "latent": 3, "batch": 6, "epochs": 2, "patience": 0, "lr": 0.01, "seed": 3}


def clicks() -> sparse.csr_matrix:
    dense = np.random.default_rng(1).random((12, 17)) < 0.3
    dense[:, 0] = True
    return sparse.csr_matrix(dense.astype(np.float32))


def test_it_trains_as_numpy_does(tmp_path) -> None:
    losses = {}
    for backend in ("numpy", "cuda"):
        model, seen = MultVAE(backend=backend, **SETTINGS), []
        model.fit(clicks(), run=tmp_path / backend, report=lambda _, row, seen=seen: seen.append(row["loss"]))
        losses[backend] = seen
    np.testing.assert_allclose(losses["cuda"], losses["numpy"], rtol=1e-5)
    assert len(losses["numpy"]) == 6  # two epochs of two batches, and a row for each

    on_host, on_device = (MultVAE.load(tmp_path / "cuda", backend=backend) for backend in losses)
    items, scores = on_host.recommend(clicks()[:3], k=4)
    same_items, same_scores = on_device.recommend(clicks()[:3], k=4)
    np.testing.assert_array_equal(same_items, items)
    np.testing.assert_allclose(same_scores, scores, rtol=1e-4, atol=1e-6)


def test_a_step_leaves_the_device_only_for_its_losses(monkeypatch) -> None:
    model, rows = MultVAE(backend="cuda", **SETTINGS), clicks()
    model.start(rows)
    model.train_step(rows[:6], np.random.default_rng(0), 0)  # buffers and moments are made now
    events: list[str] = []
    device_array, put = type(model.params["w_in"]), cuda.to_device
    read = device_array.copy_to_host

    def counted_put(array, *args, **kwargs):
        events.append("put")
        return put(array, *args, **kwargs)

    def counted_read(array, *args, **kwargs):
        steps = {state.t for state in model.optimizers["all"]._states.values()}
        events.append(f"read of {array.size} after {steps} steps")
        return read(array, *args, **kwargs)

    monkeypatch.setattr(cuda, "to_device", counted_put)
    monkeypatch.setattr(device_array, "copy_to_host", counted_read)
    monkeypatch.setattr(InOut, "to_device", lambda *_: pytest.fail("a kernel was given an array of the host"))
    model.train_step(rows[6:], np.random.default_rng(1), 1)
    # The mask, the noise and the three arrays of the clicks; the two parts of the loss.
    assert events == ["put"] * 5 + ["read of 1 after {2} steps"] * 2
