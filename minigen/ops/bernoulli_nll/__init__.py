"""The log-likelihood of bits."""
