"""What the CUDA twins share: how kernels are declared and launched, and helpers without a barrier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from numba import config, cuda

# The simulator runs a Python thread for each of them: there, a few show as much.
SIMULATED = bool(config.ENABLE_CUDASIM)
THREADS = 4 if SIMULATED else 128  # of a block, where nothing speaks for another number
_MOST = 2 if SIMULATED else 8192  # blocks: from so many on, a thread does better to go on with another entry

# A launch of few blocks is right for a small array; Numba would warn of each.
config.CUDA_LOW_OCCUPANCY_WARNINGS = 0

if SIMULATED:
    from minigen.ops.cuda_simulator import repair

    repair()


class Declared(NamedTuple):
    """A kernel's name, its Python function, and its argument types as words that `cuda_compile` knows."""

    name: str
    function: Callable[..., None]
    types: str


KERNELS: list[Declared] = []


def kernel(types: str, name: str | None = None) -> Callable[[Callable[..., None]], Any]:
    """Make a CUDA kernel, and note the types for which it can be compiled where there is no GPU."""

    def declare(function: Callable[..., None]) -> Any:
        module = function.__module__.rpartition(".")[2].removeprefix("cuda_")
        KERNELS.append(Declared(name or f"{module}.{function.__name__.strip('_')}", function, types))
        return cuda.jit(function)

    return declare


def blocks(n: int, a_block: int = THREADS) -> int:
    """Blocks for n pieces of work; one for none, since a grid without a block cannot be launched."""
    return max(1, -(-n // a_block))


def spread(n: int) -> tuple[int, int]:
    """Blocks and threads for n entries, of which a thread takes one in every gridsize."""
    return min(blocks(n), _MOST), THREADS


@cuda.jit(device=True)
def add_up(slots: Any) -> Any:
    """The sum of a block's shared slots: every thread adds them in the same order, and none waits."""
    total = slots[0]
    for s in range(1, slots.size):
        total += slots[s]
    return total


@cuda.jit(device=True)
def find(items: Any, first: int, last: int, item: int) -> int:
    """Where the sorted items[first:last] hold `item`; -1 where they do not."""
    low, high = first, last
    while low < high:
        middle = (low + high) // 2
        if items[middle] < item:
            low = middle + 1
        else:
            high = middle
    return low if low < last and items[low] == item else -1
