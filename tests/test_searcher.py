"""Searches in this process, on real digits with tiny networks: proposals, interruptions, failures, extensions."""

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from filelock import FileLock

import archspace.searching.trial as trial_module
from archspace import zoo
from archspace.closed_form import cost_of
from archspace.data.tasks import load_task
from archspace.document import read_text
from archspace.errors import BudgetError, UserError
from archspace.genome import Genome, genome_data
from archspace.genomefile import read_genome
from archspace.records.ledger import Ledger, LedgerTrial
from archspace.records.metrics import FILE, read_metrics
from archspace.records.view import read_run
from archspace.searching.run import Request, resume, start
from archspace.searching.sampler import STARTUP, Result, distribution, propose, snap
from archspace.searching.searcher import Searcher
from archspace.searching.trial import epochs_of
from archspace.space.budget import parse_budget
from archspace.space.file import read_space
from archspace.space.sampler import draws
from archspace.space.space import values_of
from archspace.training.checkpoint import Checkpoint, load_checkpoint

Outcome = tuple[str, str, int, Any, Any, int]


def quiet(_: Searcher) -> None:
    pass


def searched(request: Request, listener: Callable[[Searcher], None] = quiet) -> Path:
    return start(request, listener, executor="in-process").folder


def resumed(folder: Path, listener: Callable[[Searcher], None] = quiet, **options: Any) -> None:
    assert not resume(folder, listener, executor="in-process", **options).interrupted


def trials_of(folder: Path) -> list[LedgerTrial]:
    return Ledger.open(folder).trials()


def outcomes(folder: Path) -> list[Outcome]:
    """What must not depend on interruptions: all but the times."""
    found = [(trial, trial.result) for trial in trials_of(folder)]
    return [(t.id, t.state, t.seed, r.get("error"), r.get("cross_entropy"), r.get("epochs", 0)) for t, r in found]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four trials that nothing interrupted."""
    return searched(tiny.request(tmp_path_factory.mktemp("runs"), name="whole"))


def test_a_search_measures_every_trial_within_budget(whole: Path) -> None:
    record = read_run(whole)
    assert len(record.trials) == 4
    assert set(record.trials["state"]) == {"complete", "stopped"}  # with this seed, rungs stop some
    stopped = record.trials[record.trials["state"] == "stopped"]
    assert (stopped["epochs"] == 1).all()
    assert (stopped["reason"] == "weaker than others after 1 epoch").all()
    assert record.trials["error"].between(0, 1).all()
    assert record.trials["id"].is_unique
    for text in record.trials["genome"]:
        genome = read_genome(text, "trial")
        assert tiny.BUDGET.allows(cost_of(genome, (1, 32, 32), 10))
        assert values_of(tiny.SPACE, genome) is not None
    assert record.config.cap == 150_000
    assert record.config.target_input == (1, 32, 32)


def test_the_same_seed_searches_the_same(whole: Path, tmp_path: Path) -> None:
    again = searched(tiny.request(tmp_path, name="again"))
    assert outcomes(again) == outcomes(whole)
    other = searched(tiny.request(tmp_path, name="other", seed=2, trials=2))
    assert outcomes(other) != outcomes(whole)[:2]


def test_known_genomes_come_first(whole: Path, tmp_path: Path) -> None:
    known = [genome for genome in tiny.genomes(12) if genome.id not in {trial.id for trial in trials_of(whole)}][:2]
    enqueue = (("first", known[0]), ("second", known[1]), ("again", known[0]))
    folder = searched(tiny.request(tmp_path, name="known", trials=3, enqueue=enqueue))
    found = trials_of(folder)
    assert [trial.id for trial in found[:2]] == [genome.id for genome in known]
    assert [trial.name for trial in found] == ["first", "second", ""]


class Interrupt:
    """Interrupts at one call, as Ctrl-C would."""

    def __init__(self, at: int) -> None:
        self.at, self.calls = at, 0

    def __call__(self, _: Searcher) -> None:
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt


def footprints(folder: Path) -> dict[int, tuple[float, str]]:
    """When each finished trial ended, and the metrics it left."""
    return {
        trial.number: (trial.result["finished"], (folder / "trials" / str(trial.number) / FILE).read_text())
        for trial in trials_of(folder)
        if trial.state in ("complete", "stopped")
    }


def test_a_search_that_is_interrupted_anywhere_ends_as_if_it_was_not(whole: Path, tmp_path: Path) -> None:
    counting = Interrupt(0)
    request = tiny.request(tmp_path, trials=3)
    searched(dataclasses.replace(request, name="counted"), counting)
    assert counting.calls >= 6
    for at in range(1, counting.calls + 1):
        ended = start(dataclasses.replace(request, runs=tmp_path / str(at)), Interrupt(at), executor="in-process")
        assert ended.interrupted
        done = footprints(ended.folder)
        resumed(ended.folder)
        assert outcomes(ended.folder) == outcomes(whole)[:3], at
        after = footprints(ended.folder)
        assert {number: after[number] for number in done} == done
        for trial in trials_of(ended.folder):
            curve = [line["epoch"] for line in read_metrics(ended.folder / "trials" / str(trial.number))]
            assert curve == list(range(1, trial.result["epochs"] + 1))


def test_a_process_that_died_between_epoch_and_decision_is_made_good(whole: Path, tmp_path: Path) -> None:
    task = load_task("digits")
    folder = start(tiny.request(tmp_path, name="died"), Interrupt(1), executor="in-process").folder
    for _ in range(30):  # every process trains one epoch and dies before it can tell
        space = tiny.SPACE
        ledger = Ledger.open(folder)
        spec = Searcher(ledger, space, ledger.goal, 60, quiet).ask()
        if spec is None:
            break
        next(epochs_of(spec, task))
    resumed(folder)
    assert outcomes(folder) == outcomes(whole)


def test_a_lost_checkpoint_costs_only_time(whole: Path, tmp_path: Path) -> None:
    folder = start(tiny.request(tmp_path, name="lost"), Interrupt(2), executor="in-process").folder
    trial = folder / "trials" / "0"
    assert len(read_metrics(trial)) == 1
    (trial / "weights.safetensors").write_bytes(b"torn")
    resumed(folder)
    assert outcomes(folder) == outcomes(whole)


def test_metrics_behind_the_checkpoint_are_measured_again(whole: Path, tmp_path: Path) -> None:
    folder = start(tiny.request(tmp_path, name="behind"), Interrupt(2), executor="in-process").folder
    lines = (folder / "trials" / "0" / FILE).read_text()
    (folder / "trials" / "0" / FILE).write_text(lines[: len(lines) // 2])
    resumed(folder)
    assert outcomes(folder) == outcomes(whole)


def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(whole: Path, tmp_path: Path) -> None:
    def sabotage(searcher: Searcher) -> None:
        path = searcher.ledger.trial_folder(1) / FILE
        if 1 in searcher.running and not path.exists():
            path.mkdir()

    folder = searched(tiny.request(tmp_path, name="failing"), sabotage)
    found = read_run(folder).trials
    assert list(found["state"] == "failed") == [False, True, False, False]
    assert found.loc[1, "reason"].startswith("IsADirectoryError: ")
    assert "Traceback" in (folder / "trials" / "1" / "error.txt").read_text()
    assert [trial.id for trial in trials_of(folder)] == [trial.id for trial in trials_of(whole)]
    resumed(folder)
    assert trials_of(folder)[1].state == "failed"
    assert len(trials_of(folder)) == 4


def test_trials_that_diverge_are_recorded_with_their_epoch(tmp_path: Path) -> None:
    recipe = tiny.RECIPE.model_copy(update={"lr": 1e30})
    found = read_run(searched(tiny.request(tmp_path, name="wild", recipe=recipe, trials=2))).trials
    assert list(found["state"]) == ["failed", "failed"]
    assert found["reason"].str.fullmatch(r"diverged: the .* became (nan|inf) in epoch 1").all()
    assert found["error"].isna().all()


def test_a_finished_run_can_be_extended(whole: Path, tmp_path: Path) -> None:
    folder = searched(tiny.request(tmp_path, name="more", trials=2))
    before = footprints(folder)
    resumed(folder)
    assert footprints(folder) == before
    resumed(folder, more_trials=1)
    resumed(folder, more_trials=1)
    assert outcomes(folder) == outcomes(whole)
    assert {number: footprints(folder)[number] for number in before} == before


def test_time_that_is_up_leaves_a_trial_for_a_resume(whole: Path, tmp_path: Path) -> None:
    def hurry(searcher: Searcher) -> None:
        if searcher.curves[1]:
            searcher.deadline = 0.0

    ended = start(tiny.request(tmp_path, name="late"), hurry, executor="in-process")
    assert not ended.interrupted
    assert len(trials_of(ended.folder)) == 2
    resumed(ended.folder)
    assert outcomes(ended.folder) == outcomes(whole)


def test_a_space_that_is_used_up_ends_the_search(tmp_path: Path) -> None:
    least = min(cost_of(genome, (1, 32, 32), 10).flops for genome in tiny.genomes(40))
    budget = parse_budget([f"{least * 1.02:.0f}flops"])
    request = dataclasses.replace(tiny.request(tmp_path, name="small", trials=40), budget=budget)
    found = trials_of(searched(request))
    assert 0 < len(found) < 40
    assert len({trial.id for trial in found}) == len(found)


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "-x", "", "x" * 101, "a b", "x\n"])
def test_a_name_that_would_leave_the_runs_folder_is_refused(tmp_path: Path, name: str) -> None:
    if name:
        with pytest.raises(UserError, match=r"run name .*: letters, digits, "):
            searched(tiny.request(tmp_path / "runs", name=name))
        assert not (tmp_path / "runs").exists()


def test_a_name_that_is_taken_is_refused(whole: Path) -> None:
    with pytest.raises(UserError, match=r"run 'whole' exists in .*`archspace resume whole` goes on with it"):
        searched(tiny.request(whole.parent, name="whole"))


def test_runs_are_named_after_space_and_budget(tmp_path: Path) -> None:
    space = dataclasses.replace(tiny.SPACE, name="My space/2")
    request = dataclasses.replace(tiny.request(tmp_path, trials=1), space=space, budget=parse_budget(["150kFLOPs±90%"]))
    assert searched(request).name == "my-space-2-150kflops-90-1"
    assert searched(request).name == "my-space-2-150kflops-90-2"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": parse_budget(["9params"])}, "no genome of space tiny was found within it"),
        ({"trials": 0}, "trials must be at least 1, not 0"),
        ({"seconds": 0.0}, "time must be above zero"),
        ({"seconds": float("inf")}, "time must be above zero"),
        ({"task": "digit"}, "unknown task 'digit'"),
        ({"concurrency": 0}, "at least one trial must run"),
        ({"gpus_per_trial": 99.0}, "--gpus-per-trial 99: this machine has"),
        ({"gpus_per_trial": -1.0}, "--gpus-per-trial -1: must be at least 0"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        searched(dataclasses.replace(tiny.request(tmp_path / "runs", name="t"), **changes))
    assert message in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_known_genome_over_the_budget_is_refused(tmp_path: Path) -> None:
    dear = next(draws(tiny.SPACE, parse_budget(["300kFLOPs±40%"]), random.Random(0))).genome
    with pytest.raises(BudgetError, match=r"--enqueue dear: .*FLOPs at 1x32x32 is outside the budget 150kFLOPs"):
        searched(tiny.request(tmp_path / "runs", name="t", enqueue=(("dear", dear),)))
    assert not (tmp_path / "runs").exists()


def test_a_genome_over_the_budget_never_becomes_a_trial(tmp_path: Path) -> None:
    dear = next(draws(tiny.SPACE, parse_budget(["300kFLOPs±40%"]), random.Random(0))).genome
    ledger = Ledger.create(tmp_path / "t", tiny.config(enqueue=(("dear", genome_data(dear)),)))
    with pytest.raises(AssertionError, match="is outside the budget"):
        Searcher(ledger, tiny.SPACE, 4, 60, quiet).ask()
    assert ledger.trials() == []


def test_a_run_has_one_writer(whole: Path) -> None:
    goal = Ledger.open(whole).goal
    with FileLock(whole / ".lock"), pytest.raises(UserError, match="another process is working on this run"):
        resume(whole, quiet, more_trials=3, executor="in-process")
    assert Ledger.open(whole).goal == goal


def test_a_resume_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such run"):
        resume(tmp_path / "none", quiet, executor="in-process")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"not a run: it has no run\.yaml"):
        resume(tmp_path / "empty", quiet, executor="in-process")


def test_a_run_may_be_moved(whole: Path, tmp_path: Path) -> None:
    folder = start(tiny.request(tmp_path / "a", name="t"), Interrupt(4), executor="in-process").folder
    moved = tmp_path / "b"
    folder.parent.rename(moved)
    resumed(moved / "t")
    assert outcomes(moved / "t") == outcomes(whole)


def test_the_estimator_proposes_within_budget_and_by_seed() -> None:
    candidates = [(genome, values_of(tiny.SPACE, genome)) for genome in tiny.genomes(12)]
    results = [
        Result(values, 0.1 + 0.05 * number, cost_of(genome, (1, 32, 32), 10).flops)
        for number, (genome, values) in enumerate(candidates)
        if values is not None
    ]
    tried = {genome.id for genome, _ in candidates}
    learned: list[Genome] = []
    blind: list[Genome] = []
    for number in range(STARTUP, STARTUP + 12):
        for known, genomes in ((results, learned), ([], blind)):
            found = propose(tiny.SPACE, tiny.BUDGET, known, tried, number, seed=3)
            assert found is not None
            assert found.genome.id not in tried
            assert tiny.BUDGET.allows(found.cost)
            assert found == propose(tiny.SPACE, tiny.BUDGET, known, tried, number, seed=3)
            genomes.append(found.genome)
    assert len(set(learned)) > 1
    assert learned != blind


def test_the_estimator_sees_genes_as_they_are() -> None:
    genes = {gene.name: gene for gene in tiny.SPACE.genes}
    assert repr(distribution(genes["width"])) == "IntDistribution(high=24, log=False, low=4, step=4)"
    for gene in genes.values():
        assert all(distribution(gene)._contains(distribution(gene).to_internal_repr(value)) for value in gene.values)
        assert [snap(gene, value) for value in gene.values] == list(gene.values)
    assert snap(genes["group_width"], 2.7) == 2
    assert snap(genes["group_width"], 2.9) == 4


def test_a_trial_that_was_finished_behind_the_drivers_back_is_told_again(tmp_path: Path) -> None:
    task = load_task("digits")
    folder = start(tiny.request(tmp_path, name="orphan", trials=1), Interrupt(1), executor="in-process").folder
    ledger = Ledger.open(folder)
    early = Searcher(ledger, tiny.SPACE, ledger.goal, 60, quiet)  # reads the ledger before the worker finishes
    spec = early.ask()
    assert spec is not None
    trained = list(epochs_of(spec, task))
    again = list(epochs_of(spec, task))
    assert [line["epoch"] for line in trained] == [1, 2]
    assert again == trained[-1:]
    assert not early.tell(spec.number, again[0])
    assert trials_of(folder)[0].state == "complete"


def test_genomes_that_the_tasks_images_are_too_small_for_are_not_proposed(tmp_path: Path) -> None:
    # Behind four poolings of 3x3 without padding nothing is left of 32 px; with strided convolutions one pixel is.
    text = """\
target: {input: [1, 64, 64], classes: 10}
stem: {kind: imagenet, width: 4}
stages:
  {number: 5, block: plain, depth: 1, width: {choices: [4, 6, 8]}, stride: [1, 2, 2, 2, 2], downsample: DOWN}
"""
    mixed = read_space(read_text(text.replace("DOWN", "{choices: [conv, pool3]}"), "mixed.yaml"))
    request = dataclasses.replace(
        tiny.request(tmp_path, name="mixed", trials=6), space=mixed, budget=parse_budget(["1GFLOPs"])
    )
    ended = start(request, lambda _: None, "in-process")
    trials = Ledger.open(ended.folder).trials()
    assert len(trials) == 3  # every width, with strided convolutions
    assert not any("pool3" in trial.genome or trial.state == "failed" for trial in trials)

    never = read_space(read_text(text.replace("DOWN", "pool3"), "never.yaml"))
    with pytest.raises(UserError, match="space never: all of 3 genomes drawn cannot be trained on digits at 1x32x32"):
        start(dataclasses.replace(request, space=never, name="never"), lambda _: None, "in-process")
    assert not (tmp_path / "never").exists()
    alexnet = ("alexnet", zoo.entry("alexnet").genome)
    with pytest.raises(UserError, match="--enqueue alexnet: cannot be trained on digits at 1x32x32: head"):
        start(dataclasses.replace(request, name="third", enqueue=(alexnet,)), lambda _: None, "in-process")


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_trial_is_complete_with_the_weights_of_its_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int
) -> None:
    """Stopped between an epoch's record and its checkpoint."""
    save = trial_module.save_checkpoint

    def stopped(state: Checkpoint, folder: Path) -> None:
        if state.epoch == epochs:
            raise KeyboardInterrupt
        save(state, folder)

    recipe = tiny.RECIPE.model_copy(update={"epochs": epochs, "rungs": (epochs,)})
    with monkeypatch.context() as patched:
        patched.setattr(trial_module, "save_checkpoint", stopped)
        request = tiny.request(tmp_path, name="stopped", trials=1, recipe=recipe)
        assert start(request, quiet, executor="in-process").interrupted
    folder = tmp_path / "stopped"
    assert len(read_metrics(folder / "trials" / "0")) == epochs
    resumed(folder)
    assert trials_of(folder)[0].state == "complete"
    found = load_checkpoint(folder / "trials" / "0")
    assert found is not None
    assert found.epoch == epochs
    assert [line["epoch"] for line in read_metrics(folder / "trials" / "0")] == list(range(1, epochs + 1))


def test_an_epoch_that_a_dying_worker_could_not_tell_is_made_good(tmp_path: Path) -> None:
    folder = start(tiny.request(tmp_path, name="gap", trials=1), Interrupt(1), executor="in-process").folder
    ledger = Ledger.open(folder)
    searcher = Searcher(ledger, tiny.SPACE, ledger.goal, 60, quiet)
    spec = searcher.ask()
    assert spec is not None
    *_, last = epochs_of(spec, load_task("digits"))
    assert not searcher.tell(spec.number, last)
    assert (trials_of(folder)[0].state, trials_of(folder)[0].result["epochs"]) == ("complete", 2)
    assert set(searcher.rungs) == {1, 2}


def test_trials_refuse_data_of_another_run(tmp_path: Path) -> None:
    folder = start(tiny.request(tmp_path, name="data", trials=1), Interrupt(1), executor="in-process").folder
    ledger = Ledger.open(folder)
    spec = Searcher(ledger, tiny.SPACE, ledger.goal, 60, quiet).ask()
    assert spec is not None
    other = dataclasses.replace(load_task("digits"), fingerprint="other")
    (told,) = epochs_of(spec, other)
    assert told["failed"].startswith("DataChanged: task digits: its data are no longer those that the run began with")


def test_a_run_of_a_gpu_does_not_go_on_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    folder = start(tiny.request(tmp_path, name="gpu", trials=2), Interrupt(1), executor="in-process").folder
    config = (folder / "run.yaml").read_text()
    (folder / "run.yaml").write_text(config.replace("device: cpu", "device: cuda", 1))
    with pytest.raises(UserError, match="began on a GPU, and torch finds none here"):
        resume(folder, quiet, executor="in-process")
    assert not [trial for trial in trials_of(folder) if trial.state == "failed"]


def test_epochs_without_weights_count_for_nothing(whole: Path, tmp_path: Path) -> None:
    folder = start(tiny.request(tmp_path, name="bare"), Interrupt(2), executor="in-process").folder
    (unfinished,) = [trial for trial in trials_of(folder) if trial.state == "unfinished"]
    place = folder / "trials" / str(unfinished.number)
    assert read_metrics(place)
    for weights in place.glob("*.safetensors"):
        weights.unlink()
    ledger = Ledger.open(folder)
    searcher = Searcher(ledger, tiny.SPACE, ledger.goal, 60, quiet)
    spec = searcher.ask()
    assert spec is not None
    assert spec.number == unfinished.number
    assert not searcher.curves[spec.number]
    assert not any(spec.number in standings for standings in searcher.rungs.values())
    resumed(folder)
    assert outcomes(folder) == outcomes(whole)
