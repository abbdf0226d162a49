"""The composite prior: where codes may lie, and where they lay before."""
