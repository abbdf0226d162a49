"""The end of a contest in plain words: is the generative model worth its price here?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from minigen.evaluation.bootstrap import Comparison, paired_bootstrap
from minigen.evaluation.metrics import PerUser


class Contender(NamedTuple):
    """A model with its score on validation, and the values (N,) of the test users."""

    model: str
    family: str
    validation: float
    per_user: PerUser


class Verdict(NamedTuple):
    """The model to take, the one that all others are held against, and what was found."""

    winner: str
    reference: str
    text: str


def best(contenders: Mapping[str, Contender], family: str | None = None) -> str | None:
    """The model of a family, or of all, that validation likes best; of equals the first."""
    those = [c for c in contenders.values() if family in (None, c.family)]
    return max(those, key=lambda c: c.validation).model if those else None


def decide(contenders: Mapping[str, Contender], metric: str) -> Verdict:
    """The best generative model against the best baseline; in one family, the two best of it.

    Who is best is said by validation, who is better by the test: an interval of 95% that has no 0 in it.
    """
    plain, other = best(contenders, "baseline"), best(contenders, "generative")
    if plain is None or other is None:
        plain = best(contenders)
        assert plain is not None
        other = best({name: c for name, c in contenders.items() if name != plain})
        if other is None:
            return Verdict(plain, plain, f"only {plain} was there: nothing to compare it with")
        d = _difference(contenders, plain, other)
        if d.low > 0:
            text = f"{plain} is the best of these for your data: {_is(d)} above {other}"
        elif d.high < 0:
            text = f"validation chose {plain}, and the test prefers {other}: {_is(d)} for {plain}"
        else:
            text = f"{plain} and {other} cannot be told apart on your data: {plain} adds {_is(d)}"
        return Verdict(plain, plain, text + _for(metric))
    d = _difference(contenders, other, plain)
    if d.low > 0:
        return Verdict(other, plain, f"{other} pays on your data: it adds {_is(d)} to {plain}{_for(metric)}")
    says = f"adds {_is(d)}" if d.high >= 0 else f"is {-d.difference:.4f} ± {d.se:.4f} below it"
    return Verdict(plain, plain, f"{plain} is enough for your data: {other} {says}{_for(metric)}")


def _difference(contenders: Mapping[str, Contender], one: str, other: str) -> Comparison:
    return paired_bootstrap(contenders[one].per_user, contenders[other].per_user)


def _is(d: Comparison) -> str:
    return f"{d.difference:+.4f} ± {d.se:.4f}"


def _for(metric: str) -> str:
    return f" ({metric.upper()}, paired over the same users)"
