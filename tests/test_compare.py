"""`minigen compare`: a table, a picture, a verdict in plain words, and one clear line for bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from test_recommender import split_of_groups
from test_tuning import TINY, tick

from minigen import plots
from minigen.cli import compare as commands
from minigen.errors import InputError
from minigen.ladder import MODELS
from minigen.plots.style import png
from minigen.tuning.verdict import Contender, decide


def people(mean: float, n: int = 400, seed: int = 0) -> np.ndarray:
    noise = 0.1 * np.random.default_rng(seed).standard_normal(n)
    return mean + noise - noise.mean()


@pytest.mark.parametrize(
    ("found", "winner", "text"),
    [
        ({"ease": ("baseline", 0.4, people(0.4)), "vae": ("generative", 0.3, people(0.4, seed=1) + 0.002)},
         "ease", "ease is enough for your data: vae adds "),
        ({"ease": ("baseline", 0.4, people(0.4)), "vae": ("generative", 0.3, people(0.45, seed=1))},
         "vae", "vae pays on your data: it adds +0.0500 ± "),
        ({"ease": ("baseline", 0.4, people(0.4)), "vae": ("generative", 0.3, people(0.3, seed=1))},
         "ease", "ease is enough for your data: vae is 0.1000 ± "),
        ({"ease": ("baseline", 0.4, people(0.4)), "knn": ("baseline", 0.3, people(0.3, seed=1))},
         "ease", "ease is the best of these for your data: +0.1000 ± "),
        ({"ease": ("baseline", 0.4, people(0.4)), "knn": ("baseline", 0.3, people(0.5, seed=1))},
         "ease", "validation chose ease, and the test prefers knn: -0.1000 ± "),
        ({"ease": ("baseline", 0.4, people(0.4)), "knn": ("baseline", 0.3, people(0.4, seed=1))},
         "ease", "ease and knn cannot be told apart on your data"),
        ({"ease": ("baseline", 0.4, people(0.4))}, "ease", "only ease was there"),
    ],
)  # fmt: skip
def test_the_verdict_says_what_was_found(found, winner, text):
    contenders = {name: Contender(name, *rest) for name, rest in found.items()}
    verdict = decide(contenders, "ndcg@100")
    assert verdict.winner == winner
    assert verdict.reference == "ease"
    assert verdict.text.startswith(text)
    assert verdict.text.endswith(("(NDCG@100, paired over the same users)", "nothing to compare it with"))


def test_contenders_are_chosen_by_validation_alone():
    found = {
        "a": Contender("a", "baseline", 0.4, people(0.1)),
        "b": Contender("b", "baseline", 0.3, people(0.9)),
        "c": Contender("c", "generative", 0.2, people(0.2)),
    }
    verdict = decide(found, "ndcg@5")
    assert (verdict.winner, verdict.reference) == ("c", "a")


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The command on events of four groups of items; gives its JSON."""
    tick(monkeypatch)
    split = split_of_groups()
    lines = [f"u{row},{split.items[column]}" for row, column in zip(*split.train.nonzero())]
    (tmp_path / "events.csv").write_text("\n".join(["user,item", *lines]) + "\n")
    app = typer.Typer()
    app.command()(commands.compare)
    run = typer.main.get_command(app)

    def call(*args, models="popularity,ease,mult-vae", out="out"):
        given = TINY if "vae" in models else {}
        sets = [text for name, value in given.items() for text in ("--set", f"{name}={value}")]
        file = tmp_path / "found.json"
        run(
            [str(tmp_path / "events.csv"), "--models", models, "--out", str(tmp_path / out), *sets,
             "--json", str(file), *args],
            standalone_mode=False,
        )  # fmt: skip
        return json.loads(file.read_text())

    return call


def test_the_command_ends_in_a_verdict_and_a_model_to_serve(command, tmp_path, capsys):
    document = command("--budget", "60s")
    assert (document["command"], document["settings"]["metric"]) == ("compare", "ndcg@32")
    popularity, ease, vae = document["rows"]
    assert (ease["model"], ease["family"], len(ease["trials"])) == ("ease", "baseline", 10)
    assert ease["settings"] == {"l2": ease["chosen"].get("l2", MODELS["ease"]().l2)}
    assert vae["settings"]["hidden"] == 8, "what is set is not tuned"
    assert popularity["difference"]["to"] == "ease"
    assert popularity["difference"]["high"] < 0
    said = capsys.readouterr().out.strip().splitlines()
    assert said[-1] == document["settings"]["verdict"]["text"]
    assert said[-1].startswith(("ease is enough for your data: mult-vae", "mult-vae pays on your data"))
    assert (tmp_path / "out" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    winner = document["settings"]["verdict"]["winner"]
    assert (
        json.loads(next((tmp_path / "out" / "winner").glob("step-*/state.json")).read_text())["model"]
        == winner
    )
    again = command("--budget", "60s")
    assert again["rows"] == document["rows"]
    for args, told in (
        (("--budget", "61s"), "other models, settings or data"),
        (("--budget", "60s", "--seed", "1"), "other models, settings or data"),
        (("--budget", "soon"), "--budget: want a time"),
        (("--set", "wings=2"), "popularity has no setting 'wings'"),
        (("--set", "dropout=2"), "dropout: want at least 0 and below 1"),
    ):
        with pytest.raises(InputError, match=told):
            command(*args)
    for models, told in (("ease,easy", "there is no model 'easy'"), ("ease,ease", "want each once")):
        with pytest.raises(InputError, match=told):
            command(models=models)
    (tmp_path / "file").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thing").write_text("x")
    for out, told in (("file", "is a file"), ("other", "holds something else")):
        with pytest.raises(InputError, match=told):
            command(out=out)


def test_a_model_that_cannot_run_is_told_in_its_row(command, monkeypatch, capsys):
    monkeypatch.setattr("minigen.recommender.baselines._available_memory", lambda: 1000)
    document = command("--budget", "1s", models="ease,popularity,mult-vae")
    ease, *others = document["rows"]
    assert "of memory" in ease["error"]
    assert (ease["metrics"], all(row["metrics"] for row in others)) == ({}, True)
    said = capsys.readouterr().out
    assert "ease did not run: EASE on 32 items needs" in said
    assert said.strip().splitlines()[-1].startswith(("popularity is", "mult-vae pays"))
    with pytest.raises(InputError, match=r"no model could be fitted; ease: EASE on 32 items needs"):
        command("--budget", "1s", models="ease", out="alone")


def test_a_place_for_the_comparison_that_is_a_file_or_anothers_is_refused(command, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file, not a folder for a comparison"):
        command("--budget", "1s", models="popularity", out="file")
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(InputError, match="holds something else"):
        command("--budget", "1s", models="popularity", out=".")


@pytest.mark.parametrize(
    ("metrics", "told"),
    [("foo", "unknown metric 'foo'"), ("recall@33", "the catalogue has 32 items"),
     ("novelty@5", "needs the training matrix")],
)  # fmt: skip
def test_metrics_that_cannot_be_measured_are_told_before_any_trial(metrics, told, command, tmp_path):
    with pytest.raises(InputError, match=told):
        command("--budget", "1s", "--metrics", metrics)
    assert not (tmp_path / "out" / "popularity").exists()


DAMAGED = "[]", "{}", '{"a": 1}', "null", "3"


@pytest.mark.parametrize("text", DAMAGED)
def test_what_a_contest_noted_and_was_damaged_is_told(text, command, tmp_path):
    command("--budget", "1s", models="popularity")
    for file, told in (("plan.json", "is no plan"), ("popularity/trial-0.json", "holds no trial")):
        path = tmp_path / "out" / file
        before = path.read_text()
        path.write_text(text)
        with pytest.raises(InputError, match=rf"{file} {told}.*: remove it, or choose another --out"):
            command("--budget", "1s", models="popularity")
        path.write_text(before)


@pytest.mark.parametrize(
    ("seconds", "told"), [({}, "no time of epoch 1 to plan by"), (1.5, "holds no trial")]
)
def test_trials_without_times_cannot_be_planned_by(seconds, told, command, tmp_path):
    command("--budget", "1s", models="popularity")
    (tmp_path / "out" / "plan.json").unlink()
    file = tmp_path / "out" / "popularity" / "trial-0.json"
    trial = json.loads(file.read_text())
    file.write_text(json.dumps(trial | {"seconds": seconds}))
    with pytest.raises(InputError, match=told):
        command("--budget", "1s", models="popularity")


def test_the_picture_shows_every_model_that_ran():
    rows = [
        {"model": name, "family": family, "metrics": {"ndcg@100": mean}, "se": {"ndcg@100": 0.01}} | more
        for name, family, mean, more in (
            ("ease", "baseline", 0.3, {}),
            ("$vae$", "generative", 0.4, {"difference": {"difference": 0.1, "low": 0.05, "high": 0.16}}),
        )
    ]
    figure = plots.contest([*rows, {"model": "x", "metrics": {}, "error": "no"}], "ndcg@100", "ease")
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["ease", r"\$vae\$"]
    assert [text.get_text() for text in figure.legends[0].texts] == ["baseline", "generative"]
    assert png(figure)
    (row, *_) = rows
    alone = plots.contest([row], "ndcg@100", "ease")
    assert [text.get_text() for text in alone.legends[0].texts] == ["baseline"]
