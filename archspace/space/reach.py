"""What a space can reach: the least and the greatest of a measure, and the gene that keeps it from going further."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np

from archspace.closed_form import cost_of
from archspace.errors import GenomeError
from archspace.program import Array
from archspace.space.budget import Budget, Limit
from archspace.space.solver import Solver, costing_of, drawn_numbers
from archspace.space.space import Gene, Space, Value, family_of, genome_of, of_family
from archspace.units import UNITS, shape_text, si

CORNERS = 2**14
"""Settings of all genes at an end of their range that are looked at; of more, so many at random."""


@dataclass(frozen=True)
class End:
    """The least or the greatest that a space reaches, and the values of the genes there."""

    figure: float
    values: Mapping[str, Value]


def reachable(space: Space, measure: str | Limit) -> tuple[float, float]:
    """The least and the greatest of a measure over the genomes that can be built; raises GenomeError if none can."""
    limit = Limit(measure, 0, math.inf) if isinstance(measure, str) else replace(measure, low=0, high=math.inf)
    least, greatest = ends_of(space, limit)
    return least.figure, greatest.figure


def check_buildable(space: Space) -> None:
    """Raise GenomeError, with the reason for the first genome, where none of a space's corners can be built."""
    try:
        cost_of(genome_of(space, {gene.name: gene.values[0] for gene in space.genes}), space.input, space.classes)
    except GenomeError as reason:
        try:
            reachable(space, "flops")
        except GenomeError:
            raise reason from None


@lru_cache(maxsize=256)
def ends_of(space: Space, limit: Limit) -> tuple[End, End]:
    """Both ends of what a limit's measure reaches; raises GenomeError where no genome can be built.

    Looks at the corners of the space (each numeric gene at its first or last value), then moves single genes for as
    long as that leads further. Exact where the measure rises or falls with every gene, whatever the others are.
    """
    if space.families:
        ends = [(name, *ends_of(inner, limit)) for name, inner in space.families.items()]
        least = min(ends, key=lambda end: end[1].figure)
        greatest = max(ends, key=lambda end: end[2].figure)
        return (
            End(least[1].figure, of_family(least[0], least[1].values)),
            End(greatest[2].figure, of_family(greatest[0], greatest[2].values)),
        )
    solver = Solver(space, (limit,), costing_of(space, (limit,)), space.genes, (), ())
    corners = _corners(space.genes)
    figures = solver.figures(space.genes, list(corners))[0]
    if np.isnan(figures).all():
        raise GenomeError(f"space {space.name}: no network can be built at its corners")
    return (
        _climbed(solver, corners[:, np.nanargmin(figures)], -1),
        _climbed(solver, corners[:, np.nanargmax(figures)], 1),
    )


def out_of_reach(space: Space, limits: Budget) -> str:
    """What a person should know when nothing meets the budget: what the space reaches, and what binds."""
    ranges, reasons = [], []
    for limit in limits.limits:
        least, greatest = ends_of(space, replace(limit, low=0, high=math.inf))
        ranges.append(f"{si(least.figure, UNITS[limit.measure])} to {si(greatest.figure, UNITS[limit.measure])}")
        if limit.high < least.figure:
            reasons.append(_binding(space, limit, least))
        elif limit.low > greatest.figure:
            reasons.append(_binding(space, limit, greatest))
    if not reasons:
        reasons = [_nearest(space, limits)]
    where = f"{shape_text(space.input)}, {space.classes} classes"
    return (
        f"budget {limits}: no genome of space {space.name} was found within it; the space reaches "
        f"{' and '.join(ranges)} (at {where}); {'; '.join(reasons)}"
    )


def _binding(space: Space, limit: Limit, end: End) -> str:
    """The gene at whose first or last value the measure changes most, relative to the gene's own change."""
    space, values = family_of(space, end.values) if space.families else (space, end.values)

    def pull(gene: Gene) -> float:
        at = gene.values.index(values[gene.name])
        if at not in (0, len(gene.values) - 1) or not gene.ordered or float(gene.values[0]) <= 0:
            return 0.0
        inner = gene.values[1 if at == 0 else at - 1]
        moved = candidate_figure(space, {**values, gene.name: inner}, limit)
        return abs(math.log(moved / end.figure) / math.log(float(inner) / float(gene.values[at])))

    varied = [gene for gene in space.genes if len(gene.values) > 1]
    gene = max(varied, key=pull, default=None)
    if gene is None or not pull(gene):
        return "no gene could lead further"
    name = gene.name if not space.families else f"{space.name}.{gene.name}"
    word = "at least" if values[gene.name] == gene.values[0] else "at most"
    return f"{name} binds: it is {word} {values[gene.name]}, and moves {limit.measure} most there"


def _nearest(space: Space, limits: Budget) -> str:
    """Which genomes come closest to a budget that lies within reach and that none keeps."""
    if len(limits.limits) > 1:
        return "each limit is within reach, but none was found that keeps all of them"
    (limit,) = limits.limits
    inner = list(space.families.values()) or [space]
    drawn = [figures for one in inner for figures in _drawn(one, limit)]
    below, above = [x for x in drawn if x < limit.low], [x for x in drawn if x > limit.high]
    near = [_told(pick, limit) for pick in (max(below, default=None), min(above, default=None)) if pick is not None]
    return f"the nearest that were found have {' and '.join(near)}; widen the band"


def _told(figure: float, limit: Limit) -> str:
    """A figure beside the limit it misses: with all its digits where three do not tell the two apart."""
    unit = UNITS[limit.measure]
    text = si(figure, unit)
    alike = text in (si(limit.low, unit), si(limit.high, unit)) and limit.measure != "latency"
    return f"{figure:,.0f} {unit}" if alike else text


def _drawn(space: Space, limit: Limit) -> Iterator[float]:
    solver = Solver(space, (limit,), costing_of(space, (limit,)), space.genes, (), ())
    numbers = drawn_numbers(space.genes, CORNERS, np.random.default_rng(0))
    yield from (float(figure) for figure in solver.figures(space.genes, list(numbers.T))[0] if not math.isnan(figure))


def candidate_figure(space: Space, values: Mapping[str, Value], limit: Limit) -> float:
    """A limit's measure of the genome that some values stand for; not-a-number where it cannot be built."""
    try:
        return float(limit.of(cost_of(genome_of(space, values), space.input, space.classes)))
    except GenomeError:
        return math.nan


def _corners(genes: Sequence[Gene]) -> Array:
    """Settings (genes x settings) with every numeric gene at an end: all of them, or CORNERS random ones."""
    choices = [
        list(range(len(gene.values))) if not gene.ordered else sorted({0, len(gene.values) - 1}) for gene in genes
    ]
    if math.prod(map(len, choices)) <= CORNERS:
        return np.array(list(product(*choices)), int).reshape(-1, len(genes)).T
    rng = np.random.default_rng(0)
    return np.array([rng.choice(numbers, size=CORNERS) for numbers in choices])


def _climbed(solver: Solver, at: Array, sign: int) -> End:
    """The end that is reached from a setting by moving one gene after the other."""
    genes, best = solver.free, -math.inf
    while True:
        moves = np.hstack([_moved(at, place, len(gene.values)) for place, gene in enumerate(genes)] or [at[:, None]])
        figures = sign * solver.figures(genes, list(moves))[0]
        place = int(np.nanargmax(figures))
        if figures[place] <= best:
            found = sign * best
            return End(found if solver.limits[0].inexact else round(found), solver.values(at))
        best, at = float(figures[place]), moves[:, place]


def _moved(at: Array, place: int, size: int) -> Array:
    moves = np.repeat(at[:, None], size, axis=1)
    moves[place] = np.arange(size)
    return moves
