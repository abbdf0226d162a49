"""What stands where a command writes, and is not its own, stays."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from scipy import sparse

from minigen.cli import main
from minigen.data.rows import write_rows
from minigen.errors import InputError
from minigen.files import write_text
from minigen.training import checkpoint
from minigen.training.checkpoint import FORMAT

ARRAYS: dict = {"weights": {}}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a file of somebody's, in a folder that nobody else has."""
    folder = tmp_path / "above" / "here"
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def refused(run: Callable[..., str]) -> Callable[..., str]:
    """A command that must end with code 2; gives the line."""
    return partial(run, code=2)


def everything(folder: Path) -> dict[str, bytes | None]:
    """The names under a folder, and what stands in files."""
    return {str(p): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("place", ["..", ".", "", "../here", "/", "docs"])
def test_a_folder_is_no_place_for_a_file(place: str, here: Path, refused) -> None:
    (here / "docs").mkdir()
    (here / "docs" / "page.md").write_text("a page")
    before = everything(here.parent)
    line = refused("where", "eq:gaussian-kl", "--json", place)
    assert line == f"minigen: cannot write {Path(place)}: it is a folder"
    assert everything(here.parent) == before


def test_an_empty_folder_is_none_either(here: Path) -> None:
    (here / "plot.png").mkdir()
    with pytest.raises(InputError, match="it is a folder"):
        write_text(here / "plot.png", "a plot")
    assert (here / "plot.png").is_dir()


@pytest.mark.parametrize("strange", ["notes.md", "data.npy/sub"])
def test_rows_replace_rows_alone(strange: str, here: Path) -> None:
    rows = sparse.eye(3, 5, format="csr")
    write_rows(here / "rows", lambda: [rows])
    write_rows(here / "rows", lambda: [rows[:2]])
    if "/" in strange:
        (here / "rows" / "data.npy").unlink()
        (here / "rows" / "data.npy").mkdir()
    (here / "rows" / strange).write_text("mine")
    before = everything(here.parent)
    name = strange.partition("/")[0]
    with pytest.raises(InputError, match=re.escape(f"it is a folder, which holds {name}")):
        write_rows(here / "rows", lambda: [rows])
    assert everything(here.parent) == before


def test_a_file_does_not_replace_the_rows_of_a_folder(here: Path) -> None:
    write_rows(here / "rows", lambda: [sparse.eye(3, 5, format="csr")])
    before = everything(here)
    with pytest.raises(InputError, match="it is a folder"):
        write_text(here / "rows", "a text")
    assert everything(here) == before


def test_a_checkpoint_drops_only_what_minigen_wrote(here: Path) -> None:
    """Neither folders that others call steps, nor files that they hide."""
    kept = ("step-by-step/guide.md", "step-1000/model.safetensors", "step-7/state.json", ".mine.tmp.draft")
    for name in kept:
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text("{}")
    before = everything(here)
    checkpoint.save(here, 1, ARRAYS, {})
    checkpoint.save(here, 2, ARRAYS, {})
    checkpoint.save(here, 2, ARRAYS, {})
    assert {name: text for name, text in everything(here).items() if name in before} == before
    new = {str(Path(name).relative_to(here)) for name in everything(here).keys() - before.keys()}
    assert new == {"LATEST", "step-2+", "step-2+/state.json", "step-2+/weights.safetensors"}
    with pytest.raises(InputError, match="step-7: it is a folder"):
        checkpoint.save(here, 7, ARRAYS, {})
    assert checkpoint.load(here)[1] == {"format": FORMAT, "version": 1, "step": 2}


def test_a_step_that_a_kill_left_gives_way(here: Path) -> None:
    checkpoint.save(here, 1, ARRAYS | {"optimizer-adam": {}}, {"seen": 1})
    (here / "LATEST").unlink()
    checkpoint.save(here, 1, ARRAYS, {"seen": 2})
    assert checkpoint.load(here)[1]["seen"] == 2


@pytest.mark.parametrize("out", ["", ".", "../here"])
def test_a_run_is_not_put_among_other_files(out: str, here: Path, refused) -> None:
    (here / "train").mkdir()
    (here / "train" / "mine.npy").write_text("mine")
    before = everything(here.parent)
    line = refused("train", "online-retail", "--model", "popularity", "--out", out)
    assert line == f"minigen: {Path(out)} holds something else, such as mine.txt: choose another --out"
    (here / "mine.txt").unlink()
    line = refused("train", "online-retail", "--model", "popularity", "--out", out)
    assert line == f"minigen: cannot write {Path(out, 'train')}: it is a folder, which holds mine.npy"
    assert everything(here.parent) == {k: v for k, v in before.items() if "mine.txt" not in k}


def test_a_run_that_a_kill_ended_before_it_began_is_begun_again(here: Path) -> None:
    write_rows(here / "run" / "train", lambda: [sparse.eye(3, 5, format="csr")])
    (here / "run" / ".1.tmp.held-out.safetensors").write_text("half")
    (here / "ev.csv").write_text("user,item\n" + "".join(f"{n % 60},{n % 25}\n" for n in range(300)))
    with pytest.raises(SystemExit) as stop:
        main(["train", "ev.csv", "--k-core", "1", "--model", "popularity", "--out", "run"])
    assert not stop.value.code
    assert {path.name for path in (here / "run").iterdir()} == {
        *("LATEST", "step-0", "train", "ids.json", "held-out.safetensors")
    }


@pytest.mark.parametrize("mine", ["user,item\na,b\n", "[1]", '{"rows": []}', "\xff"])
@pytest.mark.parametrize(
    "words",
    [
        ["train", "mine.csv", "--model", "popularity", "--out", "run"],
        ["compare", "mine.csv", "--models", "popularity,ease", "--out", "run"],
        ["demo", "--out", "run"],
        ["generate", "gan", "--out", "run"],
        ["where", "eq:gaussian-kl"],
    ],
)
def test_figures_do_not_take_the_place_of_another_file(words, mine, here: Path, refused) -> None:
    (here / "mine.csv").write_text(mine, "latin-1")
    line = refused(*words, "--json", "mine.csv")
    assert line == "minigen: cannot write mine.csv: it holds something else than figures of minigen"
    assert (here / "mine.csv").read_text("latin-1") == mine
    assert not (here / "run").exists()
