"""A fair contest of models: one budget for all, choices on validation alone, a verdict on the test."""
