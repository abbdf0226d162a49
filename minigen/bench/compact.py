"""How often 16-bit weights change somebody's top 10: `python -m minigen.bench.compact RUN RESULT.json`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

TOP = 10


def changes(run: Path) -> dict[str, Any]:
    """Shares of the held-out users of a trained run whose top 10 holds another item, or another order."""
    from minigen.ladder import load_run
    from minigen.recommender.compact import Compact

    model, data = load_run(run)
    held = data.test
    fold_in = held.fold_in[np.diff(held.fold_in.indptr) > 0]
    exact, short = (one.recommend(fold_in, k=TOP)[0] for one in (model, Compact(model)))  # type: ignore[arg-type]
    items = (np.sort(exact) != np.sort(short)).any(axis=1)
    order = (exact != short).any(axis=1)
    settings = model.settings
    return {
        "op": "compact_top10",
        "model": model.id,
        "settings": settings,
        "users": len(exact),
        "items_changed": float(items.mean()),
        "order_changed": float(order.mean()),
    }


if __name__ == "__main__":
    from minigen.provenance import Clock, write_json

    clock, (run, result) = Clock(), map(Path, sys.argv[1:3])
    row = changes(run)
    command = f"python -m minigen.bench.compact {run} {result}"
    write_json(result, "bench", {"run": str(run)}, [row], clock.provenance() | {"command": command})
    changed, turned = row["items_changed"], row["order_changed"]
    print(f"of {row['users']} users: {changed:.2%} with other items, {turned:.2%} in another order")
