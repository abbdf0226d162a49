"""The errors that people cause, each said in one line."""

MOST = 1000  # characters of a message: a file may quote itself at any length


class InputError(ValueError):
    """Input that cannot be used; its message is one clear line, and commands end with exit code 2."""

    def __str__(self) -> str:
        return printable(" ".join(super().__str__().split()))[:MOST]


class Interrupted(Exception):  # noqa: N818 - no error: somebody pressed Ctrl-C
    """Ctrl-C ended a command whose work is kept; its message says how to go on, and the exit code is 130."""


def printable(text: str) -> str:
    """`text` with characters that would steer a terminal, and lone surrogates, shown as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\u200d" else ascii(c)[1:-1] for c in text)
