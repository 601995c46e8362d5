"""The life of a run: start and resume."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from archspace.closed_form import cost_of, unfit
from archspace.data.tasks import Task, load_task
from archspace.document import Document
from archspace.errors import BudgetError, UserError
from archspace.genome import Genome, genome_data
from archspace.records.config import RunConfig, TaskConfig
from archspace.records.ledger import Ledger
from archspace.records.lock import only_writer
from archspace.searching.machine import describe, plan_share, refuse_without_gpu, versions
from archspace.searching.searcher import Listener, Searcher
from archspace.seeds import derive
from archspace.space.budget import Budget
from archspace.space.file import read_space
from archspace.space.sampler import sample
from archspace.space.space import Space
from archspace.training.augment import check_augmentation
from archspace.training.fastest import fastest_of_each
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe
from archspace.training.threads import computing
from archspace.units import UNITS, si

TRIALS_PER_WORKER = 8
SECONDS = 360.0
LOOKED_AT = 8
"""Genomes drawn to see whether a space can be trained on a task at all."""
Executor = Literal["ray", "in-process"]


@dataclass(frozen=True)
class Request:
    """What a new search shall do; None stands for what fits the machine. `seconds` is wall time."""

    space: Space
    budget: Budget
    task: str = "digits"
    recipe: Recipe = field(default_factory=Recipe)
    trials: int | None = None
    seconds: float | None = None
    name: str | None = None
    runs: Path = Path("runs")
    seed: int = 0
    enqueue: tuple[tuple[str, Genome], ...] = ()
    concurrency: int | None = None
    gpus_per_trial: float | None = None


@dataclass(frozen=True)
class Ended:
    """The folder of a run after a start or a resume, and whether it was interrupted from outside."""

    folder: Path
    interrupted: bool


def start(
    request: Request,
    listener: Listener,
    executor: Executor = "ray",
    address: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Ended:
    """Begin a run and carry it on until it has its trials, its time is up, or it is interrupted.

    Raises UserError before anything is written.
    """
    check_request(request)
    folder = new_folder(request)
    share = plan_share(request.concurrency, request.gpus_per_trial)
    task = load_task(request.task)
    trainable = check_trainable(request, task)
    modes = modes_of(trainable, task, request.recipe, share.device, tell)
    limit = request.budget.limits[0]
    config = RunConfig(
        name=folder.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        space_name=request.space.name,
        space=dict(request.space.source),
        budget=request.budget.text,
        measure=limit.measure,
        cap=limit.high,
        target_input=request.space.input,
        target_classes=request.space.classes,
        task=TaskConfig.of(task),
        recipe=request.recipe,
        trials=request.trials or TRIALS_PER_WORKER * share.concurrency,
        seconds=request.seconds or SECONDS,
        seed=request.seed,
        concurrency=share.concurrency,
        gpus_per_trial=share.gpus_per_trial,
        device=share.device,
        enqueue=tuple((name, genome_data(genome)) for name, genome in request.enqueue),
        versions=versions(),
        machine=describe(),
        latency=next((limit.predicted for limit in request.budget.limits if limit.predicted), None),
        modes=modes,
    )
    ledger = Ledger.create(folder, config)
    with only_writer(folder, "run"):
        return _carry_on(ledger, request.space, config.seconds, listener, executor, address)


def resume(
    folder: Path,
    listener: Listener,
    more_trials: int = 0,
    seconds: float | None = None,
    executor: Executor = "ray",
    address: str | None = None,
) -> Ended:
    """Go on with a run after a stop or a crash, or extend it by `more_trials`; raises UserError."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such run; `archspace runs` lists what there is")
    ledger = Ledger.open(folder)
    check_data(ledger.config.task)
    space = read_space(Document(str(folder / "run.yaml"), ledger.config.space, {}))
    space = dataclasses.replace(space, name=ledger.config.space_name)
    with only_writer(folder, "run"):
        if more_trials:
            ledger.extend(max(ledger.goal, len(ledger.trials())) + more_trials)
        return _carry_on(ledger, space, seconds or ledger.config.seconds, listener, executor, address)


def _carry_on(
    ledger: Ledger, space: Space, seconds: float, listener: Listener, executor: Executor, address: str | None
) -> Ended:
    searcher = Searcher(ledger, space, ledger.goal, seconds, listener)
    try:
        _execute(searcher, executor, address)
    except KeyboardInterrupt:
        return Ended(ledger.folder, interrupted=True)
    # Ray takes Ctrl-C for itself and just returns: then trials are left running though there was time.
    return Ended(ledger.folder, interrupted=bool(searcher.running) and not searcher.out_of_time)


def _execute(searcher: Searcher, executor: Executor, address: str | None) -> None:
    config = searcher.ledger.config
    if not searcher.unfinished and len(searcher.ledger.trials()) >= searcher.trials:
        return
    refuse_without_gpu(config.device, address)
    if executor == "in-process":
        from archspace.searching.inprocess import run_in_process

        run_in_process(searcher, load_task(config.task.name))
    else:
        from archspace.searching.runner import run_on_ray

        run_on_ray(searcher, config.device, config.concurrency, config.gpus_per_trial, address)


def check_request(request: Request) -> None:
    if not request.budget.limits:
        raise BudgetError("a search needs a budget, such as 4GFLOPs")
    if request.trials is not None and request.trials < 1:
        raise UserError(f"trials must be at least 1, not {request.trials}")
    if request.seconds is not None and not 0 < request.seconds < math.inf:
        raise UserError(f"time must be above zero, not {request.seconds}")
    sample(request.space, request.budget, 1, derive(request.seed, "check"))
    for name, genome in request.enqueue:
        cost = cost_of(genome, request.space.input, request.space.classes)
        if not request.budget.allows(cost):
            figures = ", ".join(si(limit.of(cost), UNITS[limit.measure]) for limit in request.budget.limits)
            size = "x".join(str(side) for side in request.space.input)
            raise BudgetError(
                f"--enqueue {name}: {figures} at {size} is outside the budget {request.budget}; "
                "raise the budget or leave it out"
            )


def check_trainable(request: Request, task: Task) -> list[Genome]:
    """Genomes handed in, and some drawn, that the task's images are large enough for.

    Raises UserError where there is none, or where one handed in is not among them, or where the recipe does not fit.
    """
    check_augmentation(request.recipe, task.input)
    where = f"cannot be trained on {task.name} at {'x'.join(str(side) for side in task.input)}"
    drawn = sample(request.space, request.budget, LOOKED_AT, derive(request.seed, "trainable"))
    reasons = [unfit(found.genome, task.input, task.classes) for found in drawn]
    if all(reasons):
        raise UserError(f"space {request.space.name}: all of {len(drawn)} genomes drawn {where}: {reasons[0]}")
    for name, genome in request.enqueue:
        if reason := unfit(genome, task.input, task.classes):
            raise UserError(f"--enqueue {name}: {where}: {reason}")
    fitting = [found.genome for found, reason in zip(drawn, reasons, strict=True) if not reason]
    return [*(genome for _, genome in request.enqueue), *fitting]


def modes_of(
    genomes: Iterable[Genome], task: Task, recipe: Recipe, device: str, tell: Callable[[str], None]
) -> dict[str, Mode]:
    """How each kind of network is trained, measured as in a worker, where one thread computes."""
    with computing(1):
        return fastest_of_each(genomes, task, recipe, device, tell)


def check_data(task: TaskConfig) -> None:
    """Raise UserError where the task's data are no longer those that the run began with."""
    found = load_task(task.name).fingerprint
    if task.fingerprint and found != task.fingerprint:
        raise UserError(
            f"task {task.name}: its data have changed since this run began, so its trials could not be compared; put "
            "the old files back, or start a new run"
        )


def new_folder(request: Request) -> Path:
    name = request.name or _free_name(request)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise UserError(f"run name {name!r}: letters, digits, '.', '_' and '-' only, starting with a letter or digit")
    folder = request.runs / name
    if folder.exists():
        raise UserError(
            f"run {name!r} exists in {request.runs}; `archspace resume {name}` goes on with it, or take another --name"
        )
    return folder


def _free_name(request: Request) -> str:
    words = "-".join((request.space.name, *request.budget.text))
    base = re.sub(r"[^A-Za-z0-9.]+", "-", words)[:80].strip("-.").lower()
    taken = {path.name for path in request.runs.glob("*")} if request.runs.is_dir() else set()
    return next(name for name in (f"{base}-{number}" for number in range(1, 10**6)) if name not in taken)
