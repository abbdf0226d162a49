"""The operations by backend: `load("numba")` is a namespace of them all, and tells which twin serves each."""

from minigen.backends.load import BACKENDS, NUMPY, Backend, load, usable

__all__ = ["BACKENDS", "NUMPY", "Backend", "load", "usable"]
