"""The oracles take turns with the other tests on two cores."""

import sys

import pytest


@pytest.fixture(autouse=True, scope="module")
def one_thread_of_torch():
    torch = sys.modules.get("torch")  # where a test has imported it
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
