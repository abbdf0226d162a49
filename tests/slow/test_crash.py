"""Training killed without warning, again and again, ends in the weights of a run never interrupted."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow
KILLS = 6


def command(events: Path, out: Path, model: str) -> list[str]:
    settings = ["hidden=200", "latent=20", "epochs=6", "batch=25", "patience=0"]
    flags = [word for setting in settings for word in ("--set", setting)]
    train = ["train", str(events), "--model", model, *flags, "--k-core", "1", "--out", str(out)]
    # A checkpoint after every step: most kills fall into a write.
    return [sys.executable, "-m", "minigen", *train, "--checkpoint-seconds", "0"]


def finish(words: list[str]) -> float:
    start = time.monotonic()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - start


def kill_after(words: list[str], seconds: float) -> bool:
    """Start the command and kill it; whether it was still running then."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    assert process.returncode == 0
    return False


@pytest.mark.parametrize("model", ["mult-vae", "seed-vae"])
def test_kills_at_random_moments(model, tmp_path):
    rng = np.random.default_rng(0)
    events = tmp_path / "events.csv"
    lines = [f"u{user},i{item}" for user in range(120) for item in rng.choice(200, 15, replace=False)]
    events.write_text("user,item\n" + "\n".join(lines) + "\n")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    seconds = finish(command(events, whole, model))
    moments = random.Random(1)
    killed = 0
    for _ in range(KILLS):
        # A run that died before its first checkpoint starts again; any other goes on.
        started = (cut / "ids.json").exists()
        words = command(events, cut, model) + (["--resume"] if started else [])
        killed += kill_after(words, moments.uniform(0.3, 0.9) * seconds)
    finish(command(events, cut, model) + (["--resume"] if (cut / "ids.json").exists() else []))
    assert killed >= KILLS // 2
    (expected,) = whole.glob("step-*/weights.safetensors")
    (found,) = cut.glob("step-*/weights.safetensors")
    assert found.read_bytes() == expected.read_bytes()
    assert (found.parent / "state.json").read_bytes() == (expected.parent / "state.json").read_bytes()
    assert not list(cut.rglob("*.tmp")), "half-written files are left"
