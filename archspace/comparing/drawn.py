"""Networks drawn at random from spaces, each a training of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from archspace.closed_form import unfit
from archspace.comparing.entrants import Entrant
from archspace.errors import BudgetError, UserError
from archspace.records.config import TaskConfig
from archspace.searching.queue import Training
from archspace.seeds import derive
from archspace.space.budget import Budget
from archspace.space.sampler import Candidate, sampled
from archspace.training.recipe import Recipe
from archspace.units import shape_text

ROUNDS = 4
"""Times that a sample is doubled where some of its networks cannot be trained on the task."""


@dataclass(frozen=True)
class Draw:
    """The networks drawn from a space that can be trained on the task, and what has to be said about them."""

    entrant: Entrant
    candidates: tuple[Candidate, ...]
    notes: tuple[str, ...]


def draw_from(entrant: Entrant, budget: Budget, n: int, seed: int, task: TaskConfig) -> Draw:
    """`n` distinct networks of a space, fewer where there are no more; raises UserError.

    A larger `n` begins with the same networks. Budgets are kept exactly, see archspace.space.sampler.
    """
    space = entrant.space
    assert space is not None
    wanted = n
    for _ in range(ROUNDS):
        found = sampled(space, budget, wanted, derive(seed, "compare", *entrant.seeded))
        misfits = [unfit(one.genome, task.input, task.classes) for one in found.candidates]
        fitting = [one for one, why in zip(found.candidates, misfits, strict=True) if not why]
        if len(fitting) >= n or len(found.candidates) < wanted:
            break
        wanted *= 2
    where = f"on {task.name} at {shape_text(task.input)}"
    if len(fitting) < 2:
        reason = next((why for why in misfits if why), "")
        raise UserError(
            f"{entrant.word}: {len(fitting)} of {len(found.candidates)} networks drawn can be trained {where}, and a "
            f"distribution takes two{f': {reason}' if reason else ''}; change the budget, the space or the task"
        )
    notes = []
    looked = found.candidates[: found.candidates.index(fitting[min(n, len(fitting)) - 1]) + 1]
    out = len(looked) - min(n, len(fitting))
    if out:
        notes.append(f"{entrant.label}: {out} of {len(looked)} networks drawn cannot be trained {where}; left out")
    if len(fitting) < n:
        told = "all there are" if found.whole else "no others turned up"
        notes.append(f"{entrant.label}: only {len(fitting)} networks instead of {n}: {told} within {budget or 'it'}")
    return Draw(entrant, tuple(fitting[:n]), tuple(notes))


def check_budget(found: Sequence[Entrant], budget: Budget) -> None:
    """Raise BudgetError that names every space that has no network within the budget."""
    messages: list[str] = []
    for one in found:
        if one.space is not None:
            try:
                sampled(one.space, budget, 1, 0)
            except BudgetError as error:
                messages += error.messages
    if messages:
        raise BudgetError(*messages)


def trainings(draws: Sequence[Draw], recipe: Recipe, seed: int) -> tuple[Training, ...]:
    """The networks of all spaces by turns, so that a comparison that is stopped has some of each."""
    sides = [
        [
            Training(
                name=training_name(draw, one),
                genome=one.genome,
                seed=derive(seed, one.genome.id, 0, *draw.entrant.seeded[1:]),
                recipe=recipe,
                labels={"side": draw.entrant.label},
            )
            for one in draw.candidates
        ]
        for draw in draws
    ]
    return tuple(one for one in chain.from_iterable(zip_longest(*sides)) if one is not None)


def training_name(draw: Draw, candidate: Candidate) -> str:
    """What a training is known by in the batch: a genome of two spaces is trained for each."""
    return f"{draw.entrant.label}/{candidate.genome.id}"
