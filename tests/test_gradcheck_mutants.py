"""The checker checked: every planted slip is caught by the check that must, in Python and in the command."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer

from minigen import ops
from minigen.cli.gradcheck import gradcheck
from minigen.errors import InputError
from minigen.gradcheck.catalogue import catalogue
from minigen.gradcheck.mutants import MUTANTS, Verdict, failures

QUANTITIES = catalogue()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_every_mutant_is_killed_by_the_check_that_must(mutant):
    verdict = Verdict(mutant, failures(mutant.plant(QUANTITIES[mutant.quantity])))
    assert verdict.killed, verdict.failures
    assert verdict.message != "survived"


def test_there_are_mutants_for_each_operation():
    assert len(MUTANTS) >= 20
    assert len({m.name for m in MUTANTS}) == len(MUTANTS)
    assert {m.quantity for m in MUTANTS} >= set(QUANTITIES) - {"seed-vae"}


def test_every_operation_that_has_a_backward_pass_is_in_the_catalogue():
    backward = {name: getattr(ops, name) for name in ops.__all__ if name.endswith("_backward")}
    checked = {quantity.backward for quantity in QUANTITIES.values()}
    assert {name for name, function in backward.items() if function not in checked} == set()


def test_right_derivatives_of_wrong_formulas_need_a_check_of_meaning():
    consistent = [m for m in MUTANTS if m.caught_by not in ("derivative", "contract")]
    assert len(consistent) >= 8
    for mutant in consistent:
        assert "derivative" not in failures(mutant.plant(QUANTITIES[mutant.quantity])), mutant.name


def _run(*args):
    command = "from minigen.cli.gradcheck import gradcheck; import typer; typer.run(gradcheck)"
    return subprocess.run([sys.executable, "-c", command, *args], capture_output=True, text=True, check=False)


def test_the_command_prints_a_table_and_writes_rows(tmp_path):
    done = _run("--op", "dense", "--json", str(tmp_path / "rows.json"))
    assert done.returncode == 0, done.stderr
    assert "gradients right: 3/3" in done.stdout
    document = json.loads((tmp_path / "rows.json").read_text())
    assert document["command"] == "gradcheck"
    assert [(r["name"], r["parameter"], r["ok"]) for r in document["rows"]] == [
        ("dense", name, True) for name in "xwb"
    ]
    assert all(r["rel_error"] <= 1e-6 for r in document["rows"])


def test_the_command_shows_mutants_killed(tmp_path):
    done = _run("--mutants", "--op", "gaussian-kl", "--json", str(tmp_path / "rows.json"))
    assert done.returncode == 0, done.stderr
    planted = sum(m.quantity == "gaussian-kl" for m in MUTANTS)
    assert done.stdout.strip().endswith(f"killed/planted: {planted}/{planted}")
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert all(row["killed"] and row["by"] for row in rows)
    assert len(rows) == planted


def test_the_command_exits_with_1_where_a_gradient_is_wrong(monkeypatch, capsys, tmp_path):
    slip = next(m for m in MUTANTS if m.name == "gaussian-kl-lost-half-of-kl")
    wrong = QUANTITIES | {"gaussian-kl": slip.plant(QUANTITIES["gaussian-kl"])}
    monkeypatch.setattr("minigen.gradcheck.catalogue.catalogue", lambda: wrong)
    with pytest.raises(typer.Exit) as stop:
        gradcheck(op="gaussian-kl", json=tmp_path / "rows.json")
    assert stop.value.exit_code == 1
    assert "a lost 1/2?" in " ".join(capsys.readouterr().out.split())
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [(row["parameter"], row["ok"]) for row in rows] == [("mu", True), ("log_var", False)]


def test_the_command_exits_with_1_where_a_mutant_survives(monkeypatch):
    survivor = MUTANTS[0]._replace(caught_by="no such check")
    monkeypatch.setattr("minigen.gradcheck.mutants.MUTANTS", [survivor])
    with pytest.raises(typer.Exit) as stop:
        gradcheck(op=survivor.quantity, mutants=True)
    assert stop.value.exit_code == 1


def test_unknown_operations_and_those_without_slips_are_bad_input():
    with pytest.raises(InputError, match="--op gelu: unknown; there are dense, "):
        gradcheck(op="gelu")
    with pytest.raises(InputError, match="--op seed-vae: no slips to plant; there are some for "):
        gradcheck(op="seed-vae", mutants=True)


def test_what_has_no_gradient_is_counted_by_its_other_checks(monkeypatch, capsys):
    few = {name: QUANTITIES[name] for name in ("adam", "dense")}
    monkeypatch.setattr("minigen.gradcheck.catalogue.catalogue", lambda: few)
    gradcheck(op="adam")
    said = capsys.readouterr().out
    assert "verdict" not in said
    assert ": passed" in said
    assert "gradients right: 0/0; contract and meaning: " in said
    gradcheck()  # of several what passed is counted alone
    said = capsys.readouterr().out
    assert ": passed" not in said
    assert "gradients right: 3/3" in said
