"""Many steps leave memory and open files where they were, and a log that a person can read."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from minigen.cli import output
from minigen.cli.progress import progress
from minigen.training.loop import State

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell the memory used")
def test_ten_thousand_steps_leave_no_memory_and_no_file_behind(tmp_path: Path) -> None:
    file = tmp_path / "long.json"
    subprocess.run([sys.executable, HERE / "long_run.py", "--json", file], check=True, stdout=subprocess.PIPE)
    for row in json.loads(file.read_text())["rows"]:
        assert row["steps"] == 10_000
        assert row["grown_kb"] <= 1024, row  # an array of 64 floats that stays at every step would be 2 MB
        assert row["files_more"] <= 1, row  # a checkpoint may be just open


def test_progress_in_a_notebook_is_lines_and_few(tmp_path: Path) -> None:
    """Of a command of a cell, whose terminal nobody sees, and of one that runs in the kernel itself."""
    client, v4 = pytest.importorskip("nbclient"), pytest.importorskip("nbformat.v4")
    words = ["train", "online-retail", "--set=epochs=4", "--set=hidden=8", "--set=latent=4", "--out"]
    cells = [
        f"import sys\n!{{sys.executable}} -m minigen {' '.join(words)} shell",
        f"import minigen.cli\ntry:\n    minigen.cli.main({[*words, 'kernel']})\nexcept SystemExit: pass",
    ]
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])
    here = {"metadata": {"path": str(tmp_path)}}
    client.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=here).execute()
    for cell in notebook.cells:
        texts = [output.get("text") or output["data"]["text/plain"] for output in cell.outputs]
        lines = "".join(texts).replace("\r\n", "\n").splitlines()
        assert [line.partition(":")[0] for line in lines if line.startswith("epoch")] == ["epoch 4/4"]
        assert len(lines) < 25
        assert not any("\r" in line or "\x1b[2K" in line for line in lines)


@pytest.mark.parametrize(("silence", "lines"), [(0.0, 500), (1e9, 1)])
def test_progress_without_a_terminal_is_lines_and_few(
    silence: float, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()  # as a pipe or a notebook's stream: no terminal
    monkeypatch.setattr(output, "console", Console(file=stream))
    with progress(500, silence) as report:
        state = State()
        for epoch in range(1, 501):
            for _ in range(3):
                state.step += 1
                report(state, {"loss": 1.0})
            state.epoch, state.finished = epoch, epoch == 500
            report(state, {"epoch": epoch, "loss": 1.0})
    text = stream.getvalue()
    assert "\r" not in text
    assert "\x1b" not in text
    assert text.splitlines()[-1] == "epoch 500/500: loss 1"
    assert len(text.splitlines()) == lines
