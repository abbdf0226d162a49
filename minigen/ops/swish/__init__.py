"""Swish: a ReLU without a kink."""
