"""How fast it all is, measured side by side on one machine."""
