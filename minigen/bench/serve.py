"""One person's answer: a history of clicks in, the top 10 of 20,108 items out, and why."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.bench.cases import Case
from minigen.bench.mult_vae import Sizes, Step
from minigen.recommender.compact import Compact
from minigen.recommender.explain import because

TOP = 10


def cases(sizes: Sizes, backend: str) -> dict[str, Case]:
    """The answer, as `recommend` gives it, and why; the least is to read the decoder's weights once."""
    torch = backend.startswith("torch")
    step = Step(sizes, "numpy" if torch else backend)
    history = step.rows[0]
    gb = 4e-9 * sizes.hidden * sizes.items
    if torch:
        return {"serve": Case(_torch(step, backend), gb=gb)}
    items, compact = step.model.recommend(history, k=TOP)[0][0], Compact(step.model)
    return {
        "serve": Case(lambda: step.model.recommend(history, k=TOP)[0], gb=gb),
        "serve_compact": Case(lambda: compact.recommend(history, k=TOP)[0], gb=gb / 2),
        "explain": Case(lambda: because(step.model, history, items)),
    }


def _torch(step: Step, flavour: str) -> Any:
    import torch

    p = {name: torch.from_numpy(w) for name, w in step.model.params.items()}
    history = step.rows[0]

    def best(clicks: Any, values: Any) -> Any:
        h = torch.tanh(values @ p["w_in"][clicks] + p["b_in"])
        h = torch.tanh((h @ p["w_mu"] + p["b_mu"]) @ p["w_dec"] + p["b_dec"])
        scores = h @ p["w_out"] + p["b_out"]
        scores[clicks] = -torch.inf
        return torch.topk(scores, TOP).indices

    best = torch.compile(best) if flavour == "torch-compile" else best

    @torch.inference_mode()
    def answer() -> np.ndarray:
        clicks = torch.from_numpy(history.indices.astype(np.int64))
        values = torch.from_numpy(history.data / np.sqrt(np.square(history.data).sum()))
        return best(clicks, values).numpy()

    return answer
