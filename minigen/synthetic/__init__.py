"""Synthetic users: histories that a model generates, how true they are, and whom they give away."""
