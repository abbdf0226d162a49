"""The gradient microscope: is this backward pass the derivative of that forward pass, and of the right maths?

``assert_gradients(forward, backward, args)`` checks a layer of your own.
"""

from minigen.gradcheck.check import (
    GradientReport,
    assert_gradients,
    check_backward,
    check_gradient,
)
from minigen.gradcheck.contract import check_adjoint, check_contract, check_direction
from minigen.gradcheck.differences import GradientError

__all__ = [
    "GradientError",
    "GradientReport",
    "assert_gradients",
    "check_adjoint",
    "check_backward",
    "check_contract",
    "check_direction",
    "check_gradient",
]
