"""The Gaussian posterior, CUDA twin."""

from __future__ import annotations

import math
from typing import Any

from numba import cuda

from minigen.ops.checks import want_examples, want_same_shape
from minigen.ops.cuda_arrays import Scalar, empty, mean
from minigen.ops.cuda_kernels import THREADS, add_up, blocks, kernel, spread
from minigen.ops.gaussian.numpy_gaussian import GaussianKLCache, ReparameteriseCache
from minigen.typing import Array


def reparameterise_forward(mu: Array, log_var: Array, eps: Array) -> tuple[Array, ReparameteriseCache]:
    """Twin of `numpy_gaussian.reparameterise_forward`."""
    want_same_shape(mu=mu, log_var=log_var, eps=eps)
    std, z = empty(mu.shape, mu.dtype), empty(mu.shape, mu.dtype)
    _sample[spread(z.size)](mu.ravel(), log_var.ravel(), eps.ravel(), std.ravel(), z.ravel())
    return z, ReparameteriseCache(std, eps)


def reparameterise_backward(d_z: Array, cache: ReparameteriseCache) -> tuple[Array, Array]:
    """Twin of `numpy_gaussian.reparameterise_backward`."""
    std, eps = cache
    want_same_shape(std=std, d_z=d_z)
    d_log_var = empty(d_z.shape, d_z.dtype)
    _sample_backward[spread(d_z.size)](d_z.ravel(), std.ravel(), eps.ravel(), d_log_var.ravel())
    return d_z, d_log_var


def gaussian_kl_forward(mu: Array, log_var: Array) -> tuple[Scalar, GaussianKLCache]:
    """Twin of `numpy_gaussian.gaussian_kl_forward`; the loss stays on the device until float() reads it."""
    want_same_shape(mu=mu, log_var=log_var)
    want_examples("mu", mu)
    kl = empty(mu.shape[0], mu.dtype)
    _kl[blocks(kl.size, 1), THREADS](mu, log_var, kl)
    return mean(kl), GaussianKLCache(mu, log_var)


def gaussian_kl_backward(d_loss: float, cache: GaussianKLCache) -> tuple[Array, Array]:
    """Twin of `numpy_gaussian.gaussian_kl_backward`."""
    mu, log_var = cache
    share = mu.dtype.type(d_loss / mu.shape[0])
    d_mu, d_log_var = empty(mu.shape, mu.dtype), empty(mu.shape, mu.dtype)
    _kl_backward[spread(mu.size)](mu.ravel(), log_var.ravel(), share, d_mu.ravel(), d_log_var.ravel())
    return d_mu, d_log_var


@kernel("vector vector vector vector vector")
def _sample(mu: Array, log_var: Array, eps: Array, std: Array, z: Array) -> None:
    """std = np.exp(log_var / 2); z = mu + std * eps."""
    for j in range(cuda.grid(1), z.size, cuda.gridsize(1)):
        std[j] = math.exp(std.dtype.type(0.5) * log_var[j])
        z[j] = mu[j] + std[j] * eps[j]


@kernel("vector vector vector vector")
def _sample_backward(d_z: Array, std: Array, eps: Array, d_log_var: Array) -> None:
    """d_log_var = d_z * eps * std / 2."""
    for j in range(cuda.grid(1), d_z.size, cuda.gridsize(1)):
        d_log_var[j] = d_log_var.dtype.type(0.5) * d_z[j] * eps[j] * std[j]


@kernel("matrix matrix vector")
def _kl(mu: Array, log_var: Array, kl: Array) -> None:
    """kl = 0.5 * (np.expm1(log_var) - log_var + mu * mu).sum(axis=1): a block a row."""
    slots = cuda.shared.array(THREADS, kl.dtype)
    u, t = cuda.blockIdx.x, cuda.threadIdx.x
    if u >= kl.size:
        return
    total = kl.dtype.type(0)
    for j in range(t, mu.shape[1], THREADS):
        total += math.expm1(log_var[u, j]) - log_var[u, j] + mu[u, j] * mu[u, j]
    slots[t] = total
    cuda.syncthreads()
    if t == 0:
        kl[u] = kl.dtype.type(0.5) * add_up(slots)


@kernel("vector vector number vector vector")
def _kl_backward(mu: Array, log_var: Array, share: Any, d_mu: Array, d_log_var: Array) -> None:
    """d_mu = share * mu; d_log_var = share / 2 * np.expm1(log_var)."""
    for j in range(cuda.grid(1), mu.size, cuda.gridsize(1)):
        d_mu[j] = share * mu[j]
        d_log_var[j] = d_log_var.dtype.type(0.5) * share * math.expm1(log_var[j])
