"""Training killed without warning, again and again, ends in the weights of a run never interrupted."""

from __future__ import annotations

import random
import re
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


def finish(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def step_of(run: Path) -> int:
    """The step of the latest checkpoint; -1 where there is none."""
    try:
        return int((run / "LATEST").read_text("utf-8").strip().removeprefix("step-").rstrip("+"))
    except (OSError, ValueError):
        return -1


def kill_within(words: list[str], run: Path, steps: int, seconds: float) -> bool:
    """Start the command and kill it `seconds` after its run has gone `steps` on; whether it still ran then.

    By progress, not by the clock: a machine that others load or leave would move the moments past the end.
    """
    goal = step_of(run) + steps
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while process.poll() is None and step_of(run) < goal:
        time.sleep(0.001)
    time.sleep(seconds)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    assert process.returncode == 0
    return False


@pytest.fixture
def events(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "events.csv"
    lines = [f"u{user},i{item}" for user in range(120) for item in rng.choice(200, 15, replace=False)]
    path.write_text("user,item\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("model", ["mult-vae", "seed-vae"])
def test_kills_at_random_moments(model, events, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finish(command(events, whole, model))
    moments = random.Random(1)
    killed = 0
    for _ in range(KILLS):
        # A run that died before its first checkpoint starts again; any other goes on.
        started = (cut / "ids.json").exists()
        words = command(events, cut, model) + (["--resume"] if started else [])
        killed += kill_within(words, cut, moments.randint(1, 3), moments.uniform(0, 0.03))
    finish(command(events, cut, model) + (["--resume"] if (cut / "ids.json").exists() else []))
    assert killed >= KILLS // 2
    (expected,) = whole.glob("step-*/weights.safetensors")
    (found,) = cut.glob("step-*/weights.safetensors")
    assert found.read_bytes() == expected.read_bytes()
    assert (found.parent / "state.json").read_bytes() == (expected.parent / "state.json").read_bytes()
    assert not list(cut.rglob(".*.tmp.*")), "half-written files are left"


def test_a_contest_that_is_killed_goes_on_to_the_same_end(events, tmp_path):
    sets = [f"--set={setting}" for setting in ("hidden=24", "latent=8", "epochs=2", "batch=30")]
    contest = ["compare", str(events), "--models=ease,mult-vae", "--budget=9h", "--k-core=1", *sets, "--out"]
    words = [sys.executable, "-m", "minigen", *contest]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finish([*words, str(whole)])
    for trials in (1, 5, 12):
        process = subprocess.Popen([*words, str(cut)], stdout=subprocess.DEVNULL)
        while process.poll() is None and len(list(cut.glob("*/trial-*.json"))) < trials:
            time.sleep(0.001)
        assert process.poll() is None, "it ended before it was killed"
        process.kill()
        process.wait()
    finish([*words, str(cut)])
    assert outcome(cut) == outcome(whole)
    assert len(outcome(whole)) > 12
    assert not list(cut.rglob(".*.tmp.*")), "half-written files are left"


def outcome(contest: Path) -> dict[str, bytes]:
    """The winner and every trial, but for the seconds that it took."""
    files = [*contest.glob("*/trial-*.json"), *contest.rglob("*.safetensors"), *contest.rglob("state.json")]
    seconds = re.compile(rb'"seconds": (\{[^}]*\}|[^,}]+)')
    return {str(file.relative_to(contest)): seconds.sub(b"", file.read_bytes()) for file in files}
