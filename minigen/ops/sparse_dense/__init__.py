"""The dense layer on sparse rows."""
