"""The CUDA twins: simulated, on a GPU where there is one, and compiled and assembled where there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from minigen.backends import cuda_compile
from minigen.backends.load import load
from minigen.errors import InputError

HERE = Path(__file__).parent


def run(*arguments: str, simulate: bool) -> subprocess.CompletedProcess[str]:
    """Run Python anew: whether CUDA is simulated is settled when Numba loads."""
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": str(int(simulate))}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True, text=True, check=False, env=environment, cwd=HERE.parent,
    )  # fmt: skip


def run_tests(name: str, simulate: bool) -> None:
    done = run("-m", "pytest", "-p", "no:cacheprovider", str(HERE / "cuda" / name), simulate=simulate)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["parity.py", "model.py", "real_tiles.py"])
def test_in_the_simulator(name: str) -> None:
    run_tests(name, simulate=True)


@pytest.mark.parametrize("name", ["parity.py", "model.py"])
def test_on_a_gpu(name: str) -> None:
    try:
        load("cuda")
    except InputError as error:
        pytest.skip(str(error))
    run_tests(name, simulate=False)


def test_without_a_gpu_the_message_says_what_to_install() -> None:
    done = run("-c", "from minigen.recommender import MultVAE; MultVAE(backend='cuda')", simulate=False)
    if done.returncode == 0:
        pytest.skip("there is a GPU here")
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("minigen.errors.InputError: the cuda backend needs an NVIDIA GPU")
    assert "pip install 'minigen[cuda]'" in said
    assert "NUMBA_ENABLE_CUDASIM=1" in said


def test_nothing_is_compiled_where_it_is_simulated() -> None:
    code = "from minigen.backends.cuda_compile import every_kernel; every_kernel()"
    assert "InputError: kernels are simulated" in run("-c", code, simulate=True).stderr


@pytest.fixture(scope="module")
def kernels() -> list:
    try:
        cuda_compile.ptxas()
        return cuda_compile.every_kernel()
    except InputError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("architecture", cuda_compile.ARCHITECTURES)
def test_kernels_compile_without_spills(kernels, architecture, capsys) -> None:
    for kernel in kernels:
        ptx = cuda_compile.to_ptx(kernel, architecture)
        figures = cuda_compile.assemble(ptx, architecture)
        with capsys.disabled():
            print(f"\n{kernel.name}: sm_{architecture} {figures}", end="")
        assert f".target sm_{architecture}" in ptx
        assert figures["spill_bytes"] == figures["stack_bytes"] == 0, kernel.name
        assert 0 < figures["registers"] < 255, kernel.name
        assert figures["shared_bytes"] <= 48 * 1024, kernel.name
        # A constant of float64 in an expression of float32 takes it along, to a unit that is 64 times slower.
        assert ".f64" not in ptx or kernel.name == "arrays.mean", kernel.name


def test_spills_are_seen(kernels) -> None:
    from numba import cuda

    from minigen.ops.cuda_kernels import Declared

    def spills(x, y):
        kept = cuda.local.array(400, x.dtype)
        for j in range(400):
            kept[(7 * j) % 400] = x[j]
        for j in range(y.size):
            y[j] = kept[int(y[j])]

    ptx = cuda_compile.to_ptx(Declared("spills", spills, "vector vector"), 80)
    assert cuda_compile.assemble(ptx, 80)["stack_bytes"] >= 1600


SAID = """\
ptxas info    : Compiling entry function 'tile' for 'sm_80'
    16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 2048 bytes smem, 400 bytes cmem[0]
"""


@pytest.fixture
def assembler(monkeypatch) -> SimpleNamespace:
    """What stands in for ptxas says `stderr`, and ends with `returncode`."""
    done = SimpleNamespace(returncode=0, stderr=SAID, stdout="Cuda tools, release 13.0, V13.0.88\n")
    file = SimpleNamespace(stem="ptxas", locate=lambda: Path("bin", "ptxas"))
    monkeypatch.setattr(cuda_compile, "files", lambda name: [SimpleNamespace(stem="nvcc"), file])
    monkeypatch.setattr(cuda_compile, "subprocess", SimpleNamespace(run=lambda command, **_: done))
    return done


def test_the_words_of_the_assembler_become_figures(assembler) -> None:
    figures = {"registers": 40, "shared_bytes": 2048, "stack_bytes": 16, "spill_bytes": 20}
    assert cuda_compile.assemble("", 80) == figures
    assembler.stderr = "ptxas fatal : Unresolved extern function\n"
    assembler.returncode = 255
    with pytest.raises(InputError, match="refuses a kernel: ptxas fatal"):
        cuda_compile.assemble("", 80)


def test_every_kernel_has_a_row_for_each_type_and_architecture(assembler, monkeypatch) -> None:
    monkeypatch.setattr(cuda_compile, "to_ptx", lambda kernel, architecture, real: "")
    monkeypatch.setattr(cuda_compile, "version", {"numba-cuda": "0.30.4"}.get)
    about, rows = cuda_compile.settings(), list(cuda_compile.rows())
    assert (about["ptxas"], about["numba_cuda"]) == ("13.0", "0.30.4")
    kinds = {(row["arch"], row["dtype"]) for row in rows}
    assert len(kinds) == len(about["architectures"]) * len(about["dtypes"])
    assert len(rows) == len(kinds) * len({row["kernel"] for row in rows})


def test_every_kernel_can_be_declared_to_the_compiler() -> None:
    from numba import types

    for kernel in cuda_compile.every_kernel():
        signature = cuda_compile._signature(kernel, "float64")
        assert len(signature) == kernel.function.__code__.co_argcount, kernel.name
        assert types.float64[::1] in signature or "vector" not in kernel.types.split(), kernel.name


def test_without_the_assembler_the_message_says_what_to_install(monkeypatch) -> None:
    def missing(name):
        raise cuda_compile.PackageNotFoundError(name)

    for absent in (missing, lambda name: None):
        monkeypatch.setattr(cuda_compile, "files", absent)
        with pytest.raises(InputError, match=r"pip install 'minigen\[cuda-compile\]'"):
            cuda_compile.ptxas()


def test_the_reported_figures_are_those_of_the_kernels_that_there_are() -> None:
    path = HERE.parent / "results" / "cuda-ptxas.json"
    rows = json.loads(path.read_text("utf-8"))["rows"]
    assert {row["spill_bytes"] + row["stack_bytes"] for row in rows} == {0}
    code = "from minigen.backends.cuda_compile import every_kernel; print(*[k.name for k in every_kernel()])"
    done = run("-c", code, simulate=False)
    assert {row["kernel"] for row in rows} == set(done.stdout.split()), done.stderr
