"""The same training step in PyTorch, as the public implementations write it: dense rows, autograd, Adam.

It starts from the same weights, and is given the same masks and noise, which spares it the drawing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from minigen import ops
from minigen.bench.cases import Case, long_tailed_rows
from minigen.bench.mult_vae import Sizes, Step


class TorchStep:
    """`flavour`: eager with Adam as it comes, with the fused Adam, or torch.compile with the fused Adam."""

    def __init__(self, sizes: Sizes, flavour: str) -> None:
        self.ours = Step(sizes)
        self.params = {
            name: torch.tensor(w, requires_grad=True) for name, w in self.ours.model.params.items()
        }
        fused = flavour != "torch-eager"
        lr = self.ours.model.config.lr
        self.adam = torch.optim.Adam(self.params.values(), lr=lr, fused=True if fused else None)
        self.loss = torch.compile(_loss) if flavour == "torch-compile" else _loss

    def __call__(self) -> float:
        """Take a step; its loss."""
        rows, rng = self.ours.batch()
        model, step = self.ours.model, self.ours.n
        config = model.config
        keep = config.form.keep
        mask = ops.dropout_mask(rows.nnz, keep, rng)
        eps = torch.from_numpy(rng.standard_normal((rows.shape[0], config.latent), dtype=np.float32))
        x = torch.from_numpy(rows.toarray())
        dropped = rows.copy()
        dropped.data = ops.dropout_forward(ops.l2_normalise_forward(rows)[0].data, mask, keep)[0]
        beta = torch.tensor(model.beta(step))
        self.adam.zero_grad(set_to_none=True)
        loss = self.loss(self.params, torch.from_numpy(dropped.toarray()), x, eps, beta)
        loss.backward()
        self.adam.step()
        self.ours.n += 1
        return loss.item()


def _loss(p: dict[str, Any], dropped: Any, x: Any, eps: Any, beta: Any) -> Any:
    h = torch.tanh(torch.addmm(p["b_in"], dropped, p["w_in"]))
    mu, log_var = torch.addmm(p["b_mu"], h, p["w_mu"]), torch.addmm(p["b_log_var"], h, p["w_log_var"])
    z = mu + torch.exp(log_var / 2) * eps
    h = torch.tanh(torch.addmm(p["b_dec"], z, p["w_dec"]))
    logits = torch.addmm(p["b_out"], h, p["w_out"])
    nll = -(functional.log_softmax(logits, 1) * x).sum(1).mean()
    kl = 0.5 * (mu * mu + log_var.exp() - 1 - log_var).sum(1).mean()
    return nll + beta * kl


def step_cases(sizes: Sizes, flavour: str) -> dict[str, Case]:
    """The whole training step."""
    return {"step": Case(TorchStep(sizes, flavour), sizes.step_gflop, sizes.adam_gb)}


def operation_cases(sizes: Sizes, flavour: str) -> dict[str, Case]:
    """The operations that PyTorch has, at the same sizes; a softmax with its gradient by autograd."""
    if flavour == "torch-compile":
        return {}
    b, m, h = sizes.batch, sizes.items, sizes.hidden
    draw = lambda *shape: torch.randn(*shape) * 0.05  # noqa: E731
    hidden, w_out, b_out, d_logits = draw(b, h), draw(h, m), draw(m), draw(b, m)
    scores = draw(b, m).requires_grad_()
    x = torch.from_numpy(long_tailed_rows(b, m, sizes.clicks).toarray())
    weight = draw(h, m).requires_grad_()
    weight.grad = draw(h, m)
    adam = torch.optim.Adam([weight], fused=True if flavour == "torch-fused" else None)

    def softmax_nll() -> None:
        scores.grad = None
        (-(functional.log_softmax(scores, 1) * x).sum(1).mean()).backward()

    work: dict[str, Callable[[], Any]] = {"adam": adam.step}
    if flavour == "torch-eager":
        work |= {
            "dense_forward": lambda: torch.addmm(b_out, hidden, w_out),
            "dense_backward": lambda: (d_logits @ w_out.T, hidden.T @ d_logits, d_logits.sum(0)),
            "softmax_nll": softmax_nll,
            "top_k": lambda: torch.topk(scores.detach().masked_fill(x > 0, -torch.inf), min(100, m)),
        }
    return {name: Case(run) for name, run in work.items()}
