"""Every operation against PyTorch's float64 autograd, to 1e-10."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from minigen import ops
from minigen.gradcheck.catalogue import OPS

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402

RTOL, ATOL = 1e-10, 1e-13
QUANTITIES = {q.name: q for q in OPS if q.draw}


def _kl(mu, log_var):
    normal, prior = (
        torch.distributions.Normal(mu, torch.exp(log_var / 2)),
        torch.distributions.Normal(0.0, 1.0),
    )
    return torch.distributions.kl_divergence(normal, prior).sum(1).mean()


REFERENCES = {
    "dense": lambda x, w, b: functional.linear(x, w.T, b),
    "sparse-dense": lambda x, w, b: functional.linear(x, w.T, b),
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "dropout": lambda x, mask, keep: x * mask / keep,
    "l2-normalise": lambda x: functional.normalize(x, dim=1),
    "reparameterise": lambda mu, log_var, eps: mu + eps * torch.exp(0.5 * log_var),
    "gaussian-kl": _kl,
    "softmax-nll": lambda logits, x: -(x * functional.log_softmax(logits, 1)).sum(1).mean(),
    "bernoulli-nll": lambda logits, x: functional.binary_cross_entropy_with_logits(
        logits, x, reduction="none"
    ).sum(1).mean(),
}  # fmt: skip


def _dense(x):
    return x.toarray() if sparse.issparse(x) else x


def test_every_operation_has_a_reference():
    assert set(REFERENCES) == set(QUANTITIES)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("seed", range(3))
def test_values_and_gradients_agree(name, seed, rng):
    quantity = QUANTITIES[name]
    args = quantity.sample(seed)
    names = quantity.forward.__code__.co_varnames[: len(args)]
    tensors = [
        torch.tensor(_dense(a), requires_grad=n in quantity.wrt) if np.ndim(_dense(a)) else a
        for n, a in zip(names, args)
    ]
    y_torch = REFERENCES[name](*tensors)
    y, cache = quantity.forward(*args)
    np.testing.assert_allclose(_dense(y), y_torch.detach().numpy(), RTOL, ATOL)

    if np.ndim(_dense(y)):
        d_y = rng.standard_normal(_dense(y).shape)
        if sparse.issparse(y):
            d_y *= y.toarray() != 0
    else:
        d_y = np.array(1.7)
    y_torch.backward(torch.tensor(d_y))
    own = sparse.csr_matrix(d_y) if sparse.issparse(y) else (d_y if d_y.ndim else float(d_y))
    grads = quantity.backward(own, cache)
    grads = grads if isinstance(grads, tuple) else (grads,)
    for n, grad, tensor in zip(names, grads, tensors):
        if n in quantity.wrt:
            wanted = tensor.grad.numpy()
            if sparse.issparse(grad):  # gradients are formed at the non-zeros only
                wanted = wanted * (_dense(args[names.index(n)]) != 0)
            np.testing.assert_allclose(_dense(grad), wanted, RTOL, ATOL, err_msg=n)


@pytest.mark.parametrize("low", [-800.0, -30.0])
def test_losses_agree_at_extreme_logits(low):
    logits = np.array([[-low, low, 0.0], [low, low, low]])
    x = np.array([[1.0, 1, 0], [0, 1, 1]])
    for name, own in (("softmax-nll", sparse.csr_matrix(x)), ("bernoulli-nll", x)):
        forward = {"softmax-nll": ops.softmax_nll_forward, "bernoulli-nll": ops.bernoulli_nll_forward}[name]
        wanted = REFERENCES[name](torch.tensor(logits), torch.tensor(x)).item()
        assert forward(logits, own)[0] == pytest.approx(wanted, rel=1e-12)


def test_adam_agrees(rng):
    w = rng.standard_normal((6, 5))
    tensor, state = torch.tensor(w.copy(), requires_grad=True), ops.AdamState.zeros_like(w)
    optimizer = torch.optim.Adam([tensor], lr=0.01, betas=(0.9, 0.99), eps=1e-7)
    for _ in range(70):  # past one flush
        d_w = rng.standard_normal(w.shape)
        tensor.grad = torch.tensor(d_w)
        optimizer.step()
        ops.adam_step(w, d_w, state, lr=0.01, beta1=0.9, beta2=0.99, eps=1e-7)
    np.testing.assert_allclose(w, tensor.detach().numpy(), RTOL, ATOL)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_agrees(momentum, rng):
    from minigen.optimizers import SGD

    params = {"w": rng.standard_normal((6, 5))}
    tensor = torch.tensor(params["w"].copy(), requires_grad=True)
    own, optimizer = SGD(0.1, momentum), torch.optim.SGD([tensor], lr=0.1, momentum=momentum)
    for _ in range(20):
        d_w = rng.standard_normal((6, 5))
        tensor.grad = torch.tensor(d_w)
        optimizer.step()
        own.step(params, {"w": d_w})
    np.testing.assert_allclose(params["w"], tensor.detach().numpy(), RTOL, ATOL)


def test_adam_of_some_rows_agrees(rng):
    w = rng.standard_normal((8, 3))
    theirs = torch.nn.Parameter(torch.tensor(w.copy()))
    numbers = {"lr": 1e-2, "eps": 1e-30}  # theirs is added before the second moment is corrected
    optimizer, state = torch.optim.SparseAdam([theirs], **numbers), ops.AdamState.zeros_like(w)
    for rows in ([0, 3], [3, 7], [0, 1, 2]):
        d_rows = rng.standard_normal((len(rows), 3))
        theirs.grad = torch.sparse_coo_tensor([rows], torch.tensor(d_rows), (8, 3), check_invariants=True)
        optimizer.step()
        ops.adam_rows_step(w, np.array(rows), d_rows, state, **numbers)
    np.testing.assert_allclose(w, theirs.detach().numpy(), rtol=RTOL)
