"""What a search will take before it starts: time, memory, share of a GPU."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from archspace.costs import cost_of
from archspace.data.tasks import Task, load_task
from archspace.errors import GenomeError, UserError
from archspace.genome import Genome, Shape
from archspace.memory import training_memory
from archspace.records.config import TaskConfig
from archspace.searching.forecast import Forecast, Length, Range, Spread, forecast, spread_of
from archspace.searching.machine import (
    RESERVE,
    GpuFit,
    Share,
    describe,
    fit_on_gpu,
    free_memory,
    gpu_memory,
    plan_share,
    trials_on_gpu,
)
from archspace.searching.pace import Calibration, Network, Pace, error_of, pace_of, spread, stopwatches
from archspace.searching.run import SECONDS, TRIALS_PER_WORKER, Request, _check, _check_trainable, _new_folder
from archspace.searching.sampler import STARTUP, propose
from archspace.searching.searcher import MISFITS
from archspace.searching.stopwatch import steps_of
from archspace.seeds import derive
from archspace.space.sampler import sampled
from archspace.training.device import choose_mode

SAMPLED = 200
"""Genomes whose trials are predicted."""
STATE = 8
"""Bytes of a checkpoint for each parameter: a weight and its momentum."""


@dataclass(frozen=True)
class Prospects:
    """The networks that a search may train, at the task's input.

    `first` are those it begins with: genomes handed in, and what its seed proposes before results say more. `sampled`
    are drawn within the budget; `whole` says that these are all there are.
    """

    first: tuple[Network, ...]
    sampled: tuple[Network, ...]
    whole: bool

    @property
    def networks(self) -> tuple[Network, ...]:
        """Each of them once, the first ones first."""
        return tuple({network.genome.id: network for network in (*self.first, *self.sampled)}.values())


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

    `error` is the median size of predicted / measured - 1, each network predicted from the others.
    """

    networks: tuple[Timed, ...]
    side_by_side: int
    seconds: float
    start: float
    error: float | None


@dataclass(frozen=True)
class Memory:
    """Bytes: tensors of a training step in the median and of the largest network; a process without them.

    `side_by_side` is what as many trials of the largest as run together take, on the machine or on a GPU; `free` what
    is there, None where that cannot be told.
    """

    median: int
    largest: int
    process: int | None
    side_by_side: int
    free: int | None


@dataclass(frozen=True)
class Gpus:
    """GPUs: how many, trials that share one as the search is asked for and by memory alone, GPU hours."""

    number: int
    per_trial: float
    trials: int
    by_memory: GpuFit
    reserve: int
    hours: Range


@dataclass(frozen=True)
class Disk:
    """Bytes of all trials' checkpoints, and those free where runs are kept."""

    checkpoints: int
    free: int


@dataclass(frozen=True)
class SearchPlan:
    """What a search will do and what it will take; seconds and bytes throughout.

    `epoch` and `trial` are of the `sampled` networks, a trial that runs through all epochs. `warnings` say what will
    not go well, and what to do.
    """

    space: str
    budget: tuple[str, ...]
    input: Shape
    classes: int
    task: TaskConfig
    seed: int
    machine: str
    trials: int
    concurrency: int
    device: str
    mode: str
    recipe: dict[str, Any]
    steps: int
    limit: float
    measured: Basis
    sampled: int
    epoch: Spread
    trial: Spread
    search: Forecast
    memory: Memory
    gpus: Gpus | None
    disk: Disk
    warnings: tuple[str, ...]


def plan(request: Request, tell: Callable[[str], None]) -> SearchPlan:
    """Plan a search, for which a few networks are trained for seconds; writes nothing that stays.

    Raises what the search itself would before it began, and RunFailed where no network could be trained.
    """
    _check(request)
    _new_folder(request)  # its name, that is; nothing is made
    share = plan_share(request.concurrency, request.gpus_per_trial)
    task = load_task(request.task)
    _check_trainable(request, task)
    trials = request.trials or TRIALS_PER_WORKER * share.concurrency
    free = gpu_memory() if share.device == "cuda" else ()
    memory = free_memory()
    with stopwatches(share, task.name, request.recipe) as watches:
        prospects = look_ahead(request, task, trials)
        picked = spread(prospects.networks)
        tell(f"measuring {len(picked)} networks for some seconds, {len(watches.processes)} side by side")
        calibration = watches.calibrate(picked)
