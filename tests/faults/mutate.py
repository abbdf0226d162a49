"""Plants slips in the mathematics, one at a time, and runs the tests that should notice: `make mutants`.

    python tests/faults/mutate.py --json results/reliability.json [--only gaussian,gan.py] [--minutes 60]

A slip is one change in the syntax tree: another operator or comparison, a constant one larger, a sign or a
`not` lost, `and` for `or`.  Each runs in a process of its own, forked where all but minigen is loaded: the
tests of its module first, and the gradient check of everything where those noticed nothing.  A module is left
out while neither it nor its tests have changed since it was recorded: an interrupted campaign goes on.
"""

from __future__ import annotations

import argparse
import ast
import copy
import hashlib
import importlib.machinery
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis  # like all that follow, loaded once for all children
import numba  # noqa: F401
import pytest
import scipy.sparse
import scipy.special
import scipy.stats  # noqa: F401
from record import record

ROOT = Path(__file__).parents[2]
GRADIENTS = "tests/test_gradcheck.py::test_every_quantity_passes_every_check"
RECVAE = "tests/test_ladder_recvae.py::test_"
SHAPES = RECVAE + "layer_norm_and_swish_name_the_shapes_that_differ"
OPS = ("dense", "sparse_dense", "activations", "dropout", "gaussian", "topk")
TARGETS = {f"minigen/ops/{room}/numpy_{room}.py": [f"tests/test_{room}.py"] for room in OPS} | {
    "minigen/ops/bernoulli_nll/numpy_bernoulli_nll.py": ["tests/test_losses.py"],
    "minigen/ops/softmax_nll/numpy_softmax_nll.py": ["tests/test_losses.py"],
    "minigen/ops/adam/numpy_adam.py": [
        f"tests/test_{name}.py" for name in ("optimizers", "adam_rows", "sampled")
    ],
    "minigen/ops/accumulate/numpy_accumulate.py": [],
    "minigen/ops/composite_prior/numpy_composite_prior.py": [
        RECVAE + "the_prior_is_the_mixture_of_scipys_gaussians",
        RECVAE + "shares_that_are_no_shares_are_refused",
        RECVAE + "with_the_standard_gaussian_alone_the_sampled_kl_is_the_closed_one_on_average",
    ],
    "minigen/ops/layernorm/numpy_layernorm.py": [SHAPES],
    "minigen/ops/swish/numpy_swish.py": [SHAPES],
    "minigen/gan.py": ["tests/test_gan.py"],
    "minigen/vae.py": ["tests/test_vae.py"],
    "minigen/evaluation/metrics.py": ["tests/test_evaluation_metrics.py"],
}
# Survivors that nobody could see: the end of a module's path, function and slip -> why.
PASS = "the size of a pass over a large array: only time and room differ"
MINUS = "NumPy takes every negative number as the length that is left"
EQUIVALENT = {
    "dense.py:_matmul_into:1 -> 2": PASS,
    "dense.py:_matmul_into:_BLOCK // max(1, b.shape[1]) -> _BLOCK * max(1, b.shape[1])": PASS,
    "topk.py:top_k:1 -> 2": PASS,
    "topk.py:top_k:_BLOCK // n_items -> _BLOCK * n_items": PASS,
    "topk.py:_top_k:scores > -np.inf -> scores >= -np.inf": "dead columns are only left out to save time",
    "topk.py:_top_k:not alive.all() -> not not alive.all()": "dead columns are only left out to save time",
    "topk.py:_among_finite:1 -> 2": MINUS,
    "adam.py:adam_step:1 -> 2": MINUS,
    "adam.py:adam_rows_catch_up:1 -> 2": MINUS,
    "gan.py:generator_backward:d_loss * cache.sign -> d_loss / cache.sign": "the sign is 1 or -1",
    "vae.py:log_likelihood_backward:True -> False": "the shape is given anew right after",
    "metrics.py:ndcg:1 -> 2": "a factor on every gain is one on the best list's, too",
}
OPERATORS: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.Mod: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
COMPARISONS: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
hypothesis.settings.register_profile("first failure", phases=list(hypothesis.Phase)[:3])  # none shrinks
hypothesis.settings.load_profile("first failure")
SECONDS = 120  # of the processor, after which a test that hangs has noticed


class Slip(NamedTuple):
    """One change: where it stands and what it looks like, and the tree of the module that has it."""

    where: str
    line: int
    text: str
    tree: ast.Module


def slips(path: Path) -> Iterator[Slip]:
    """Every slip of a module."""
    tree = ast.parse(path.read_text("utf-8"))
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        for node in [node for statement in function.body for node in _sites(statement)]:
            for change in _changes(node):
                before, old = ast.unparse(node), copy.copy(node.__dict__)
                change()
                text = f"{before} -> {ast.unparse(node)}"
                yield Slip(function.name, node.lineno, text, copy.deepcopy(tree))
                node.__dict__.clear()
                node.__dict__.update(old)


def _sites(node: ast.AST) -> Iterator[Any]:
    """The nodes below `node` that may be changed: no annotation, no docstring, no complaint to people."""
    if isinstance(node, ast.Raise | ast.FunctionDef | ast.JoinedStr):
        return
    if isinstance(node, ast.AnnAssign):
        yield from _sites(node.value) if node.value else ()
        return
    if isinstance(node, ast.BinOp | ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant | ast.AugAssign):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _sites(child)


def _changes(node: Any) -> Iterator[Any]:
    def put(name: str, value: Any) -> Any:
        return lambda: setattr(node, name, value)

    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
        yield put("op", OPERATORS[type(node.op)]())
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        yield put("ops", [COMPARISONS[type(node.ops[0])]()])
    elif isinstance(node, ast.BoolOp):
        yield put("op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield put("op", ast.UAdd())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield put("operand", ast.UnaryOp(ast.Not(), node.operand))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield put("value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield put("value", node.value + 1)


def survives(path: Path, slip: Slip | None, tests: list[str]) -> bool:
    """Whether the module's tests, and then every gradient check, pass with the slip (None: as it stands)."""
    return all(_passes(path, slip, some) for some in (tests, [GRADIENTS]) if some)


def _passes(path: Path, slip: Slip | None, tests: list[str]) -> bool:
    child = os.fork()
    if child == 0:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        sys.dont_write_bytecode = True
        if slip:
            _load_with(path, slip.tree)
        options = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", "--assert=plain"]
        os._exit(int(pytest.main([*options, *(str(ROOT / test) for test in tests)])))
    return os.waitpid(child, 0)[1] == 0


def _load_with(path: Path, tree: ast.Module) -> None:
    loader = importlib.machinery.SourceFileLoader
    as_it_stands = loader.get_code

    def get_code(self: Any, name: str) -> Any:
        if Path(self.get_filename(name)) == path:
            return compile(ast.fix_missing_locations(tree), str(path), "exec")
        return as_it_stands(self, name)

    loader.get_code = get_code  # type: ignore[method-assign]


def main() -> None:
    """Run the campaign, and write what was killed and what survived."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path)
    options.add_argument("--only", default="", help="modules whose paths hold one of these, apart by commas")
    options.add_argument("--minutes", type=float, default=60.0)
    given = options.parse_args()
    os.chdir(ROOT)
    before = json.loads(given.json.read_text("utf-8"))["rows"] if given.json and given.json.exists() else []
    rows = {row["module"]: row for row in before if row["check"] == "mutation" and row["module"] in TARGETS}
    end = time.monotonic() + 60 * given.minutes
    for name in TARGETS:
        asked = any(part in name for part in given.only.split(","))
        if not asked or rows.get(name, {}).get("digest") == _digest(name):
            continue
        rows[name] = row = campaign(name, end)
        print(f"{name}: {row['killed']} of {row['planted']} killed", flush=True)
        if given.json:
            record(given.json, "mutation", list(rows.values()), "make mutants")
        if not row["digest"]:
            break
    planted, killed = (sum(row[key] for row in rows.values()) for key in ("planted", "killed"))
    print(f"all: {killed} of {planted} killed")


def campaign(name: str, end: float) -> dict[str, Any]:
    """Plant every slip of one module, until the time `end`: how many were killed, and the survivors."""
    path, tests = ROOT / name, TARGETS[name]
    if not survives(path, None, tests):
        sys.exit(f"{name}: its tests fail as things stand")
    row: dict[str, Any] = {"module": name, "planted": 0, "killed": 0, "survivors": []}
    row["digest"] = _digest(name)
    for slip in slips(path):
        if time.monotonic() > end:
            return row | {"digest": ""}
        row["planted"] += 1
        if survives(path, slip, tests):
            key = f"{name}:{slip.where}:{slip.text}"
            why = next((why for tail, why in EQUIVALENT.items() if key.endswith(tail)), None)
            row["survivors"].append({"slip": key, "line": slip.line, "why": why})
            print(f"  survived: {name}:{slip.line} {slip.text}", flush=True)
        else:
            row["killed"] += 1
    return row


def _digest(name: str) -> str:
    """Of a module, its tests and what is known of its survivors: changes where its row is out of date."""
    files = [name, *(test.partition("::")[0] for test in [*TARGETS[name], GRADIENTS])]
    known = [item for item in EQUIVALENT.items() if name.endswith(item[0].partition(":")[0])]
    digest = hashlib.sha256(repr(known).encode())
    for file in dict.fromkeys(files):
        digest.update((ROOT / file).read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    main()
