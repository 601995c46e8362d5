"""What a study will take, and what it will be able to tell, before it starts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from archspace.analysis.contrasts import grid_of, pair
from archspace.analysis.equivalence import precision
from archspace.analysis.permutation import smallest_p
from archspace.analysis.power import AnchorsNeeded, anchors_needed, components_of
from archspace.closed_form import cost_of
from archspace.data.tasks import load_task
from archspace.errors import UserError
from archspace.searching.batch import BatchRequest
from archspace.searching.foresee import Foreseen, foresee
from archspace.study.design import Design, make_design
from archspace.study.file import Study
from archspace.study.findings import contrasts_of
from archspace.study.rates import Rate, tuning_trainings
from archspace.study.results import Results, judged_images
from archspace.study.run import final_trainings, folder_of
from archspace.training.augment import check_augmentation


@dataclass(frozen=True)
class Power:
    """How many anchors a contrast needs by a pilot's variance, with the pilot's spread in the effect's unit."""

    contrast: str
    between_sd: float
    seed_sd: float
    needed: AnchorsNeeded


@dataclass(frozen=True)
class StudyPlan:
    """The trainings of a study, what they cost in training flops, how long they take, and its power.

    `smallest_p` is the least that a sign-flip test of so many anchors can give, Holm's factor included. `foreseen` is
    None where nothing was measured.
    """

    study: str
    registered: str
    anchors: int
    excluded: int
    tuning: int
    final: int
    training_flops: float
    smallest_p: float
    alpha: float
    foreseen: Foreseen | None
    power: tuple[Power, ...]


def plan_study(
    study: Study,
    runs: Path,
    pilot: tuple[Study, Results] | None = None,
    *,
    measured: bool = True,
    concurrency: int | None = None,
    gpus_per_trial: float | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[StudyPlan, Design]:
    """Draw and match the anchors and say what comes of it; trains a few networks for seconds where `measured`.

    Raises UserError as the study itself would, and where the pilot has none of its arms.
    """
    task = load_task(study.task)
    check_augmentation(study.recipe, task.input)
    design = make_design(study, task, tell)
    tuning = tuning_trainings(study, design)
    any_rate = [
        Rate(anchor.cell, arm, study.file.rates.grid[0], False, {}) for anchor in design.anchors for arm in anchor.arms
    ]
    final = final_trainings(study, design, any_rate)
    costs = [cost_of(one.genome, task.input, task.classes).training_flops for one in (*tuning, *final)]
    request = BatchRequest(
        folder_of(study, runs),
        study.task,
        (*tuning, *final),
        concurrency=concurrency,
        gpus_per_trial=gpus_per_trial,
    )
    made = StudyPlan(
        study=study.name,
        registered=study.registered,
        anchors=len(design.anchors),
        excluded=len(design.excluded),
        tuning=len(tuning),
        final=len(final),
        training_flops=math.fsum(costs) * len(task.train.labels) * study.recipe.epochs,
        smallest_p=smallest_p(len(design.anchors), len(study.file.contrasts)),
        alpha=study.file.alpha,
        foreseen=foresee(request, tell) if measured else None,
        power=power_of(study, *pilot, len(task.test.labels)) if pilot else (),
    )
    return made, design


def power_of(study: Study, pilot: Study, results: Results, images: int) -> tuple[Power, ...]:
    """Anchors that each contrast needs to tell a difference of the margin, or none, by a pilot's variance.

    `images` are those of the study's test split. Raises UserError for a pilot without the study's arms.
    """
    lacking = [name for name in study.file.arms if name not in pilot.file.arms]
    if lacking:
        raise UserError(f"pilot {pilot.name} has no arm {', '.join(lacking)}; take a pilot with the arms of the study")
    grid, wrong, found = grid_of(results.finals), judged_images(results), []
    # What images add falls with their number.
    fewer = math.sqrt(len(next(iter(wrong.values()))) / images) if wrong else 1.0
    for contrast in contrasts_of(study.file):
        paired = pair(grid, contrast)
        components = components_of(paired)
        needed = anchors_needed(
            components,
            study.file.margin,
            study.file.alpha,
            contrasts=len(study.file.contrasts),
            seeds=study.file.seeds,
            images=precision(paired, wrong).images * fewer,
        )
        found.append(Power(contrast.name, components.between_sd, components.seed_sd, needed))
    return tuple(found)


def plan_lines(study: Study, plan: StudyPlan, design: Design) -> list[str]:
    """A plan in words."""
    from archspace.units import UNITS, duration, si

    lines = [
        f"study {plan.study}, registered as {plan.registered[:12]}: {study.file.question}",
        f"anchors     {plan.anchors}, {plan.excluded} draws could not be matched and were replaced",
    ]
    for anchor in design.anchors:
        ratios = ", ".join(f"{arm} {option.cost / anchor.cost:.3f}x" for arm, option in anchor.arms.items())
        cost = si(anchor.cost, UNITS[study.file.match.measure])
        lines.append(f"  {anchor.name:<14} {anchor.genome.id}  {cost:>14}  {ratios}")
    lines += [
        f"trainings   {plan.tuning} to tune the rates, {plan.final} to answer; "
        f"{si(plan.training_flops, 'FLOPs')} of training in all",
        f"test        sign flips of {plan.anchors} anchors give no p below {plan.smallest_p:.2g}"
        + (f": they can never reach {plan.alpha:g}; take more anchors" if plan.smallest_p >= plan.alpha else ""),
    ]
    if plan.foreseen is not None:
        told = plan.foreseen
        error = "" if told.error is None else f"; epochs predicted to {told.error:.0%} (median)"
        lines.append(f"time        {duration(told.seconds)}, {told.concurrency} trainings side by side{error}")
    for power in plan.power:
        needed, unit = power.needed, f"a difference of {study.file.margin:g}"
        lines.append(
            f"power       {power.contrast}: {_count(needed.difference)} anchors to see {unit}, "
            f"{_count(needed.equivalence)} to show that there is none; cautiously "
            f"{_count(needed.cautious_difference)} and {_count(needed.cautious_equivalence)}"
        )
    if plan.power:
        lines.append(
            "            where strata take the same rates; of arms whose rates change from one stratum to another, "
            "strata are counted, not anchors"
        )
    return lines


def _count(anchors: int | None) -> str:
    return "no number of" if anchors is None else str(anchors)
