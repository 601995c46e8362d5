"""`archspace compare`: real spaces on digits, finished runs, and what can go wrong."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from end_to_end import SPACE as SLOW
from end_to_end import Caller, Said

from archspace.analysis.comparison import Sample
from archspace.analysis.comparison import compare as analyse
from archspace.analysis.comparison_words import advice, verdict, verdicts
from archspace.comparing.compare import compare
from archspace.comparing.drawn import draw_from, trainings
from archspace.comparing.entrants import Entrant, entrants
from archspace.comparing.finished import finished
from archspace.comparing.prepare import CompareRequest
from archspace.errors import UserError
from archspace.records.config import TaskConfig
from archspace.records.ledger import Ledger
from archspace.records.record import RunRecord
from archspace.report.comparison_data import comparison_data
from archspace.report.comparison_figures import FIGURES
from archspace.searching.queue import Queue
from archspace.searching.run import start
from archspace.space.budget import parse_budget

QUICK = [
    part
    for setting in ("epochs=1", "batch=128", "norm_batches=1", "precision=fp32", "layout=contiguous")
    for part in ("--set", f"recipe.{setting}")
]
SPACE = SLOW.replace("kind: cifar", "kind: imagenet")
WIDE = SPACE.replace("name: tiny", "name: wide").replace("range: [4, 24]", "range: [8, 32]")
PAIR = ("compare", "tiny.yaml", "wide.yaml", "--budget", "150kFLOPs")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Caller:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARCHSPACE_RUNS", raising=False)
    Path("tiny.yaml").write_text(SPACE)
    Path("wide.yaml").write_text(WIDE)
    return Caller(capsys, monkeypatch)


def refused(said: Said, *words: str) -> None:
    assert said.code == 2, said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.err
    assert not list(Path("runs").glob("compare*"))


@pytest.mark.slow
def test_two_spaces_from_the_command_line(call: Caller) -> None:
    said = call(*PAIR, "-n", 3, *QUICK, "--concurrency", 1, "-o", "page.html", "--json")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert [side["networks"] for side in told["sides"]] == [3, 3]
    assert told["trained"] == 6
    assert all(row["flops"] <= 150_000 for row in told["networks"])
    assert len(told["verdicts"]) == 1
    assert said.err.count("val error") == 6
    folder = Path(told["folder"])
    page = Path("page.html").read_text(encoding="utf-8")
    assert told["verdicts"][0].split("(")[0].strip() in page
    assert page.count('id="figure-') >= 3
    again = call(*PAIR, "-n", 3, *QUICK, "--json")
    assert again.code == 0
    assert json.loads(again.out) == told
    assert "val error" not in again.err
    words = call(*PAIR, "-n", 3, *QUICK)
    assert told["verdicts"][0] in words.out
    assert folder.name in words.out
    other = call(*PAIR, "-n", 3, *QUICK, "--seed", 1, "--name", folder.name)
    assert other.code == 2
    assert "seed differ" in other.err


def quick(**changes: Any) -> CompareRequest:
    recipe = tiny.RECIPE.model_copy(update={"epochs": 1, "rungs": (1,), "warmup": 0.2})
    usual: dict[str, Any] = {"budget": parse_budget(["150kFLOPs"]), "n": 3, "recipe": recipe, "concurrency": 1}
    return CompareRequest(("tiny.yaml", "wide.yaml"), **usual | changes)


@pytest.mark.usefixtures("call")
def test_what_was_interrupted_goes_on_to_the_same_result_and_grows() -> None:
    def stop(queue: Queue) -> None:
        if queue.done == 2:
            raise KeyboardInterrupt

    stopped = compare(quick(name="stopped"), stop, executor="in-process")
    assert stopped.comparison is None
    assert (stopped.trained, stopped.asked) == (2, 6)
    ended = compare(quick(name="stopped"), executor="in-process")
    whole = compare(quick(name="whole"), executor="in-process")
    assert ended.networks is not None
    pd.testing.assert_frame_equal(ended.networks, whole.networks)  # type: ignore[arg-type]
    begun: set[str] = set()

    def note(queue: Queue) -> None:
        begun.update(training.name for training in queue.running.values())

    more = compare(quick(name="whole", n=4), note, executor="in-process")
    assert more.networks is not None
    new = more.networks[~more.networks["id"].isin(ended.networks["id"])]
    assert len(more.networks) == 8
    assert begun == {f"{row.side}/{row.id}" for row in new.itertuples()}


@pytest.mark.usefixtures("call")
def test_what_fails_counts_as_guessing_and_is_tried_again() -> None:
    def spoil(queue: Queue) -> None:
        for number, training in list(queue.running.items()):
            if training.name.startswith("wide"):
                queue.fail(number, "its worker process died 2 times")

    told: list[str] = []
    compared = compare(quick(), spoil, executor="in-process", tell=told.append)
    assert compared.comparison is not None
    assert compared.networks is not None
    failed = compared.networks[compared.networks["side"] == "wide"]
    assert list(failed["error"]) == [0.9] * 3
    assert compared.comparison.sides[1].sample.failed == 3
    assert any("3 of 3 trainings failed" in note for note in compared.notes)
    assert any("tries it again" in words for words in told)
    again = compare(quick(), executor="in-process")
    assert again.comparison is not None
    assert again.comparison.sides[1].sample.failed == 0


@pytest.mark.usefixtures("call")
def test_a_space_with_few_genomes_gives_all_and_says_so() -> None:
    small = WIDE.replace("range: [1, 2]", "range: [1, 1]").replace("range: [8, 32], step: 4", "choices: [8, 12]")
    Path("wide.yaml").write_text(small.replace("cardinality: {choices: [1, 2]}", "cardinality: 1"))
    compared = compare(quick(n=6), executor="in-process")
    assert any(re.match(r"wide: only \d networks instead of 6: all there are", note) for note in compared.notes)


def run(name: str, seed: int, **changes: Any) -> None:
    start(tiny.request(Path("runs"), name=name, seed=seed, trials=9, **changes), lambda _: None, "in-process")


@pytest.mark.slow
def test_runs_give_what_they_drew_at_random_and_say_so(call: Caller) -> None:
    run("first", 1)
    run("second", 2)
    said = call("compare", "first", "second")
    assert said.code == 0, said.err
    assert said.out.count("NOT a random sample of its space") == 2
    assert "of 9 only the 8" in said.out
    told = json.loads(call("compare", "first", "second", "--json").out)
    assert told["folder"] is None
    assert [side["networks"] for side in told["sides"]] == [8, 8]
    stopped = sum(row["state"] == "stopped" for row in told["networks"])
    assert stopped
    assert any("stopped early" in note for note in told["notes"])
    everything = json.loads(call("compare", "first", "second", "--all", "--json").out)
    assert [side["networks"] for side in everything["sides"]] == [9, 9]
    assert sum("neither bands nor p hold" in note for note in everything["notes"]) == 2
    other = TaskConfig(name="cifar10", input=(3, 32, 32), classes=10)
    Ledger.create(Path("runs/other"), tiny.config(task=other))
    refused(call("compare", "first", "other"), "run other was trained on cifar10", "different tasks")
    refused(call("compare", "other", "tiny.yaml"), "give --task cifar10")
    Ledger.create(Path("runs/longer"), tiny.config(recipe=tiny.RECIPE.model_copy(update={"lr": 0.2})))
    refused(call("compare", "first", "longer"), "recipe.lr=0.2", "recipe.lr=0.1")
    refused(call("compare", "first", "tiny.yaml"), "--set recipe.epochs=2")


def test_stopped_and_failed_trials_are_never_dropped() -> None:
    trials = pd.DataFrame(
        {
            "number": range(6),
            "name": ["", "zoo", "", "", "", ""],
            "state": ["complete", "complete", "stopped", "failed", "unfinished", "complete"],
            "error": [0.2, 0.1, 0.5, np.nan, np.nan, 0.3],
            **dict.fromkeys(("id", "genome", "reason"), ""),
            **{figure: [1e6] * 5 + [9e6] for figure in ("params", "macs", "flops", "acts")},
        }
    )
    config = tiny.config(task=TaskConfig(name="digits", input=(1, 32, 32), classes=4))
    entrant = Entrant("r", run=RunRecord("r", Path(), config, trials, pd.DataFrame()))
    found = finished(entrant, None, "flops", everything=False)
    assert found.sample.errors == pytest.approx([0.2, 0.5, 0.75, 0.3])
    assert found.sample.failed == 1
    assert any("1 trials have not ended" in note for note in found.notes)
    assert finished(entrant, None, "flops", everything=True).sample.errors == pytest.approx([0.2, 0.1, 0.5, 0.75, 0.3])
    within = finished(entrant, parse_budget(["2MFLOPs"]), "flops", everything=False)
    assert within.sample.errors == pytest.approx([0.2, 0.5, 0.75])
    with pytest.raises(UserError, match="0 trials drawn at random"):
        finished(entrant, parse_budget(["1kFLOPs"]), "flops", everything=False)


def test_mistakes_are_told(call: Caller) -> None:
    refused(call("compare"), "it takes two")
    refused(call("compare", "tiny.yaml"), "it takes two", "tiny.yaml")
    refused(call("compare", "resnex", "resnet"), "resnex", "did you mean 'resnext'?")
    refused(call("compare", "tiny.yaml", "gone.yaml"), "gone.yaml", "no such file")
    refused(call("compare", "tiny.yaml", "tiny.yaml"), "named twice")
    refused(call(*PAIR, "-n", 1), "-n 1", "at least two")
    refused(call("compare", "tiny.yaml", "resnet", "--budget", "1MFLOPs"), "1x32x32, 10 classes", "3x224x224", "target")
    refused(call(*PAIR[:3], "--budget", "62kFLOPs"), "no genome of space wide")
    refused(call(*PAIR, "-o", "page.pdf"), "page.pdf", ".html")
    refused(call(*PAIR, "--task", "digit"), "did you mean 'digits'?")
    Path("runs/resnet").mkdir(parents=True)
    Ledger.create(Path("runs/resnext"), tiny.config())
    refused(call("compare", "resnext", "tiny.yaml"), "both a run", "shipped space")
    Ledger.create(Path("runs/empty"), tiny.config())
    refused(call("compare", "empty", "tiny.yaml", *("--recipe", "default")), "recipe.epochs=2", "--set recipe.epochs=2")


@pytest.mark.slow
def test_a_dry_run_tells_the_time_and_writes_nothing(call: Caller) -> None:
    said = call(*PAIR, "-n", 2, *QUICK, "--concurrency", 1, "--dry-run")
    assert said.code == 0, said.err
    assert re.search(r"4 trainings in .*; 1 side by side\n.* for the 4 left, ", said.out)
    assert not Path("runs").exists()


def samples(*shifts: float, n: int = 60, dear: float = 1.0) -> list[Sample]:
    rng = np.random.default_rng(0)
    found = []
    for number, shift in enumerate(shifts):
        costs = 1e8 * dear**number * np.exp(rng.normal(0, 0.7, n))
        errors = 0.3 - 0.04 * np.log(costs / 1e8) + shift + 0.1 * rng.random(n)
        found.append(Sample("abc"[number], errors, costs))
    return found


def test_verdicts_name_the_better_space_or_none() -> None:
    better = analyse(samples(0.0, 0.1))
    assert verdict(better, better.pairs[0]).startswith("a has better networks than b at equal cost")
    worse = analyse(samples(0.1, 0.0))
    assert verdict(worse, worse.pairs[0]).startswith("b has better networks than a at equal cost")
    assert worse.pairs[0].median.better == 1
    same = analyse(samples(0.0, 0.0))
    assert verdict(same, same.pairs[0]).startswith("The data do not tell a and b apart at equal cost")
    apart = samples(0.0, 0.0)
    far = analyse([apart[0], replace(apart[1], costs=apart[1].costs * 1e6)])
    assert far.pairs == ()
    assert verdicts(far)[0].startswith("Nothing is said at equal cost")


def test_cost_alone_is_no_difference() -> None:
    dearer = analyse(samples(0.0, 0.0, dear=3.0))
    assert dearer.pairs[0].drawn.p < 0.01
    assert dearer.pairs[0].p > 0.05


def test_several_spaces_are_judged_together() -> None:
    found = analyse(samples(0.0, 0.0, 0.1))
    assert [(pair.one, pair.other) for pair in found.pairs] == [(0, 1), (0, 2), (1, 2)]
    assert all(pair.p >= pair.ks.p for pair in found.pairs)
    least = min(found.pairs, key=lambda pair: pair.ks.p)
    assert least.p == pytest.approx(min(1.0, 3 * least.ks.p))
    assert "go on if a better network is the aim" in advice(found.sides[0])


def test_the_same_seed_gives_the_same_comparison() -> None:
    one, other = (analyse(samples(0.0, 0.02), seed=5) for _ in range(2))
    assert one.pairs == other.pairs


def networks_of(found: list[Sample]) -> pd.DataFrame:
    rows = [
        {"side": one.name, "id": f"<{one.name}{number}>", "state": "failed" if number == 0 else "complete"}
        for one in found
        for number in range(len(one.errors))
    ]
    return pd.DataFrame(rows).assign(
        reason="", genome=json.dumps({}), params=1, macs=1, flops=1, acts=1, error=0.5
    )  # fmt: skip


def test_figures_show_every_network_and_stay_within_their_bands() -> None:
    drawn = samples(0.0, 0.05, dear=2.0)
    comparison = analyse(drawn)
    data = comparison_data(comparison, networks_of(drawn))
    assert sum(len(points.x) for points in data.networks) == 120
    assert {points.kind for points in data.networks} == {"counts", "left out", "failed"}
    for line in (*data.edfs, *data.best_of):
        ends = [end for end in zip(line.low, line.y, line.high, strict=True) if end[0] == end[0]]
        assert ends
        assert all(low <= y + 1e-9 and y <= high + 1e-9 for low, y, high in ends)
    assert all(list(line.y) == sorted(line.y) for line in data.edfs)
    assert all(list(line.y) == sorted(line.y, reverse=True) for line in data.best_of)
    for make in FIGURES.values():
        assert make(data, "3x32x32, 10 classes").to_dict()["data"]


def test_spaces_of_one_name_draw_and_train_each_for_itself(call: Caller) -> None:
    Path("copy.yaml").write_text(Path("tiny.yaml").read_text() + "\n# the same name\n")
    found = entrants(("tiny.yaml", "copy.yaml"), Path("runs"))
    task = TaskConfig(name="digits", input=(1, 32, 32), classes=10)
    one, other = (draw_from(entrant, parse_budget(["150kFLOPs"]), 12, 0, task) for entrant in found)
    assert [each.genome.id for each in one.candidates] != [each.genome.id for each in other.candidates]
    seeds = {training.name: training.seed for training in trainings([one, other], tiny.RECIPE, 0)}
    shared = {each.genome.id for each in one.candidates} & {each.genome.id for each in other.candidates}
    assert all(seeds[f"tiny.yaml/{name}"] != seeds[f"copy.yaml/{name}"] for name in shared)
    refused(call("compare", "tiny.yaml", "./tiny.yaml", "--budget", "150kFLOPs"), "is named twice")
