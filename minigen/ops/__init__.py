"""The operations: forward and backward side by side, NumPy alone.

Every operation is ``op_forward(x, *params) -> (y, cache)`` with ``op_backward(d_y, cache)``: pure, linear in
d_y, and without a 1/B, which belongs to the losses.
"""

from minigen.ops.accumulate.numpy_accumulate import accumulate
from minigen.ops.activations.numpy_activations import (
    leaky_relu_backward,
    leaky_relu_forward,
    relu_backward,
    relu_forward,
    sigmoid,
    sigmoid_backward,
    sigmoid_forward,
    softplus,
    softplus_backward,
    softplus_forward,
    tanh_backward,
    tanh_forward,
)
from minigen.ops.adam.numpy_adam import AdamState, adam_rows_catch_up, adam_rows_step, adam_step
from minigen.ops.bernoulli_nll.numpy_bernoulli_nll import bernoulli_nll_backward, bernoulli_nll_forward
from minigen.ops.composite_prior.numpy_composite_prior import (
    composite_log_prob_backward,
    composite_log_prob_forward,
)
from minigen.ops.dense.numpy_dense import dense_backward, dense_forward
from minigen.ops.dropout.numpy_dropout import (
    dropout_backward,
    dropout_forward,
    dropout_mask,
    l2_normalise_backward,
    l2_normalise_forward,
)
from minigen.ops.gaussian.numpy_gaussian import (
    gaussian_kl_backward,
    gaussian_kl_forward,
    reparameterise_backward,
    reparameterise_forward,
)
from minigen.ops.layernorm.numpy_layernorm import layer_norm_backward, layer_norm_forward
from minigen.ops.short_dense.numpy_short_dense import short_dense_forward, shorten
from minigen.ops.softmax_nll.numpy_softmax_nll import softmax_nll_backward, softmax_nll_forward
from minigen.ops.sparse_dense.numpy_sparse_dense import sparse_dense_backward, sparse_dense_forward
from minigen.ops.swish.numpy_swish import swish_backward, swish_forward
from minigen.ops.topk.numpy_topk import top_k

__all__ = [
    "AdamState",
    "accumulate",
    "adam_rows_catch_up",
    "adam_rows_step",
    "adam_step",
    "bernoulli_nll_backward",
    "bernoulli_nll_forward",
    "composite_log_prob_backward",
    "composite_log_prob_forward",
    "dense_backward",
    "dense_forward",
    "dropout_backward",
    "dropout_forward",
    "dropout_mask",
    "gaussian_kl_backward",
    "gaussian_kl_forward",
    "l2_normalise_backward",
    "l2_normalise_forward",
    "layer_norm_backward",
    "layer_norm_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "relu_backward",
    "relu_forward",
    "reparameterise_backward",
    "reparameterise_forward",
    "short_dense_forward",
    "shorten",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_forward",
    "softmax_nll_backward",
    "softmax_nll_forward",
    "softplus",
    "softplus_backward",
    "softplus_forward",
    "sparse_dense_backward",
    "sparse_dense_forward",
    "swish_backward",
    "swish_forward",
    "tanh_backward",
    "tanh_forward",
    "top_k",
]
