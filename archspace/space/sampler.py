"""Drawing genomes within a budget: some genes at random, the others solved for what the budget leaves."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from archspace.closed_form import Cost, cost_of
from archspace.errors import BudgetError, GenomeError
from archspace.genome import Genome
from archspace.program import Array
from archspace.space.budget import Budget, combined
from archspace.space.reach import ends_of, out_of_reach, reachable
from archspace.space.settings import drawing_of, drawn, everything
from archspace.space.solver import Solver, grid, solver_of
from archspace.space.space import Space, Value, Values, family_of, genome_of, of_family

PATIENCE, FURTHER = 2**18, 2**22
"""Settings that are costed in search of a solution, before a space is gone through as a whole or given up; and of one
more where some were found: then those are drawn again."""
STALE = 30, 1000
"""Draws in a row that bring no further genome, before a sample is completed by going through the space, or ends."""


@dataclass(frozen=True)
class Candidate:
    """A genome of a space, the gene values it comes from, and its cost at the space's target."""

    values: Values
    genome: Genome
    cost: Cost


@dataclass(frozen=True)
class Sample:
    """Distinct genomes within a budget; `whole` says that there are no others."""

    candidates: tuple[Candidate, ...]
    whole: bool


def candidate(space: Space, values: Values) -> Candidate | None:
    """The genome of these values with its cost, or None where they do not fit together."""
    try:
        genome = genome_of(space, values)
        return Candidate(values, genome, cost_of(genome, space.input, space.classes))
    except GenomeError:
        return None


def draws(space: Space, budget: Budget, rng: random.Random) -> Iterator[Candidate]:
    """Endless genomes within `budget` and the space's own limits, repeats included; raises BudgetError.

    The solver of the space says which genes are solved for: the width and depths, as many as can be looked at together.
    The others are drawn uniformly among those of their settings for which a solution exists, then one of the solutions
    is drawn uniformly; in the logarithm, where the space says `log`. Of a space of several families one that can keep
    the budget is drawn first, uniformly. Where training memory is limited beside other measures, these are solved for
    and draws that break its limit are dropped. The exact cost decides in the end, so nothing outside the budget is
    returned.
    """
    limits = combined(budget, space.limits)
    if space.families:
        yield from _draws_of_families(space, limits, rng)
    (solver, held_to), generator = drawing_of(space, limits.limits), np.random.default_rng(rng.getrandbits(64))
    missed, rows, met = 0, 16, False
    known: dict[tuple[Value, ...], Candidate | None] = {}  # where few genomes keep the budget they come again and again
    while missed * solver.costed < (FURTHER if met else PATIENCE):
        for values in drawn(solver, held_to, rows, generator):
            found = None
            if values is not None:
                key = tuple(values.values())
                found = known[key] if key in known else known.setdefault(key, candidate(space, values))
            if found is not None and limits.allows(found.cost):
                missed, met = 0, True
                yield found
            else:
                missed += 1
        rows = min(2 * rows, 1024)
        if missed * solver.costed >= PATIENCE and _may_keep(space, limits):
            whole = everything(solver_of(space, limits.limits))
            if whole is not None:
                yield from _repeated(space, limits, whole, generator)
    found_before = [*known.values(), *_at_the_ends(space, limits)]
    those = [found for found in found_before if found is not None and limits.allows(found.cost)]
    if not those:
        raise BudgetError(out_of_reach(space, limits))
    while True:
        yield those[int(generator.integers(len(those)))]


def _at_the_ends(space: Space, limits: Budget) -> Iterator[Candidate]:
    """The cheapest and the dearest genomes by each limit, of which chance may find none."""
    for limit in limits.limits:
        for end in ends_of(space, replace(limit, low=0, high=math.inf)):
            found = candidate(space, end.values)
            if found is not None:
                yield found


def sample(space: Space, budget: Budget, n: int, seed: int) -> list[Candidate]:
    """`n` distinct genomes within budget, fewer where no more turn up; raises BudgetError."""
    return list(sampled(space, budget, n, seed).candidates)


def sampled(space: Space, budget: Budget, n: int, seed: int) -> Sample:
    """As `sample`, and whether these are all there are: found by going through the space, unless it is too large."""
    distinct: dict[str, Candidate] = {}
    stale, rest = 0, None
    for found in draws(space, budget, random.Random(seed)):
        stale = stale + 1 if found.genome.id in distinct else 0
        distinct.setdefault(found.genome.id, found)
        if len(distinct) == n:
            return Sample(tuple(distinct.values()), False)
        if stale == STALE[0] and rest is None:
            rest = _others(space, combined(budget, space.limits), np.random.default_rng(seed))
        if rest is not None or stale == STALE[1]:
            break
    for found in rest or ():
        distinct.setdefault(found.genome.id, found)
        if len(distinct) > n:
            break
    return Sample(tuple(distinct.values())[:n], rest is not None and len(distinct) <= n)


def _repeated(
    space: Space, limits: Budget, known: tuple[list[dict[str, Value]], Array], rng: np.random.Generator
) -> Iterator[Candidate]:
    """Endless draws from settings whose probabilities are known; raises BudgetError where there are none."""
    settings, chances = known
    if not settings:
        raise BudgetError(out_of_reach(space, limits))
    while True:
        found = candidate(space, settings[int(rng.choice(len(settings), p=chances))])
        if found is not None and limits.allows(found.cost):
            yield found


def _others(space: Space, limits: Budget, rng: np.random.Generator) -> Iterator[Candidate] | None:
    """Every genome within the limits in a random order, the likely ones early; None of a space too large."""
    each = {name: (inner, _joint(limits, inner)) for name, inner in space.families.items()} or {"": (space, limits)}
    parts = [
        (name, inner, everything(solver_of(inner, both.limits)), both)
        for name, (inner, both) in each.items()
        if both is not None and _may_keep(inner, both)
    ]
    if any(known is None for _, _, known, _ in parts):
        return None
    return _in_order(parts, rng)  # type: ignore[arg-type]  # none of them is None


def _joint(limits: Budget, space: Space) -> Budget | None:
    """The limits and a space's own together, None where they exclude each other."""
    try:
        return combined(limits, space.limits)
    except BudgetError:
        return None


def _in_order(
    parts: list[tuple[str, Space, tuple[list[dict[str, Value]], Array], Budget]], rng: np.random.Generator
) -> Iterator[Candidate]:
    for name, space, (settings, chances), limits in parts:
        for place in rng.choice(len(settings), size=len(settings), replace=False, p=chances) if settings else ():
            found = candidate(space, settings[place])
            if found is not None and limits.allows(found.cost):
                yield lifted(name, found) if name else found


def _draws_of_families(space: Space, limits: Budget, rng: random.Random) -> Iterator[Candidate]:
    """Endless draws, each of a family drawn uniformly among those that can keep the limits; raises BudgetError."""
    streams = {name: draws(inner, limits, rng) for name, inner in space.families.items() if _may_keep(inner, limits)}
    while streams:
        name = rng.choice(list(streams))
        try:
            yield lifted(name, next(streams[name]))
        except BudgetError:
            del streams[name]
    raise BudgetError(out_of_reach(space, limits))


def _may_keep(space: Space, limits: Budget) -> bool:
    """Whether a space may reach the limits: it does not where it says no, but for RegNet's rule, whose ends are not
    known exactly.
    """
    if space.rule is not None:
        return True
    ranges = [(limit, reachable(space, limit)) for limit in limits.limits]
    return all(low <= limit.high and high >= limit.low for limit, (low, high) in ranges)


def lifted(name: str, found: Candidate) -> Candidate:
    """A candidate of the family `name` as one of the union."""
    return replace(found, values=of_family(name, found.values))


def fit(space: Space, values: Values, budget: Budget) -> Candidate | None:
    """The genome nearest to these values that keeps the budget, or None.

    Moves the solved genes alone where that is enough, as little as can be; then the others too, one after another to
    their value at the end of the space that the budget asks for, until there is a solution. Words are kept.
    """
    limits = _joint(budget, space)
    if limits is None:
        return None
    if space.families:
        inner, held = family_of(space, values)
        found = fit(inner, held, limits)
        return found and lifted(inner.name, found)
    first = candidate(space, values)
    if first is None or limits.allows(first.cost):
        return first
    broken = next(limit for limit in limits.limits if not limit.allows(first.cost))
    ends = ends_of(space, replace(broken, low=0, high=math.inf))
    end = ends[0] if broken.of(first.cost) > broken.high else ends[1]
    solver, fitted = solver_of(space, limits.limits), dict(values)
    for gene in (None, *(gene for gene in solver.free if gene.ordered)):
        if gene is not None:
            fitted[gene.name] = end.values[gene.name]
        found = _nearest(solver, fitted, values)
        if found is not None and limits.allows(found.cost):
            return found
    return None


def _nearest(solver: Solver, fitted: Values, values: Values) -> Candidate | None:
    """The solution of the free genes' values in `fitted` that is nearest to `values`, each gene's range being 1."""
    free = [gene.values.index(fitted[gene.name]) for gene in solver.free]
    solutions = solver.solutions(np.array([free], int).reshape(1, len(free)))
    first, last = solutions.first[0], solutions.last[0]
    if not (last >= first).any():
        return None
    away = np.zeros(len(first))
    for gene, numbers in zip(solver.tried, grid(solver.tried), strict=True):
        away += np.abs(numbers - gene.values.index(values[gene.name])) / (len(gene.values) - 1)
    numbers = np.zeros(len(first), int)
    if solver.summed:
        gene = solver.summed[-1]
        wanted = gene.values.index(values[gene.name])
        numbers = np.clip(wanted, first, np.maximum(first, last))
        away += np.abs(numbers - wanted) / (len(gene.values) - 1)
    tried = int(np.where(last >= first, away, np.inf).argmin())
    chosen = solver.numbers(np.array([free], int).reshape(1, -1), np.array([tried]), numbers[tried : tried + 1])
    return candidate(solver.space, solver.values(chosen[0]))
