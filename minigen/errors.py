"""The errors that people cause, each said in one line."""


class InputError(ValueError):
    """Input that cannot be used; its message is one clear line, and commands end with exit code 2."""


class Interrupted(Exception):  # noqa: N818 - no error: somebody pressed Ctrl-C
    """Ctrl-C ended a command whose work is kept; its message says how to go on, and the exit code is 130."""
