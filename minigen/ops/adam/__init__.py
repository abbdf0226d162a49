"""The Adam step."""
