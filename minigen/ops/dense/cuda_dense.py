"""Dense layer, CUDA twin: the bias is added where the tile of the product is finished."""

from __future__ import annotations

from minigen.ops.cuda_matmul import column_sums, matmul
from minigen.ops.dense.numpy_dense import DenseCache, want_backward, want_forward
from minigen.typing import Array


def dense_forward(x: Array, w: Array, b: Array, out: Array | None = None) -> tuple[Array, DenseCache]:
    """Twin of `numpy_dense.dense_forward`."""
    want_forward(x, w, b)
    return matmul(x, w, b, out), DenseCache(x, w)


def dense_backward(
    d_y: Array, cache: DenseCache, out: Array | None = None, whole: bool = True
) -> tuple[Array, Array, Array]:
    """Twin of `numpy_dense.dense_backward`."""
    want_backward(d_y, cache)
    x, w = cache
    return matmul(d_y, w, turn_b=True), matmul(x, d_y, out=out, turn_a=True), column_sums(d_y)
