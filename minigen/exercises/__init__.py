"""The checks of the chapters' exercises, a file a chapter: where an answer is wrong, by what factor, and why.

``check(tied_forward, tied_backward)`` judges your functions by the exercise that asks for them by name.
The words, skeletons and worked answers stand in the chapters.
"""

from minigen.exercises.judge import check
from minigen.exercises.registry import exercise
from minigen.exercises.same import same_as, same_gradients

__all__ = ["check", "exercise", "same_as", "same_gradients"]
