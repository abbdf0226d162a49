"""The time of one answer at 20,108 items, in CPU seconds: those do not grow where a machine is shared."""

from __future__ import annotations

import pytest

from minigen.application.studies import cpu_ms
from minigen.bench import mult_vae, serve


@pytest.fixture(scope="module")
def cases():
    return serve.cases(mult_vae.Sizes(20_108), "numpy")


@pytest.mark.parametrize(("case", "limit_ms"), [("serve", 10), ("explain", 50)])
def test_one_person_s_answer_is_prompt(case, limit_ms, cases):
    cases[case].run()  # wakes the caches
    assert cpu_ms(cases[case].run, times=15) < limit_ms


def test_cpu_time_counts_work_and_not_waiting():
    import time

    def busy():
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass

    assert cpu_ms(lambda: time.sleep(0.05), times=2) < 20 < cpu_ms(busy, times=2) + 0.5
