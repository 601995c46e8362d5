"""What a search will take before it starts: time, memory, a share of a GPU."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from archspace.closed_form import Cost
from archspace.data.tasks import Task, load_task
from archspace.errors import UserError
from archspace.genome import Shape
from archspace.searching.forecast import Forecast, Length, Range, Spread, forecast, spread_of
from archspace.searching.machine import Share, cores, describe, gpu_memory, plan_share
from archspace.searching.needs import Free, Needs, disk_of, needs_of, shortages, tensors_of
from archspace.searching.pace import Calibration, error_of, pace_of, spread, stopwatches
from archspace.searching.prospects import look_ahead
from archspace.searching.run import (
    SECONDS,
    TRIALS_PER_WORKER,
    Request,
    check_request,
    check_trainable,
    modes_of,
    new_folder,
)
from archspace.searching.stopwatch import steps_of
from archspace.training.fastest import modes_text
from archspace.training.mode import Mode
from archspace.training.room import free_memory
from archspace.units import duration

BUSY = 0.8
"""Share of what a process can have of a core below which the machine is called busy."""


@dataclass(frozen=True)
class Timed:
    """A network that was measured: seconds to build it, of an epoch, to write a checkpoint."""

    id: str
    layers: int
    params: int
    training_flops: int
    build: float
    epoch: float
    save: float


@dataclass(frozen=True)
class Basis:
    """What the times rest on: networks measured `side_by_side`, seconds that took and a process needed to start.

    `error` is the median size of predicted / measured - 1 of their epochs, each predicted from the others. `core` is
    the share of a CPU core that each process had.
    """

    networks: tuple[Timed, ...]
    side_by_side: int
    seconds: float
    start: float
    error: float | None
    core: float


@dataclass(frozen=True)
class Times:
    """What a search takes in seconds: an epoch, a trial through all epochs with its checkpoints, all of it.

    The first two are those of `networks` that it may train. `limit` is its time limit, `gpu_hours` the time of the
    share of GPUs that its trials hold (None without GPUs).
    """

    measured: Basis
    networks: int
    epoch: Spread
    trial: Spread
    search: Forecast
    limit: float
    gpu_hours: Range | None


@dataclass(frozen=True)
class SearchPlan:
    """What a search will do and what it will take, in seconds and bytes; costs count at `input` and `classes`.

    `task` has name, input and classes. `steps` are those of an epoch. `warnings` say what will not go well.
    """

    space: str
    budget: tuple[str, ...]
    input: Shape
    classes: int
    task: dict[str, Any]
    seed: int
    machine: str
    trials: int
    concurrency: int
    device: str
    gpus_per_trial: float
    mode: str
    recipe: dict[str, Any]
    steps: int
    times: Times
    needs: Needs
    warnings: tuple[str, ...]


def plan(request: Request, tell: Callable[[str], None]) -> SearchPlan:
    """Plan a search, for which a few networks are trained for seconds; nothing that is written stays.

    Raises UserError as the search itself would, RunFailed where no network could be trained.
    """
    check_request(request)
    new_folder(request)  # looks at the name
    share = plan_share(request.concurrency, request.gpus_per_trial)
    task = load_task(request.task)
    modes = modes_of(check_trainable(request, task), task, request.recipe, share.device, tell)
    free = Free(free_memory(), gpu_memory() if share.device == "cuda" else ())
    with stopwatches(share, task.name, request.recipe, modes) as watches:
        asked = request.trials or TRIALS_PER_WORKER * share.concurrency
        prospects = look_ahead(request, task, asked)  # while the processes start
        networks = spread(prospects.networks)
        if not networks:
            raise UserError(f"space {request.space.name}: no genome drawn can be trained on {task.name}")
        tell(f"measuring up to {len(networks)} networks, {len(watches.processes)} side by side: some seconds")
        calibration = watches.calibrate(networks)
    trials = [network.cost for network in prospects.trials(asked)]
    costs = [network.cost for network in prospects.networks]
    times = _times(request, share, trials, costs, calibration)
    tensors = tensors_of(costs, request.recipe.batch, share.device)
    needs = needs_of(share, tensors, calibration.resident, free, disk_of(trials, request.recipe, request.runs))
    told = [*shortages(needs, share.concurrency), *_warnings(times, calibration.failed, share)]
    if len(trials) < asked:
        told.append(f"there are {len(trials)} networks within the budget, fewer than the {asked} trials asked for")
    return _plan(request, task, share, modes, len(trials), times, needs, told)


def _plan(
    request: Request,
    task: Task,
    share: Share,
    modes: Mapping[str, Mode],
    trials: int,
    times: Times,
    needs: Needs,
    told: list[str],
) -> SearchPlan:
    recipe = request.recipe
    return SearchPlan(
        space=request.space.name,
        budget=request.budget.text,
        input=request.space.input,
        classes=request.space.classes,
        task={"name": task.name, "input": task.input, "classes": task.classes},
        seed=request.seed,
        machine=describe(),
        trials=trials,
        **asdict(share),
        mode=modes_text(modes),
        recipe=recipe.model_dump(),
        steps=steps_of(task, recipe),
        times=times,
        needs=needs,
        warnings=tuple(told),
    )


def _times(request: Request, share: Share, trials: list[Cost], costs: list[Cost], calibration: Calibration) -> Times:
    pace, recipe, limit = pace_of(calibration.measured), request.recipe, request.seconds or SECONDS
    lengths = [Length(pace.building(cost), pace.epoch(cost)) for cost in trials]
    search = forecast(lengths, recipe.rungs, share.concurrency, calibration.start, limit)
    held = share.concurrency * share.gpus_per_trial / 3600
    return Times(
        measured=_basis(calibration),
        networks=len(costs),
        epoch=spread_of(pace.epoch(cost) for cost in costs),
        trial=spread_of(pace.building(cost) + recipe.epochs * pace.epoch(cost) for cost in costs),
        search=search,
        limit=limit,
        gpu_hours=Range(held * search.seconds.half, held * search.seconds.none) if held else None,
    )


def _basis(calibration: Calibration) -> Basis:
    timed = tuple(
        Timed(
            id=item.network.genome.id,
            layers=item.network.cost.layers,
            params=item.network.cost.params,
            training_flops=item.network.cost.training_flops,
            build=item.timing.build,
            epoch=item.timing.epoch,
            save=item.timing.save,
        )
        for item in calibration.measured
    )
    error, core = error_of(calibration.measured), statistics.fmean(item.timing.core for item in calibration.measured)
    return Basis(timed, calibration.side_by_side, calibration.seconds, calibration.start, error, core)


def _warnings(times: Times, failed: Sequence[str], share: Share) -> list[str]:
    """What does not go well, but for what does not fit."""
    measured = times.measured
    found = [f"{reason}: such trials will fail" for reason in failed]
    if not times.search.finished.none:
        limit = duration(times.limit)
        found.append(f"no trial may finish within {limit}: raise --time, or lower recipe.epochs or the budget")
    if measured.side_by_side < share.concurrency:
        told = f"times were measured with {measured.side_by_side} trials side by side"
        found.append(f"{told}: {share.concurrency} may slow each other down more")
    if share.device == "cpu" and measured.core < BUSY * min(1.0, cores() / measured.side_by_side):
        busy = f"other work left each process that measured {measured.core:.0%} of a core"
        found.append(f"{busy}: times hold for as long as it goes on")
    return found
