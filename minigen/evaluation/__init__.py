"""How good a ranking is: metrics, their standard errors over users, and the comparison of two models."""
