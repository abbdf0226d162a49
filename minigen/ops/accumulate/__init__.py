"""The sum of two gradients of one value, on every backend."""
