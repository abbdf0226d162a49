"""Gaussian codes: the reparameterised draw and the divergence from the prior."""
