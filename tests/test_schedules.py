"""Schedules: start, slope, end, and steps that cannot be."""

from __future__ import annotations

import pytest

from minigen.schedules import cosine_decay, cyclical, linear_warmup


def test_linear_warmup_rises_to_its_cap_and_stays():
    assert [linear_warmup(step, 4, 0.2) for step in range(7)] == pytest.approx(
        [0, 0.05, 0.1, 0.15, 0.2, 0.2, 0.2]
    )
    assert linear_warmup(0, 0, 0.2) == 0.2


def test_cyclical_rises_and_rests_in_each_period():
    one = [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]
    assert [cyclical(step, 8, 1.0) for step in range(16)] == pytest.approx(2 * one)
    assert cyclical(3, 4, 1.0, rise=1.0) == pytest.approx(0.75)


def test_cosine_decay_falls_from_start_to_end_and_stays():
    values = [cosine_decay(step, 10, 1.0, 0.1) for step in range(12)]
    assert values[0] == 1
    assert values[5] == pytest.approx(0.55)
    assert values[10] == values[11] == pytest.approx(0.1)
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda: linear_warmup(-1, 4, 1),
        lambda: linear_warmup(1, -4, 1),
        lambda: cyclical(1, 0, 1),
        lambda: cyclical(1, 4, 1, rise=0),
        lambda: cyclical(1, 4, 1, rise=1.1),
        lambda: cosine_decay(1, 0, 1),
    ],
)
def test_what_cannot_be_is_refused(call):
    with pytest.raises(ValueError, match="want"):
        call()
