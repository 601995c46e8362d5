"""What a search will take, before it starts."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from end_to_end import QUICK, SPACE, Caller

import archspace
from archspace.cli.plan import lines
from archspace.closed_form import cost_of
from archspace.data.tasks import load_task
from archspace.errors import RunFailed, UserError
from archspace.memory import training_memory
from archspace.searching.forecast import Length, Range, expected_epochs, forecast, timetable
from archspace.searching.machine import (
    GpuFit,
    Share,
    fit_on_gpu,
    gpu_memory,
    plan_share,
    trials_on_gpu,
)
from archspace.searching.needs import Disk, Free, disk_of, needs_of, shortages
from archspace.searching.pace import Measured, Network, error_of, pace_of, spread, stopwatches
from archspace.searching.plan import SearchPlan
from archspace.searching.prospects import Prospects, look_ahead
from archspace.searching.stopwatch import Timing, steps_of, time_training
from archspace.training.device import choose_mode
from archspace.training.loop import train
from archspace.training.recipe import Recipe
from archspace.training.room import free_memory

GIB = 2**30
TASK = ((1, 32, 32), 10)
NO_LIMIT = Disk(0, None)
CPU = Share("cpu", 2, 0.0)
SLOW = replace(tiny.request(Path("runs")), seconds=1e-3)


def networks(count: int = 8) -> list[Network]:
    return [Network(genome, cost_of(genome, *TASK)) for genome in tiny.genomes(count)]


def measured(law: Callable[[Network], float]) -> list[Measured]:
    return [Measured(network, Timing(0.5, law(network), 0.25, 1.0)) for network in networks()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SearchPlan:
    """The plan of a search of nine tiny trials, two side by side."""
    return archspace.plan_search(
        tiny.SPACE, tiny.BUDGET, trials=9, concurrency=2, recipe=tiny.RECIPE, runs=tmp_path_factory.mktemp("runs")
    )


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Caller:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARCHSPACE_RUNS", raising=False)
    (tmp_path / "tiny.yaml").write_text(SPACE)
    return Caller(capsys, monkeypatch)


@pytest.mark.parametrize(
    ("free", "need", "trials"),
    [(78 * GIB, GIB, 39), (10 * GIB, 9 * GIB, 1), (10 * GIB - 1, 9 * GIB, 0), (0, GIB, 0), (500 * GIB, 0, 99)],
)
def test_trials_that_fit_a_gpu_by_memory_with_a_reserve_for_each(free: int, need: int, trials: int) -> None:
    assert fit_on_gpu(free, need).trials == trials


@pytest.mark.parametrize("trials", range(1, 100))
def test_the_share_told_lets_exactly_so_many_run(trials: int) -> None:
    fit = fit_on_gpu(trials * 3 * GIB, 2 * GIB)
    assert fit.trials == trials
    assert trials_on_gpu(fit.share) == trials
    assert float(f"{fit.share:g}") == fit.share  # as it is printed, so it can be typed


def test_a_gpu_on_which_nothing_fits_is_no_share() -> None:
    assert fit_on_gpu(GIB, GIB) == GpuFit(0, 1.0)
    assert trials_on_gpu(2.0) == 1


def test_free_memory_is_the_machines_or_less_in_a_container(tmp_path: Path) -> None:
    assert free_memory(tmp_path, tmp_path) is None
    (tmp_path / "meminfo").write_text("MemTotal:       4096 kB\nMemAvailable:   2048 kB\nHugePages_Total:    0\n")
    assert free_memory(tmp_path, tmp_path) == 2048 * 1024
    (tmp_path / "memory.current").write_text("5000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(tmp_path, tmp_path) == 2048 * 1024
    (tmp_path / "memory.max").write_text("9000\n")
    assert free_memory(tmp_path, tmp_path) == 4000
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 3000\n")
    assert free_memory(tmp_path, tmp_path) == 7000


def test_epochs_of_a_trial_in_the_mean_where_half_are_stopped_at_each_rung() -> None:
    assert expected_epochs((3,)) == 3
    assert expected_epochs((1, 3)) == 1 + 2 / 2
    assert expected_epochs((1, 3, 10)) == 1 + 2 / 2 + 7 / 4
    assert expected_epochs((1, 3), reduction=1) == 3


def test_trials_go_to_the_first_worker_that_is_free() -> None:
    trials = [Length(1, 2), Length(0, 1), Length(0, 1), Length(0, 10)]
    # the first worker is busy until 5, the second until 2 and 4, then with the last trial
    assert timetable(trials, 2, workers=2) == (timetable(trials, 2, 2, math.inf))
    assert timetable(trials, 2, workers=2).seconds == 24
    assert timetable(trials, 2, workers=2).finished == 4
    assert timetable(trials, 2, workers=1).seconds == 1 + 4 + 2 + 2 + 20


def test_no_epoch_begins_after_the_time_limit_and_one_that_has_begun_is_finished() -> None:
    trials = [Length(1, 4)] * 5
    assert timetable(trials, 3, workers=1, limit=13).seconds == 13
    assert timetable(trials, 3, workers=1, limit=13).finished == 1
    table = timetable(trials, 3, workers=1, limit=15)
    assert (table.seconds, table.finished) == (18, 1)  # the second trial's first epoch, from 14 on
    assert timetable(trials, 3, workers=1, limit=0).finished == 0


@pytest.mark.parametrize(("limit", "ending"), [(100.0, "trials"), (28.0, "either"), (10.0, "time")])
def test_what_ends_a_search_first(limit: float, ending: str) -> None:
    told = forecast([Length(0, 2)] * 4, (1, 3), workers=1, start=10, limit=limit)
    assert told.all_trials == Range(10 + 4 * 4, 10 + 4 * 6)
    assert told.ends_by == ending
    assert told.finished == {"trials": Range(4, 4), "either": Range(4, 3), "time": Range(0, 0)}[ending]


def test_a_pace_is_found_again_from_what_it_gives() -> None:
    timed = measured(lambda network: 1e-3 * network.cost.layers + 1e-6 * network.cost.training_flops)
    pace = pace_of(timed)
    assert (pace.layer, pace.flop) == pytest.approx((1e-3, 1e-6))
    params = sum(network.cost.params for network in networks())
    assert (pace.build, pace.save) == pytest.approx((8 * 0.5 / params, 8 * 0.25 / params))


def test_the_error_is_none_of_a_law_that_holds_and_grows_with_what_is_beside_it() -> None:
    law = [replace(item, timing=replace(item.timing, save=0.0)) for item in measured(lambda one: one.cost.layers)]
    assert error_of(law) == pytest.approx(0, abs=1e-9)
    off = [
        replace(item, timing=replace(item.timing, epoch=item.timing.epoch * (1 + i % 2))) for i, item in enumerate(law)
    ]
    assert (error_of(off) or 0) > 0.2
    assert error_of(law[:2]) is None


def test_what_is_measured_is_the_middle_of_each_part_of_the_costs_the_outer_ones_first() -> None:
    some = networks(18)
    ordered = sorted(some, key=lambda network: -network.cost.training_flops)
    assert [ordered.index(network) for network in spread(some, 6)] == [1, 16, 4, 7, 10, 13]
    assert sorted(ordered.index(network) for network in spread(some, 20)) == list(range(18))
    assert spread(some[:1]) == some[:1]
    assert spread([]) == []


def test_an_epoch_is_scaled_up_from_a_few_steps() -> None:
    """In a ratio wide enough for a busy machine: an epoch that was not scaled up would be at a seventeenth."""
    task, recipe = load_task("digits"), Recipe()
    mode, genome = choose_mode(recipe, "cpu"), tiny.genomes(1)[0]
    assert steps_of(task, recipe) == 34
    timing = time_training(genome, task, recipe, mode)
    epoch, _ = next(train(archspace.build(genome, *TASK), task, recipe, mode, 0))
    assert 1 / 5 < timing.epoch / epoch.seconds < 5
    assert timing.build > 0
    assert timing.save > 0
    assert 0 < timing.core < 1.1  # of a single thread


def test_a_search_begins_with_the_networks_that_were_looked_at(tmp_path: Path) -> None:
    handed_in = tiny.genomes(3)[1]
    request = replace(tiny.request(tmp_path), enqueue=(("mine", handed_in),))
    first = look_ahead(request, load_task("digits"), 4).first
    outcome = archspace.search(
        tiny.SPACE,
        tiny.BUDGET,
        trials=4,
        seed=request.seed,
        enqueue=[handed_in],
        runs=tmp_path,
        recipe=tiny.RECIPE,
        concurrency=1,
        executor="in-process",
    )
    assert [network.genome.id for network in first] == list(outcome.record.trials["id"])


def test_networks_drawn_stand_for_later_trials_unless_there_are_no_others() -> None:
    some = networks(5)
    prospects = Prospects(tuple(some[:2]), tuple(some[1:]), whole=False)
    assert list(prospects.trials(8)) == [*some[:2], *some[1:], *some[1:3]]
    assert list(prospects.trials(1)) == some[:1]
    assert list(replace(prospects, whole=True).trials(8)) == some


def test_memory_is_that_of_the_largest_trials_side_by_side() -> None:
    needs = needs_of(CPU, [100, 300, 200], 50, Free(1000, ()), NO_LIMIT)
    assert (needs.memory.median, needs.memory.largest, needs.memory.together) == (200, 300, 700)
    assert needs.gpus is None
    assert shortages(needs, 2) == []
    unknown = needs_of(CPU, [100], None, Free(None, ()), NO_LIMIT)
    assert unknown.memory.together == 200
    assert shortages(unknown, 2) == []


def test_what_does_not_fit_is_told_with_what_does() -> None:
    def told(share: Share, tensors: int, free: Free, disk: Disk = NO_LIMIT) -> str:
        return " ".join(shortages(needs_of(share, [tensors], 0, free, disk), share.concurrency))

    assert told(Share("cpu", 4, 0.0), 3 * GIB, Free(10 * GIB, ())).endswith("take --concurrency 3")
    assert "training memory" in told(CPU, 3 * GIB, Free(2 * GIB, ()))
    assert "put --runs elsewhere" in told(CPU, 1, Free(None, ()), Disk(3 * GIB, GIB))
    quarter = Share("cuda", 8, 0.25)
    assert told(quarter, 3 * GIB, Free(None, (80 * GIB, 16 * GIB))) == ""
    assert told(quarter, 4 * GIB, Free(None, (80 * GIB, 16 * GIB))).endswith("take --gpus-per-trial 0.3333")
    assert "training memory" in told(quarter, 20 * GIB, Free(None, (16 * GIB,)))


def test_gpus_are_told_with_trials_at_the_share_asked_for_and_by_memory() -> None:
    gpus = needs_of(Share("cuda", 8, 0.25), [3 * GIB], 0, Free(None, (80 * GIB, 40 * GIB)), NO_LIMIT).gpus
    assert gpus is not None
    assert (gpus.number, gpus.per_trial, gpus.trials, gpus.by_memory) == (2, 0.25, 4, GpuFit(10, 0.1))


def test_room_is_that_of_the_folder_that_will_hold_the_runs(tmp_path: Path) -> None:
    costs = [network.cost for network in networks(3)]
    params, there = sum(cost.params for cost in costs), tmp_path / "not" / "there"
    disk = disk_of(costs, tiny.RECIPE, there)
    assert disk.checkpoints == 2 * 8 * params
    assert disk_of(costs, tiny.RECIPE.model_copy(update={"ema": 0.9}), there).checkpoints == 2 * 12 * params
    assert (disk.free or 0) > 0


def test_a_plan_says_what_the_search_will_do(made: SearchPlan) -> None:
    assert (made.trials, made.concurrency, made.steps) == (9, 2, math.ceil(1077 / 128))
    assert (made.device, made.gpus_per_trial) == (plan_share(2, None).device, plan_share(2, None).gpus_per_trial)
    assert made.recipe == tiny.RECIPE.model_dump()
    assert made.task == {"name": "digits", "input": (1, 32, 32), "classes": 10}
    assert made.times.limit == 360


def test_times_rest_on_networks_measured_side_by_side(made: SearchPlan) -> None:
    times = made.times
    assert times.measured.side_by_side == 2
    assert len({network.id for network in times.measured.networks}) >= 3
    for network in times.measured.networks:
        assert min(network.build, network.epoch, network.save) > 0
    for part in (times.epoch, times.trial):
        assert 0 < part.low <= part.median <= part.high
    assert times.trial.median > tiny.RECIPE.epochs * times.epoch.median * 0.99
    assert times.search.all_trials.none >= times.search.all_trials.half > times.measured.start > 0


def test_memory_is_counted_at_the_task_and_the_recipes_batch(made: SearchPlan) -> None:
    drawn = archspace.sample(tiny.SPACE, tiny.BUDGET, 500)
    every = [training_memory(cost_of(item.genome, *TASK), tiny.RECIPE.batch, made.device) for item in drawn]
    assert min(every) <= made.needs.memory.median <= made.needs.memory.largest <= max(every)
    assert made.needs.memory.largest == max(every)
    if made.device == "cpu":
        assert made.needs.gpus is None
        assert made.times.gpu_hours is None
        assert made.needs.memory.together == 2 * (made.needs.memory.largest + (made.needs.memory.beside or 0))
    else:
        assert made.needs.gpus is not None
        assert made.needs.gpus.number == len(gpu_memory())


def test_lines_fit_a_hundred_columns(made: SearchPlan) -> None:
    crowded = replace(made, budget=("600MFLOPs±2%", "25Mparams"), warnings=("a word and others " * 20,))
    text = lines(crowded)
    assert max(map(len, text)) <= 100
    assert sum(line.startswith("warning") for line in text) == 1


def test_a_search_that_its_time_limit_ends(made: SearchPlan) -> None:
    for ending, words in (("trials", "before the time limit"), ("time", "at the time limit"), ("either", "or at")):
        search = replace(made.times.search, ends_by=ending, finished=Range(7, 5))  # type: ignore[arg-type]
        text = "\n".join(lines(replace(made, times=replace(made.times, search=search))))
        assert words in text
        assert ("5 to 7 of 9 trials" in text) == (ending != "trials")


@pytest.mark.slow
def test_the_command_and_a_dry_run_say_the_same_and_leave_nothing(call: Caller, tmp_path: Path) -> None:
    options = ("--space", "tiny.yaml", "--budget", "1MFLOPs", "--trials", 3, "--concurrency", 1, *QUICK)
    said = [call("plan", *options, "--json"), call("search", *options, "--dry-run", "--json")]
    assert [one.code for one in said] == [0, 0], said[0].err + said[1].err
    plans = [json.loads(one.out) for one in said]
    assert _keys(plans[0]) == _keys(plans[1])
    assert set(plans[0]) == {
        *("space", "budget", "input", "classes", "task", "seed", "machine", "trials", "concurrency", "device"),
        *("gpus_per_trial", "mode", "recipe", "steps", "times", "needs", "warnings"),
    }
    for same in (*("space", "budget", "task", "trials", "mode", "recipe", "steps"),):
        assert plans[0][same] == plans[1][same]
    assert plans[0]["needs"]["memory"]["largest"] == plans[1]["needs"]["memory"]["largest"]
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]
    assert "measuring" in said[0].err


@pytest.mark.parametrize(
    "wrong",
    [
        ("--budget", "1MFLOPs", "--budget", "4GMACs±1%"),
        ("--budget", "1MFLOPs", "--task", "letters"),
        ("--budget", "1MFLOPs", "--gpus-per-trial", 99),
        ("--budget", "1MFLOPs", "--enqueue", "resnet50"),
        ("--budget", "1MFLOPs", "--set", "recipe.epoch=3"),
        ("--budget", "1MFLOPs", "--time", "soon"),
        ("--budget", "1MFLOPs", "--set", "recipe.crop=32"),
    ],
)
def test_mistakes_are_those_of_a_search(call: Caller, tmp_path: Path, wrong: tuple[object, ...]) -> None:
    planned, searched = call("plan", "--space", "tiny.yaml", *wrong), call("search", "--space", "tiny.yaml", *wrong)
    assert planned.code == searched.code == 2
    assert planned.err.splitlines()[-1] == searched.err.splitlines()[-1]
    assert planned.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_a_dry_run_refuses_a_name_that_is_taken(call: Caller, tmp_path: Path) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    said = call("search", "--space", "tiny.yaml", "--budget", "1MFLOPs", "--name", "mine", "--dry-run")
    assert said.code == 2
    assert "run 'mine' exists" in said.err


def test_a_process_that_dies_is_told() -> None:
    with stopwatches(Share("cpu", 1, 0.0), "digits", tiny.RECIPE) as watches:
        watches.processes[0].kill()
        with pytest.raises(RunFailed, match="exit code -9"):
            watches.calibrate(networks(1))
    assert watches.processes[0].returncode is not None


def test_a_network_that_cannot_be_trained_is_left_out() -> None:
    too_small = archspace.load_genome("alexnet")
    one = networks(1)[0]
    with stopwatches(Share("cpu", 1, 0.0), "digits", tiny.RECIPE) as watches:
        found = watches.calibrate([Network(too_small, one.cost), one])
        assert [item.network for item in found.measured] == [one]
        assert len(found.failed) == 1
        assert too_small.id in found.failed[0]
        assert (found.resident or 10**8) > 10**7


def test_networks_none_of_which_can_be_trained_are_told_with_a_reason() -> None:
    too_small = Network(archspace.load_genome("alexnet"), networks(1)[0].cost)
    with (
        stopwatches(Share("cpu", 1, 0.0), "digits", tiny.RECIPE) as watches,
        pytest.raises(RunFailed, match="none of 1 networks could be trained .* genome " + too_small.genome.id),
    ):
        watches.calibrate([too_small])


def test_a_space_with_fewer_networks_than_trials_says_so(tmp_path: Path) -> None:
    made = archspace.plan_search(
        tiny.SPACE, "100kFLOPs", trials=10**4, concurrency=1, recipe=tiny.RECIPE, runs=tmp_path, seconds=1e-3
    )
    assert made.trials == 48
    assert any("fewer than the 10000 trials" in warning for warning in made.warnings)
    assert any("no trial may finish" in warning for warning in made.warnings)


def test_a_plan_raises_what_a_search_would(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="trials must be at least 1"):
        archspace.plan_search(tiny.SPACE, tiny.BUDGET, trials=0, runs=tmp_path)


def _keys(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _keys(value) for key, value in data.items()}
    return None
