"""A disk that is full in the middle of a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = ["--k-core", "1", "--set", "hidden=300", "--set", "latent=100", "--set", "epochs=2"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_one_line_and_leaves_no_half_of_a_checkpoint(tmp_path: Path) -> None:
    events, disk = tmp_path / "events.csv", tmp_path / "disk"
    events.write_text("user,item\n" + "".join(f"{n % 60},{n % 25}\n" for n in range(300)))
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("this system lets nobody mount a small disk")
    try:
        command = [sys.executable, "-m", "minigen", "train", events, *SETTINGS, "--out", disk / "run"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.strip().splitlines()
        assert line.startswith("minigen: ")
        assert "No space left" in line
        left = [p for p in disk.rglob("*") if ".tmp" in p.name or p.name.startswith("step-")]
        assert left == []
    finally:
        subprocess.run(["umount", disk], check=True)
