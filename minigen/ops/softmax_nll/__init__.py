"""The multinomial log-likelihood over all items."""
