"""The activation functions."""
