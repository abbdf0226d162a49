"""Judge what a reader wrote: `right`, or one line that says what is wrong, and where."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from minigen.exercises import progress
from minigen.exercises.chapters import find_text
from minigen.exercises.registry import Exercise, asking_for


def check(*answers: Callable[..., Any]) -> None:
    """Judge functions by the exercise that asks for them by name; print `right`, or `not yet:` and why."""
    named = {answer.__name__: answer for answer in answers}
    found = asking_for(set(named))
    if found is None:
        print(f"not yet: no exercise asks for {', '.join(named) or 'nothing'}; keep the skeleton's names")
        return
    print(said(verdict(found, named)))


def said(words: str) -> str:
    """A verdict as it is told."""
    return f"not yet: {words}" if words else "right"


def verdict(found: Exercise, answers: Mapping[str, Callable[..., Any]]) -> str:
    """What is wrong with the answers, in one line; "" where they are right.  Remembers an attempt."""
    answers = {name: answers[name] for name in found.wants}
    try:
        with np.errstate(all="raise", under="ignore"):
            found.judge(**answers)
        words = ""
    except AssertionError as error:
        words = str(error)
    except (Exception, SystemExit) as error:  # whatever a reader's code may raise
        words = f"{_place(error, answers.values())}: {_in_words(error)}"
    if not _untouched(found, answers):
        progress.remember(found, not words)
    return "; ".join(words.splitlines())


def _place(error: BaseException, answers: Iterable[Callable[..., Any]]) -> str:
    """The reader's innermost line that an error passed through, or what is to blame where there is none."""
    files = {answer.__code__.co_filename for answer in answers if hasattr(answer, "__code__")}
    places = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    if not places:
        return "what you return cannot be used"
    frame = places[-1]
    return f"{frame.name}, line {frame.lineno}" + (f" ({frame.line})" if frame.line else "")


def _in_words(error: BaseException) -> str:
    if isinstance(error, FloatingPointError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _untouched(found: Exercise, answers: Mapping[str, Callable[..., Any]]) -> bool:
    """Whether the answers are the skeleton itself: no attempt yet."""
    text = find_text(found)
    try:
        return text is not None and all(
            inspect.getsource(answer).strip() in text.skeleton for answer in answers.values()
        )
    except (OSError, TypeError):
        return False
