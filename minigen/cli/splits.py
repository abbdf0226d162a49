"""From the flags of a command to a split; a flag that would change nothing is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigen.cli.columns import Columns
    from minigen.data.interactions import Split

SPLITS = ("strong", "weak", "time", "rebuy")
VALIDATION_SHARE = 0.1  # of the training clicks of a published split


def make_split(
    events: str,
    columns: Columns,
    *,
    test: Path | None = None,
    split: str = "strong",
    held_out: int | None = None,
    k_core: int = 5,
    duplicates: Any = "once",
    seed: int = 0,
    target: str | None = None,
    unseen: bool = False,
) -> Split:
    """The split that the flags ask for.  Clicks count 1 unless duplicates are summed or behaviours weighted.

    That of a folder that holds one, a run or what `minigen data split` wrote, is taken as it is.
    With `target` it is over a catalogue of actions, see `minigen.data.behaviours`.

    Raises InputError for an unknown kind of split, a flag that the split does not use, or too little data.
    """
    from minigen import data
    from minigen.data.behaviours import behaviour_folders, read_behaviours_split
    from minigen.data.formats import EMBEDDED
    from minigen.data.lightgcn import read_lightgcn_split
    from minigen.data.published import is_cfgan_split, read_cfgan_split
    from minigen.errors import InputError
    from minigen.recommender.runs import read_split

    if split not in SPLITS:
        raise InputError(f"there is no split {split!r}; there are {', '.join(SPLITS)}")
    flags = {"test": test, "split": split, "held_out": held_out, "k_core": k_core, "duplicates": duplicates}
    flags |= {"target": target, "unseen": unseen}
    defaults: Any = make_split.__kwdefaults__
    given = [*(flag for flag, value in flags.items() if value != defaults[flag]), *columns.given()]

    def want_only(what: str, *used: str) -> None:
        if unused := [flag for flag in given if flag not in used]:
            raise InputError(f"--{unused[0].replace('_', '-')}: {what} does not use it")

    binary = duplicates == "once" and columns.weights is None
    if events in data.PROTOCOLS and not (given and events in EMBEDDED):
        want_only(f"the protocol {events}")
        return data.protocol_split(events, seed=seed)
    if Path(events, "ids.json").is_file():
        return read_split(Path(events))
    if unseen and target is None:
        raise InputError("--unseen needs --target")
    if behaviour_folders(events):
        want_only("a published split", "target", "unseen")
        return read_behaviours_split(events, target, VALIDATION_SHARE, seed)
    by_table = ("split", "k_core", *columns.given(), *(["held_out"] if split == "strong" else []))
    if target is not None:
        from minigen.data.behaviour_split import behaviour_split

        want_only(f"the split {split} of several behaviours", "target", "unseen", *by_table)
        return behaviour_split(
            columns.load(events), target, split, k_core=k_core, held_out=held_out, seed=seed, unseen=unseen
        )
    lightgcn = Path(events, "test.txt").is_file()
    if lightgcn or is_cfgan_split(events):
        want_only("a published split")
        read = read_lightgcn_split if lightgcn else read_cfgan_split
        return data.with_validation(read(events), VALIDATION_SHARE, seed)
    if test is not None:
        want_only("a split given by --test", "test", "duplicates", *columns.given())
        parts = columns.load(events), columns.load(str(test))
        return data.with_validation(
            data.given_split(*parts, Path(events).stem, binary), VALIDATION_SHARE, seed
        )
    want_only(f"the split {split}", *by_table, *(["duplicates"] if split in ("strong", "weak") else []))
    table = columns.load(events)
    if split == "time":
        return data.time_split(table, k_core=k_core)
    if split == "rebuy":
        return data.rebuy_split(table, k_core=k_core)
    whole = data.to_interactions(table, duplicates=duplicates, k_core=k_core)
    if split == "weak":
        return data.weak_split(whole, seed=seed, binary=binary)
    n = max(1, len(whole.users) // 10) if held_out is None else held_out
    return data.strong_split(whole, n, n, seed, binary=binary)
