"""What a run leaves: front, winner, report and source, read from its folder; what can be exported of it."""

import json
import re
from pathlib import Path

import pytest
import tiny
from safetensors.torch import load_file

from archspace.closed_form import cost_of
from archspace.errors import UserError
from archspace.genomefile import read_genome
from archspace.outcome import Outcome, export_trial, finish, read_outcome, summary
from archspace.records.ledger import Ledger
from archspace.searching.run import start


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of four trials, without a report."""
    runs = tmp_path_factory.mktemp("runs")
    return start(tiny.request(runs, name="t"), lambda _: None, executor="in-process").folder


@pytest.fixture(scope="module")
def early(folder: Path) -> Outcome:
    """What there is of it before anything is written."""
    return read_outcome(folder)


@pytest.fixture(scope="module")
def outcome(folder: Path, early: Outcome) -> Outcome:
    """What there is once all is written."""
    assert early.report is None
    return finish(folder)


def test_before_it_is_finished_there_is_a_front_and_no_report(early: Outcome, outcome: Outcome) -> None:
    assert early.report is None
    assert early.source is None
    assert early.hypervolume == outcome.hypervolume
    assert early.front["id"].tolist() == outcome.front["id"].tolist()
    told = summary(early)
    assert (told["report"], told["source"]) == (None, None)
    json.dumps(told)


def test_the_front_is_what_no_complete_trial_beats(outcome: Outcome) -> None:
    trials = outcome.record.trials
    complete = trials[trials["state"] == "complete"]
    for _, mine in complete.iterrows():
        beaten = any(
            other["error"] <= mine["error"]
            and other["flops"] <= mine["flops"]
            and (other["error"] < mine["error"] or other["flops"] < mine["flops"])
            for _, other in complete.iterrows()
        )
        assert (mine["id"] in set(outcome.front["id"])) == (not beaten)
    assert outcome.winner is not None
    assert outcome.winner["error"] == complete["error"].min()


def test_the_winner_is_costed_at_the_target_and_at_the_task(outcome: Outcome) -> None:
    assert outcome.winner is not None
    told = summary(outcome)["winner"]
    genome = read_genome(str(outcome.winner["genome"]), "winner")
    config = outcome.record.config
    target = cost_of(genome, config.target_input, config.target_classes)
    trained = cost_of(genome, config.task.input, config.task.classes)
    assert (told["params"], told["macs"], told["flops"]) == (target.params, target.macs, target.flops)
    assert told["trained"] == {
        **{"input": [1, 32, 32], "classes": 10},
        **{"params": trained.params, "macs": trained.macs, "flops": trained.flops},
    }


def test_report_and_source_lie_in_the_run(folder: Path, outcome: Outcome) -> None:
    assert outcome.report == folder / "report.html"
    assert outcome.source == folder / "winner.py"
    source = outcome.source.read_text(encoding="utf-8")
    assert outcome.winner is not None
    assert outcome.winner["id"] in source
    assert str(outcome.winner["seed"]) in source
    trained = load_file(folder / "trials" / str(outcome.winner["number"]) / "weights.safetensors")
    exported = load_file(folder / "winner.safetensors")
    assert exported.keys() == trained.keys()
    assert all(exported[name].equal(trained[name]) for name in trained)


def test_every_trial_with_weights_can_be_exported(outcome: Outcome, tmp_path: Path) -> None:
    record = outcome.record
    last = record.trials.iloc[-1]
    done = export_trial(record, last, "python", tmp_path / "net.py")
    assert [path.name for path in done.paths] == ["net.py", "net.safetensors"]
    assert done.proof.params == cost_of(read_genome(str(last["genome"]), ""), (1, 32, 32), 10).params
    text = (tmp_path / "net.py").read_text(encoding="utf-8")
    assert re.search(rf"Trial {last['number']} of run t", text)
    assert f"Trained for {last['epochs']} epoch" in text
    assert "Images: pixels of 0 to 255, minus the mean of each channel (" in text


def test_a_trial_without_weights_is_told(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "t", tiny.config())
    genome = tiny.genomes(1)[0]
    ledger.begin(genome, cost_of(genome, (1, 32, 32), 10), 0, "", 0.0)
    early = read_outcome(tmp_path / "t")
    with pytest.raises(UserError, match="trial 0 of run 't' has no weights to export"):
        export_trial(early.record, early.record.trials.iloc[0], "python", tmp_path / "net.py")
    assert not (tmp_path / "net.py").exists()


def test_a_run_without_a_winner_still_gets_a_report(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "t", tiny.config())
    genome = tiny.genomes(1)[0]
    ledger.begin(genome, cost_of(genome, (1, 32, 32), 10), 0, "", 0.0)
    left = finish(tmp_path / "t", interrupted=True)
    assert left.interrupted
    assert left.winner is None
    assert left.report is not None
    assert left.source is None
    told = summary(left)
    assert (told["trials"], told["complete"], told["front"], told["winner"]) == (1, 0, [], None)
    assert told["hypervolume"] == 0
