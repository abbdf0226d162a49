"""The one error that people cause: bad input, said in one line."""


class InputError(ValueError):
    """Input that cannot be used; its message is one clear line, and commands end with exit code 2."""
