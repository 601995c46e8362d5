"""Running a study: rates are tuned, then every arm of every anchor is trained; the same call goes on from a stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archspace.data.tasks import Task, load_task
from archspace.errors import UserError
from archspace.searching.batch import BatchEnded, BatchRequest, Executor, batch_frame, run_batch
from archspace.searching.queue import Listener, Training
from archspace.seeds import derive
from archspace.study.design import Design, design_text, make_design, read_design
from archspace.study.file import Study
from archspace.study.rates import TUNING, Rate, chosen_rates, tuning_trainings
from archspace.study.results import DESIGN, FOLDER, keep_results, refuse_edited, registered_of

Tell = Callable[[str], None]
FINAL = "final"


@dataclass(frozen=True)
class Machine:
    """How a study is run, which is no part of it: see BatchRequest."""

    concurrency: int | None = None
    gpus_per_trial: float | None = None
    seconds: float | None = None
    executor: Executor = "ray"
    address: str | None = None


@dataclass(frozen=True)
class StudyEnded:
    """How a call ended: the folder of the trainings, and that of the results once all are there, else None."""

    folder: Path
    results: Path | None
    interrupted: bool
    unfinished: int


def run_study(study: Study, runs: Path, machine: Machine, listener: Listener, tell: Tell) -> StudyEnded:
    """Run a study to its results, or go on with it; raises UserError.

    The test split is looked at by the final trainings alone, once each, after their last epoch; the rates are tuned on
    val. Results whose trainings lie elsewhere stay as they are.
    """
    refuse_edited(study)
    folder = folder_of(study, runs)
    if registered_of(study.folder) and not folder.exists():
        place = study.folder / FOLDER
        tell(f"{place} has every training of this study: nothing is left to run; move it away to train all anew")
        return StudyEnded(folder, place, False, 0)
    task = load_task(study.task)
    until = time.monotonic() + (math.inf if machine.seconds is None else machine.seconds)
    design = _kept_design(study, task, folder, tell)
    tuning = tuning_trainings(study, design)
    tell(f"{len(tuning)} trainings tune the rates, {_number_of_finals(study, design)} answer the question")
    ended = _trained(study, folder, design, tuning, machine, until, listener, tell)
    if ended.unfinished or ended.interrupted:
        return StudyEnded(folder, None, ended.interrupted, ended.unfinished)
    frame = batch_frame(folder)
    rates = chosen_rates(study, frame[frame["purpose"] == TUNING], task.classes)
    for rate in rates:
        if rate.edge:
            tell(f"rate {rate.rate:g} of arm {rate.arm} in {rate.cell} ends the grid: a better one may lie beyond")
    trainings = [*tuning, *final_trainings(study, design, rates)]
    ended = _trained(study, folder, design, trainings, machine, until, listener, tell)
    if ended.unfinished or ended.interrupted:
        return StudyEnded(folder, None, ended.interrupted, ended.unfinished)
    results = keep_results(study, design, folder)
    return StudyEnded(folder, results, False, 0)


def folder_of(study: Study, runs: Path) -> Path:
    """Where the trainings of this very study are."""
    return runs / f"{study.name}-{study.registered[:8]}"


def final_trainings(study: Study, design: Design, rates: list[Rate]) -> list[Training]:
    """Every arm of every anchor on every seed, at the rate of its cell."""
    chosen = {(rate.cell, rate.arm): rate.rate for rate in rates}
    trainings: list[Training] = []
    for anchor in design.anchors:
        for arm, option in anchor.arms.items():
            rate = chosen[anchor.cell, arm]
            recipe = study.recipe.model_copy(update={"lr": rate})
            for replicate in range(study.file.seeds):
                labels: dict[str, Any] = {
                    "purpose": FINAL,
                    "anchor": anchor.name,
                    "stratum": anchor.stratum,
                    "cell": anchor.cell,
                }
                labels |= {"arm": arm, "rate": rate, "replicate": replicate, "doublings": anchor.doublings(arm)}
                seed = derive(study.file.seed, FINAL, arm, anchor.name, option.genome.id, replicate)
                name = f"{FINAL}/{anchor.name}/{arm}/{replicate}"
                trainings.append(Training(name, option.genome, seed, recipe, labels, test=True))
    return trainings


def _number_of_finals(study: Study, design: Design) -> int:
    return len(design.anchors) * len(study.file.arms) * study.file.seeds


def _kept_design(study: Study, task: Task, folder: Path, tell: Tell) -> Design:
    """The design that trainings began with, if any did: another version might draw others. Raises UserError."""
    kept = folder / DESIGN
    if kept.exists():
        try:
            return read_design(kept)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise UserError(f"{kept}: cannot be read ({error}); put it back as it was") from None
    return make_design(study, task, tell)


def _trained(
    study: Study,
    folder: Path,
    design: Design,
    trainings: list[Training],
    machine: Machine,
    until: float,
    listener: Listener,
    tell: Tell,
) -> BatchEnded:
    request = BatchRequest(
        folder=folder,
        task=study.task,
        trainings=tuple(trainings),
        seed=study.file.seed,
        concurrency=machine.concurrency,
        gpus_per_trial=machine.gpus_per_trial,
        seconds=None if math.isinf(until) else max(until - time.monotonic(), 0.0),
        about={"study": study.name, "registered": study.registered},
        files={DESIGN: design_text(design)},
    )
    ended = run_batch(request, listener, machine.executor, machine.address, tell)
    if ended.failed:
        name, reason = next(iter(ended.failed.items()))
        raise UserError(
            f"{folder}: {len(ended.failed)} trainings failed for reasons that are not their networks', such as {name}: "
            f"{reason}; mend that, and run the study again: what is done stays"
        )
    return ended
