"""A batch: many networks trained by one call that the same call goes on from, in a folder of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from archspace.closed_form import unfit
from archspace.data.tasks import Task, load_task
from archspace.errors import UserError
from archspace.genome import Genome
from archspace.records.config import BatchConfig, TaskConfig
from archspace.records.ledger import BatchLedger
from archspace.records.lock import only_writer
from archspace.records.metrics import read_metrics
from archspace.searching.machine import Share, describe, plan_share, refuse_without_gpu, versions
from archspace.searching.queue import Listener, Queue, Training, has_ended, latest
from archspace.searching.run import check_data, modes_of
from archspace.training.augment import check_augmentation
from archspace.training.fastest import alike
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe
from archspace.units import shape_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BatchEnded", "BatchRequest", "Training", "batch_frame", "run_batch"]

Executor = Literal["ray", "in-process"]
COLUMNS = ["name", "id", "state", "reason", "epochs", "error", "cross_entropy", "test_error"]
COLUMNS += ["layers", "params", "macs", "flops", "acts", "seed", "seconds"]


@dataclass(frozen=True)
class BatchRequest:
    """Which trainings shall be in `folder`; None stands for what fits the machine. `seconds` is wall time.

    Costs in the ledger are counted at the task's input. `about` is kept beside them, and so are `files`, texts by
    their names, from before the first training on.
    """

    folder: Path
    task: str
    trainings: tuple[Training, ...]
    seed: int = 0
    concurrency: int | None = None
    gpus_per_trial: float | None = None
    seconds: float | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BatchEnded:
    """How a call ended: `unfinished` trainings were stopped by time or Ctrl-C, `failed` ones by what is no network's.

    `failed` gives each one's reason; both kinds are done by the same call made again.
    """

    folder: Path
    interrupted: bool
    unfinished: int
    failed: Mapping[str, str]


def run_batch(
    request: BatchRequest,
    listener: Listener = lambda _: None,
    executor: Executor = "ray",
    address: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> BatchEnded:
    """Train what is not trained yet, many side by side; raises UserError before anything is written.

    What the folder holds beside these trainings stays, so that a batch may grow.
    """
    task = load_task(request.task)
    _check(request, task)
    there = (request.folder / BatchConfig.file).exists()
    ledger = BatchLedger.open(request.folder) if there else _begin(request, task, tell)
    if there:
        check_data(ledger.config.task)
    with only_writer(request.folder, "batch"):
        queue = Queue(ledger, request.trainings, math.inf if request.seconds is None else request.seconds, listener)
        listener(queue)
        stopped = False
        try:
            if queue.waiting:
                _execute(queue, task, share_of(request, ledger.config), executor, address)
        except KeyboardInterrupt:
            stopped = True
        known = latest(ledger)
        asked = [known.get(one.name) for one in request.trainings]
        failed = {
            one.name: one.result["reason"] for one in asked if one and one.state == "failed" and not has_ended(one)
        }
        unfinished = sum(one is None or one.state == "unfinished" for one in asked)
        return BatchEnded(request.folder, stopped or (bool(unfinished) and not queue.out_of_time), unfinished, failed)


def shared_modes(
    genomes: Iterable[Genome], task: Task, recipe: Recipe, device: str, tell: Callable[[str], None]
) -> dict[str, Mode]:
    """How all networks of a batch are trained, by kind: alike, for they are compared."""
    return alike(modes_of(genomes, task, recipe, device, tell), recipe, device)


def share_of(request: BatchRequest, config: BatchConfig | None) -> Share:
    """What is asked for, else what the batch began with, if it did; raises UserError for another device."""
    if config is None:
        return plan_share(request.concurrency, request.gpus_per_trial)
    if request.concurrency is None and request.gpus_per_trial is None:
        return Share(config.device, config.concurrency, config.gpus_per_trial)
    each = config.gpus_per_trial if request.gpus_per_trial is None else request.gpus_per_trial
    asked = plan_share(request.concurrency or config.concurrency, each)
    if asked.device != config.device:
        raise UserError(f"{request.folder}: its trainings began on {config.device}, asked for is {asked.device}")
    return asked


def _execute(queue: Queue, task: Task, share: Share, executor: Executor, address: str | None) -> None:
    refuse_without_gpu(queue.ledger.config.device, address)
    if executor == "in-process":
        from archspace.searching.inprocess import run_in_process

        run_in_process(queue, task)
    else:
        from archspace.searching.runner import run_on_ray

        run_on_ray(queue, share.device, share.concurrency, share.gpus_per_trial, address)


def _check(request: BatchRequest, task: Task) -> None:
    names = [training.name for training in request.trainings]
    if len(names) != len(set(names)):
        raise AssertionError("trainings of a batch need names of their own")
    for training in request.trainings:
        check_augmentation(training.recipe, task.input)
        if reason := unfit(training.genome, task.input, task.classes):
            where = f"cannot be trained on {task.name} at {shape_text(task.input)}"
            raise UserError(f"{training.name} (genome {training.genome.id}) {where}: {reason}")


def _begin(request: BatchRequest, task: Task, tell: Callable[[str], None]) -> BatchLedger:
    share, first = share_of(request, None), request.trainings[0].recipe
    genomes = [training.genome for training in request.trainings]
    config = BatchConfig(
        name=request.folder.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        measure="flops",
        target_input=task.input,
        target_classes=task.classes,
        task=TaskConfig.of(task),
        seed=request.seed,
        concurrency=share.concurrency,
        gpus_per_trial=share.gpus_per_trial,
        device=share.device,
        versions=versions(),
        machine=describe(),
        modes=shared_modes(genomes, task, first, share.device, tell),
        about=dict(request.about),
    )
    return BatchLedger.create(request.folder, config, request.files)


def batch_frame(folder: Path) -> pd.DataFrame:
    """One row for the last try at each training; raises UserError where there is no batch.

    Columns: name, id, state, reason, epochs, error and cross_entropy (val, after the last epoch), test_error (a
    fraction; NaN where the test split was not looked at), layers, params, macs, flops, acts (at the task's input),
    seed, seconds, number, and one for each label.
    """
    import pandas as pd

    ledger = BatchLedger.open(folder)
    rows = []
    for trial in latest(ledger).values():
        epochs = read_metrics(ledger.trial_folder(trial.number))
        last = epochs[-1] if epochs else {}
        if trial.state == "complete" and last.get("epoch") != trial.result["epochs"]:  # lines were lost since
            last = {key: trial.result[key] for key in ("error", "cross_entropy")}
        known = {"name": trial.name, "id": trial.id, "state": trial.state, "reason": trial.result.get("reason", "")}
        measured = {name: last.get(name, math.nan) for name in ("error", "cross_entropy", "test_error")}
        spent = {"epochs": len(epochs), "seconds": sum(line["seconds"] for line in epochs), "seed": trial.seed}
        labels = (trial.values or {}).get("labels", {})
        rows.append(known | measured | dict(trial.cost) | spent | {"number": trial.number} | labels)
    return pd.DataFrame(rows, columns=None if rows else COLUMNS)
