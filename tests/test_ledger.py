"""A run's folder: its configuration, its study, its metrics, and the tables read from them."""

import contextlib
import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest
import tiny

from archspace.closed_form import cost_of
from archspace.errors import UserError
from archspace.genome import canonical_json, genome_data
from archspace.records.config import FORMAT, read_config
from archspace.records.ledger import Ledger
from archspace.records.metrics import FILE, append_metrics, keep_metrics, read_metrics
from archspace.records.view import read_run, record_of, runs_in
from archspace.records.yamlfile import write_model
from archspace.training.recipe import Recipe

GENOMES = tiny.genomes(4)


def epoch(number: int, error: float = 0.5) -> dict[str, Any]:
    figures = {"train_loss": 2.0, "error": error, "cross_entropy": 1.5, "seconds": 0.25, "at": 1.0 * number}
    return {"epoch": number} | figures


def result(error: float | None, **rest: Any) -> dict[str, Any]:
    return {"reason": "", "error": error, "cross_entropy": 1.5, "epochs": 2, "seconds": 0.5, "finished": 3.0} | rest


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A run with one trial of every kind."""
    ledger = Ledger.create(tmp_path / "runs" / "t", tiny.config())
    for number, genome in enumerate(GENOMES):
        cost = cost_of(genome, (1, 32, 32), 10)
        assert ledger.begin(genome, cost, 7 + number, "known" if number == 0 else "", 0.5 * number) == number
    for number in (0, 0, 1):
        append_metrics(ledger.trial_folder(number), epoch(len(read_metrics(ledger.trial_folder(number))) + 1, 0.25))
    ledger.end(0, "complete", result(0.25))
    ledger.end(1, "stopped", result(0.25, epochs=1, reason="weaker than others after 1 epoch"))
    ledger.end(2, "failed", result(None, epochs=0, cross_entropy=None, reason="diverged: the loss became nan"))
    return ledger


def test_what_is_written_is_read_again(ledger: Ledger) -> None:
    again = Ledger.open(ledger.folder)
    assert again.config == tiny.config()
    assert again.trials() == ledger.trials()
    for trial, genome in zip(again.trials(), GENOMES, strict=True):
        assert (trial.id, trial.genome) == (genome.id, canonical_json(genome))
        assert trial.cost["flops"] == cost_of(genome, (1, 32, 32), 10).flops
    assert [trial.state for trial in again.trials()] == ["complete", "stopped", "failed", "unfinished"]
    assert [trial.seed for trial in again.trials()] == [7, 8, 9, 10]
    assert [trial.started for trial in again.trials()] == [0.0, 0.5, 1.0, 1.5]
    assert again.trials()[0].result == result(0.25)
    assert again.trials()[2].result["reason"] == "diverged: the loss became nan"
    assert again.trials()[3].result == {}


def test_the_study_is_optunas_own(ledger: Ledger) -> None:
    study = optuna.load_study(study_name="archspace", storage=f"sqlite:///{ledger.folder / 'study.db'}")
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    assert study.trials[0].values == [0.25, float(ledger.trials()[0].cost["flops"])]
    assert [trial.number for trial in study.best_trials] == [0]


def test_the_study_is_in_wal_mode(ledger: Ledger) -> None:
    connection = sqlite3.connect(ledger.folder / "study.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_the_goal_can_be_extended(ledger: Ledger) -> None:
    assert ledger.goal == 4
    ledger.extend(9)
    assert (ledger.goal, Ledger.open(ledger.folder).goal) == (9, 9)


def test_a_run_as_tables(ledger: Ledger) -> None:
    (ledger.trial_folder(1) / FILE).open("a").write('{"epoch": 2, "tra')
    record = read_run(ledger.folder)
    assert (record.name, record.path) == ("t", ledger.folder)
    trials = record.trials.set_index("number")
    assert list(trials["state"]) == ["complete", "stopped", "failed", "unfinished"]
    assert list(trials["name"]) == ["known", "", "", ""]
    assert list(trials["epochs"]) == [2, 1, 0, 0]
    assert trials.loc[0, "error"] == 0.25
    assert math.isnan(trials.loc[2, "error"])
    assert math.isnan(trials.loc[3, "finished"])
    assert trials.loc[0, "seconds"] == 0.5
    assert list(record.curves["number"]) == [0, 0, 1]
    assert list(record.curves["at"]) == [1.0, 2.0, 1.0]
    assert runs_in(ledger.folder.parent) == [ledger.folder]


def test_an_empty_run_has_its_columns(tmp_path: Path) -> None:
    record = record_of(Ledger.create(tmp_path / "t", tiny.config()))
    assert len(record.trials) == len(record.curves) == 0
    assert {"id", "error", "flops", "genome"} <= set(record.trials.columns)
    assert "train_loss" in record.curves.columns


def test_metrics_survive_a_torn_line(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []
    for number in (1, 2, 3):
        append_metrics(tmp_path, epoch(number))
    path = tmp_path / FILE
    whole = path.read_bytes()
    for length in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:length])
        found = [entry["epoch"] for entry in read_metrics(tmp_path)]
        assert found == [1, 2, 3][: len(found)]
        assert len(found) >= whole[:length].count(b"\n")
    path.write_bytes(whole[:-20] + b"\xff\x00")
    assert [entry["epoch"] for entry in read_metrics(tmp_path)] == [1, 2]
    keep_metrics(tmp_path, 1)
    append_metrics(tmp_path, epoch(2))
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 2]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"recipe": Recipe(weight_decay=1e-5, lr=1e-9)},
        {"budget": ("4GFLOPs±2%", "25Mparams"), "machine": "Ünï: code # not a comment", "name": "1e3"},
        {"enqueue": (("on", genome_data(GENOMES[0])), ("resnet50", genome_data(GENOMES[1])))},
        {"space": {"about": "two\nlines: and a colon", "stages": {"depth": [1, {"range": [1, 2]}]}, "x": [1e-7, True]}},
    ],
)
def test_a_configuration_round_trip(tmp_path: Path, changes: dict[str, Any]) -> None:
    config = tiny.config(**changes)
    write_model(config, tmp_path / "run.yaml")
    assert read_config(tmp_path / "run.yaml") == config
    assert [path.name for path in tmp_path.iterdir()] == ["run.yaml"]


def spoilt(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


def test_a_configuration_that_cannot_be_trusted_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t" / "run.yaml"
    with pytest.raises(UserError, match=r"t: not a run: it has no run\.yaml"):
        read_config(path)
    path.parent.mkdir()
    write_model(tiny.config(), path)
    good = path.read_text()
    for text, message in {
        spoilt(good, f"format: {FORMAT}", f"format: {FORMAT + 1}"): "written by a newer archspace (format 2, this one",
        spoilt(good, f"format: {FORMAT}\n", ""): "it names no format",
        spoilt(good, "seed: 1", "seed: one"): "seed: Input should be a valid integer",
        spoilt(good, "momentum: 0.9", "momentum: 9"): "recipe.momentum: Input should be less than 1",
        good[: len(good) // 2]: "run.yaml: ",
        "- 1\n": "it names no format",
        "a: [\n": "cannot be read",
        "": "it names no format",
        "a: !!python/object/apply:os.getcwd []\n": "cannot be read",
    }.items():
        path.write_text(text)
        with pytest.raises(UserError) as caught:
            read_config(path)
        assert message in str(caught.value)
        with pytest.raises(UserError):
            Ledger.open(path.parent)
        assert not (path.parent / "study.db").exists()


def test_what_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such run"):
        read_run(tmp_path / "nothing")
    Ledger.create(tmp_path / "t", tiny.config())
    with pytest.raises(UserError, match="cannot be made"):
        Ledger.create(tmp_path / "t", tiny.config())
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made: Not a directory"):
        Ledger.create(tmp_path / "file" / "t", tiny.config())
    for old in (tmp_path / "t").glob("study.db*"):
        old.unlink()
    (tmp_path / "t" / "study.db").write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match=r"study\.db: cannot be opened as a study"):
        Ledger.open(tmp_path / "t")


def test_a_study_that_is_lost_or_older_than_its_trials_is_refused(ledger: Ledger) -> None:
    study, kept = ledger.folder / "study.db", {}
    for path in ledger.folder.glob("study.db*"):
        kept[path] = path.read_bytes()
        path.unlink()
    with pytest.raises(UserError, match=r"its study.db is missing, and trials were trained; put it back"):
        Ledger.open(ledger.folder)
    Ledger(ledger.folder, ledger.config)  # a new one, which knows nothing
    with pytest.raises(UserError, match=r"study.db knows 0 trials, and nothing of trials/0; put the newest one back"):
        Ledger.open(ledger.folder)
    for path in ledger.folder.glob("study.db*"):
        path.unlink()
    for path, data in kept.items():
        path.write_bytes(data)
    assert study in kept
    assert len(Ledger.open(ledger.folder).trials()) == 4


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("how", ["cut", "zeros", "ones"])
def test_a_damaged_study_is_told_in_a_line(ledger: Ledger, tmp_path: Path, share: float, how: str) -> None:
    study = tmp_path / "copy.db"
    with sqlite3.connect(ledger.folder / "study.db") as connection:
        connection.execute("VACUUM INTO ?", (str(study),))
    whole = study.read_bytes()
    at = min(int(share * len(whole)), len(whole) - 1)
    filler = {"cut": b"", "zeros": bytes(4096), "ones": b"\xff" * 4096}[how]
    damaged = whole[:at] + filler + (b"" if how == "cut" else whole[at + 4096 :])
    folder = tmp_path / "damaged"
    (folder / "trials" / "0").mkdir(parents=True)
    (folder / "run.yaml").write_bytes((ledger.folder / "run.yaml").read_bytes())
    (folder / "trials" / "0" / FILE).write_bytes((ledger.trial_folder(0) / FILE).read_bytes())
    (folder / "study.db").write_bytes(damaged)
    with contextlib.suppress(UserError):  # or nothing of what it says is lost
        assert Ledger.open(folder).trials() == ledger.trials()


@pytest.mark.parametrize("name", ["what?now", "50%20c", "a#b", "ä b"])
def test_a_run_may_lie_below_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    made = Ledger.create(tmp_path / name / "t", tiny.config())
    made.extend(7)
    assert Ledger.open(made.folder).goal == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    assert (made.folder / "study.db").is_file()


def test_a_line_that_was_lost_changes_no_result(ledger: Ledger) -> None:
    path = ledger.trial_folder(0) / FILE
    path.write_text(path.read_text().splitlines()[0].replace("0.25", "0.75", 1) + "\n")
    row = read_run(ledger.folder).trials.iloc[0]
    assert (row["error"], row["cross_entropy"]) == (0.25, 1.5)
