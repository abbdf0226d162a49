"""Layer normalisation: every example on one scale, whatever the others in the batch are."""
