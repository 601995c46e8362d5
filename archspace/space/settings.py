"""Settings of a space's genes that keep limits: drawn by chance, or all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from archspace.program import Array
from archspace.space.budget import Limit
from archspace.space.costing import column_of
from archspace.space.solver import Solver, costing_of, count, drawn_numbers, numbers_at, solver_of, weights
from archspace.space.space import Space, Value

BATCH = 2**18
"""Settings that are costed together, at most."""
WHOLE = 2**23
"""Settings that are costed where a space is gone through as a whole; larger ones never are."""
PEAK = "training_memory"
"""The measure that is no sum over blocks, and so cannot be solved for together with those that are."""


@lru_cache(maxsize=64)
def drawing_of(space: Space, limits: tuple[Limit, ...]) -> tuple[Solver, tuple[Limit, ...]]:
    """What settings are drawn with: a solver of the limits that add up, and those that its solutions are held to."""
    peaks = tuple(limit for limit in limits if limit.measure == PEAK)
    sums = tuple(limit for limit in limits if limit.measure != PEAK)
    return (solver_of(space, sums), peaks) if sums else (solver_of(space, limits), ())


def drawn(
    solver: Solver, held_to: tuple[Limit, ...], rows: int, rng: np.random.Generator
) -> Iterator[dict[str, Value] | None]:
    """Random settings of the free genes, each with one of its solutions, or None where there is none.

    None too for a solution that breaks one of the limits it is held to.
    """
    free = drawn_numbers(solver.free, min(rows, _rows(solver)), rng)
    places, tried, last = solver.solutions(free).drawn(rng)
    numbers = solver.numbers(free[places], tried, last)
    kept = _keeps(solver, held_to, numbers) if held_to and len(numbers) else np.full(len(numbers), True)
    found = dict(zip(places[kept].tolist(), numbers[kept].tolist(), strict=True))
    yield from (solver.values(found[row]) if row in found else None for row in range(len(free)))


def _keeps(solver: Solver, limits: tuple[Limit, ...], numbers: Array) -> Array:
    genes, costing = (*solver.free, *solver.solved), costing_of(solver.space, limits)
    figures = np.empty((len(limits), len(numbers)))
    costing.run({gene.name: column_of(gene, own) for gene, own in zip(genes, numbers.T, strict=True)}, figures)
    kept = [(own >= limit.low) & (own <= limit.high) for limit, own in zip(limits, figures, strict=True)]
    together: Array = np.logical_and.reduce(kept)
    return together


def everything(solver: Solver) -> tuple[list[dict[str, Value]], Array] | None:
    """Every setting that keeps the limits and the probability that it is drawn, or None of a space too large."""
    rows = count(solver.free)
    if rows * solver.costed > WHOLE:
        return None
    some = _rows(solver)
    settings: list[dict[str, Value]] = []
    chances: list[float] = []
    for start in range(0, rows, some):
        free = numbers_at(solver.free, np.arange(start, min(start + some, rows)))
        solutions = solver.solutions(free)
        for row in np.flatnonzero((solutions.last >= solutions.first).any(1)).tolist():
            own = math.prod(weights(gene)[number] for gene, number in zip(solver.free, free[row], strict=True))
            for tried, last, share in solutions.of_row(row):
                settings.append(solver.values(solver.numbers(free[row : row + 1], *np.array([[tried], [last]]))[0]))
                chances.append(own * share)
    total = np.array(chances)
    return settings, total / total.sum()


def _rows(solver: Solver) -> int:
    """How many settings of the free genes are solved together."""
    return max(1, BATCH // max(solver.costed, count(solver.tried)))
