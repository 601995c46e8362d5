"""Settings of a space with what they cost: all of them where they are few, else a uniform sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from archspace.closed_form import MEASURES
from archspace.program import Array
from archspace.space.budget import Budget, Limit
from archspace.space.costing import column_of
from archspace.space.solver import costing_of, count, grid, numbers_at, solver_of
from archspace.space.space import Gene, Space

DRAWS, EACH = 2**16, 2**14
"""Settings that are drawn of a space, and at least of each family where there are several."""
WHOLE = 2**21
"""Settings that are costed where a space is gone through as a whole; of a larger one some are drawn."""
TOGETHER = 2**18
"""Settings that are solved for a budget together, at most."""


@dataclass(frozen=True, eq=False)
class Survey:
    """Settings of the genes of a space, and what they cost; `whole` says that these are all.

    `numbers` (genes x settings) has the numbers of the genes' values, `figures` what each setting costs by measure:
    not-a-number where no network can be built. Of a space of several families there are equally many of each, and the
    one gene is the family.
    """

    genes: tuple[Gene, ...]
    numbers: Array
    figures: Mapping[str, Array]
    whole: bool

    @property
    def size(self) -> int:
        """How many settings were looked at."""
        return int(self.numbers.shape[1])

    @property
    def built(self) -> Array:
        """Which of the settings give a network."""
        return ~np.isnan(self.figures[MEASURES[0]])

    def within(self, limits: Budget) -> int:
        """How many of the settings keep a budget."""
        kept = self.built
        for limit in limits.limits:
            kept &= (self.figures[limit.measure] >= limit.low) & (self.figures[limit.measure] <= limit.high)
        return int(kept.sum())


def measured(*budgets: Budget) -> tuple[Limit, ...]:
    """What a survey looks at: the usual measures, and those of some budgets that are not among them."""
    usual = {measure: Limit(measure, 0, math.inf) for measure in MEASURES}
    limits = [limit for budget in reversed(budgets) for limit in budget.limits]
    return tuple((usual | {limit.measure: replace(limit, low=0, high=math.inf) for limit in limits}).values())


def surveyed(space: Space, measures: tuple[Limit, ...], seed: int, draws: int = DRAWS, whole: int = WHOLE) -> Survey:
    """A survey of a space of one family: of `draws` settings, drawn uniformly, unless there are at most `whole`."""
    all_of_them, genes = space.size <= whole, space.genes
    if all_of_them:
        numbers = grid(genes) if genes else np.zeros((0, 1), int)
    else:
        rng = np.random.default_rng(seed)
        numbers = np.array([rng.integers(len(gene.values), size=draws) for gene in genes])
    out = np.empty((len(measures), numbers.shape[1]))
    columns = {gene.name: column_of(gene, own) for gene, own in zip(genes, numbers, strict=True)}
    costing_of(space, measures).run(columns, out)
    figures = {limit.measure: row for limit, row in zip(measures, out, strict=True)}
    return Survey(genes, numbers, figures, all_of_them)


def draws_of_each(families: int) -> int:
    """Settings that are drawn of each of several families."""
    return max(EACH, DRAWS // families)


def pooled(family: Gene, surveys: Sequence[Survey], seed: int) -> Survey:
    """One survey of several families, with as many settings of each, drawn again from those looked at as a whole."""
    each, rng = draws_of_each(len(surveys)), np.random.default_rng(seed)
    places = [rng.integers(own.size, size=each) if own.whole else np.arange(each) for own in surveys]
    figures = {
        measure: np.concatenate([own.figures[measure][at] for own, at in zip(surveys, places, strict=True)])
        for measure in surveys[0].figures
    }
    return Survey((family,), np.repeat(np.arange(len(surveys)), each)[None], figures, False)


def settings_within(space: Space, limits: Budget, most: int = WHOLE) -> int | None:
    """How many settings of the genes keep a budget, exactly; None where it would take more than `most` costings.

    What is solved for (see Solver) need not be costed, so that this is known of spaces that are far larger.
    """
    solver = solver_of(space, limits.limits)
    rows = count(solver.free)
    if rows * solver.costed > most or any(limit.inexact for limit in limits.limits):
        return None
    some, found = max(1, TOGETHER // max(solver.costed, count(solver.tried))), 0
    for start in range(0, rows, some):
        solutions = solver.solutions(numbers_at(solver.free, np.arange(start, min(start + some, rows))))
        found += int((solutions.last - solutions.first + 1).sum())
    return found
