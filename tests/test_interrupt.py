"""Ctrl-C within a step: the first waits for its end, a second does not, and threads know of none."""

from __future__ import annotations

import signal
import threading

import pytest

from minigen.training.interrupt import DelayedInterrupt


def test_the_first_waits_and_the_second_does_not():
    before = signal.getsignal(signal.SIGINT)
    with DelayedInterrupt() as interrupt:
        interrupt.raise_if_requested()
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        interrupt.raise_if_requested()


def test_in_another_thread_signals_stay_as_they_are():
    before, during = signal.getsignal(signal.SIGINT), []

    def work():
        with DelayedInterrupt():
            during.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert during == [before]
    assert signal.getsignal(signal.SIGINT) is before
