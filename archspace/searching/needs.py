"""What the trials of a search take beside time: memory, a share of a GPU, room on the disk."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archspace.closed_form import Cost
from archspace.memory import training_memory
from archspace.searching.machine import RESERVE, GpuFit, Share, fit_on_gpu, trials_on_gpu
from archspace.training.recipe import Recipe
from archspace.units import si

STATE = 8
"""Bytes of a checkpoint for each parameter: a weight and its momentum."""
AVERAGED = 4
"""Further ones where the network is an average of the weights that are trained."""
KEPT = 2
"""Checkpoints of a trial: the newest, and the one before."""


@dataclass(frozen=True)
class Free:
    """Bytes that were free before anything was measured, None where that cannot be told: memory, and of each GPU."""

    memory: int | None
    gpus: tuple[int, ...]


@dataclass(frozen=True)
class Memory:
    """Bytes: the tensors of a training step, of the median and of the largest network; all else of a trial.

    `together` is what as many trials of the largest take as run side by side, or share a GPU; `free` is there.
    """

    median: int
    largest: int
    beside: int | None
    together: int
    free: int | None


@dataclass(frozen=True)
class Gpus:
    """How many there are, and of how many a trial takes; trials on one GPU at that share, and by memory alone."""

    number: int
    per_trial: float
    trials: int
    by_memory: GpuFit


@dataclass(frozen=True)
class Disk:
    """Bytes of all trials' checkpoints, and those free where runs are kept."""

    checkpoints: int
    free: int | None


@dataclass(frozen=True)
class Needs:
    """All of it; `gpus` is None where trials train on the CPU."""

    memory: Memory
    gpus: Gpus | None
    disk: Disk


def needs_of(share: Share, tensors: Sequence[int], process: int | None, free: Free, disk: Disk) -> Needs:
    """The needs of trials with these bytes of tensors, each in a process that takes `process` bytes without them.

    On a GPU the memory is that of the GPU with the least free, and each trial has RESERVE beside its tensors there.
    """
    on_gpu = share.device == "cuda"
    largest, beside = max(tensors), RESERVE if on_gpu else process
    many = trials_on_gpu(share.gpus_per_trial) if on_gpu else share.concurrency
    there = min(free.gpus) if on_gpu else free.memory
    memory = Memory(round(statistics.median(tensors)), largest, beside, many * (largest + (beside or 0)), there)
    gpus = None
    if on_gpu:
        gpus = Gpus(len(free.gpus), share.gpus_per_trial, many, fit_on_gpu(min(free.gpus), largest))
    return Needs(memory, gpus, disk)


def tensors_of(costs: Sequence[Cost], batch: int, device: str) -> list[int]:
    """Bytes of tensors in a training step of `batch` images."""
    return [training_memory(cost, batch, device) for cost in costs]


def disk_of(trials: Sequence[Cost], recipe: Recipe, runs: Path) -> Disk:
    """The checkpoints of trials with these costs, kept in `runs` or where that will be made."""
    place = next((path for path in (runs.resolve(), *runs.resolve().parents) if path.is_dir()), None)
    free = shutil.disk_usage(place).free if place else None
    each = min(KEPT, recipe.epochs) * (STATE + AVERAGED * (recipe.ema > 0))
    return Disk(sum(each * cost.params for cost in trials), free)


def shortages(needs: Needs, concurrency: int) -> list[str]:
    """What does not fit, and what to do about it."""
    found, disk = [], needs.disk
    if needs.memory.free is not None and needs.memory.together > needs.memory.free:
        found.append(_too_much(needs.memory, needs.memory.free, needs.gpus, concurrency))
    if disk.free is not None and disk.checkpoints > disk.free:
        room = f"{si(disk.checkpoints, 'B')}, {si(disk.free, 'B')} are free"
        found.append(f"checkpoints of all trials take {room}: put --runs elsewhere")
    return found


def _too_much(memory: Memory, free: int, gpus: Gpus | None, concurrency: int) -> str:
    one = memory.largest + (memory.beside or 0)
    fit = gpus.by_memory.trials if gpus else free // one
    there = f"{'a GPU' if gpus else 'this machine'} has {si(free, 'B')} free"
    if not fit:
        smaller = "put a limit of training memory behind the budget, such as 2GiB, or make recipe.batch smaller"
        return f"a trial may take {si(one, 'B')}, {there}: {smaller}"
    many = gpus.trials if gpus else concurrency
    mend = f"--gpus-per-trial {gpus.by_memory.share:g}" if gpus else f"--concurrency {fit}"
    return f"{many} of the largest trials take {si(memory.together, 'B')} together, {there}: take {mend}"
