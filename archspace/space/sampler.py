"""Drawing genomes within a budget: genes one by one, each from what still leaves the budget within reach."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product

from archspace.costs import Cost, cost_of
from archspace.errors import BudgetError, GenomeError
from archspace.genome import Genome
from archspace.space.budget import Budget, Limit, combined
from archspace.space.space import Gene, Space, Value, Values, family_of, genome_of, of_family
from archspace.units import UNITS, si

ATTEMPTS = 500
"""Draws that may miss a narrow band before it is called out of reach."""
SMALL = 5000
"""Settings of a space that is gone through as a whole when draws keep missing a band."""
CORNERS = 64
"""How many settings of the genes without an order are looked at for the reachable range."""


@dataclass(frozen=True)
class Candidate:
    """A genome of a space, the gene values it comes from, and its cost at the space's target."""

    values: Values
    genome: Genome
    cost: Cost


def candidate(space: Space, values: Values) -> Candidate | None:
    """The genome of these values with its cost, or None where they do not fit together."""
    try:
        genome = genome_of(space, values)
        return Candidate(values, genome, cost_of(genome, space.input, space.classes))
    except GenomeError:
        return None


def from_cheap_to_dear(space: Space, measure: str) -> Space:
    """The space with each numeric gene's values in the order of rising `measure`.

    It rises with most; macs fall with a stride, and with cardinality where the bottleneck ratio is given.
    """
    lowest = {gene.name: gene.values[0] for gene in space.genes}
    start = candidate(space, lowest)
    genes: list[Gene] = []
    for gene in space.genes:
        moved = candidate(space, {**lowest, gene.name: gene.values[-1]}) if gene.ordered else None
        falls = start and moved and getattr(moved.cost, measure) < getattr(start.cost, measure)
        genes.append(replace(gene, values=gene.values[::-1]) if falls else gene)
    return replace(space, genes=tuple(genes))


def solved_gene(space: Space) -> Gene | None:
    """The gene that is solved for the budget once the others are drawn: the width with the most values."""
    ordered = [gene for gene in space.genes if gene.ordered]
    widths = [gene for gene in ordered if gene.name.startswith("width")]
    return max(widths or ordered, key=lambda gene: len(gene.values), default=None)


def draws(space: Space, budget: Budget, rng: random.Random) -> Iterator[Candidate]:
    """Endless genomes within `budget` and the space's own limits, repeats included; raises BudgetError.

    Of a space of several families one that can keep the budget is drawn first, uniformly. Genes that are words are
    drawn uniformly. The others follow in random order, each uniformly (or log-uniformly)
    from the values with which the budget can still be met by the rest; the solved gene comes last. The exact cost
    decides in the end, so nothing outside the budget is ever returned.
    """
    limits = combined(budget, space.limits)
    if space.families:
        yield from _draws_of_families(space, limits, rng)
    spaces = [from_cheap_to_dear(space, limit.measure) for limit in limits.limits]
    while True:
        attempts = (_draw(space, limits, spaces, rng) for _ in range(ATTEMPTS))
        found = next((found for found in attempts if found is not None), None)
        if found is None:
            break
        yield found
    few = _all_within(space, limits)
    if not few:
        raise BudgetError(out_of_reach(space, limits))
    while True:
        yield rng.choice(few)


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
    ranges = [(limit, reachable(space, limit.measure)) for limit in limits.limits]
    return all(low <= limit.high and high >= limit.low for limit, (low, high) in ranges)


def lifted(name: str, found: Candidate) -> Candidate:
    """A candidate of the family `name` as one of the union."""
    return replace(found, values=of_family(name, found.values))


def sample(space: Space, budget: Budget, n: int, seed: int) -> list[Candidate]:
    """`n` distinct genomes within budget, fewer where no more turn up; raises BudgetError."""
    distinct: dict[str, Candidate] = {}
    for found in islice(draws(space, budget, random.Random(seed)), 20 * n + 100):
        distinct.setdefault(found.genome.id, found)
        if len(distinct) == n:
            break
    return list(distinct.values())


def fit(space: Space, values: Values, budget: Budget) -> Candidate | None:
    """The genome nearest to these values that keeps the budget, or None.

    Moves the solved gene alone where that is enough, then the others one after another to their cheapest (or, under a
    band, dearest) value until one of them can be solved for the budget.
    """
    limits = combined(budget, space.limits)
    if space.families:
        inner, held = family_of(space, values)
        found = fit(inner, held, limits)
        return found and lifted(inner.name, found)
    fitted = dict(values)
    first = candidate(space, fitted)
    if first is None or limits.allows(first.cost):
        return first
    broken = next(limit for limit in limits.limits if not limit.allows(first.cost))
    shrink = getattr(first.cost, broken.measure) > broken.high
    space = from_cheap_to_dear(space, broken.measure)
    solved = solved_gene(space)
    genes = sorted((gene for gene in space.genes if gene.ordered), key=lambda gene: gene is not solved)
    for gene in genes:
        options = gene.values[: gene.values.index(fitted[gene.name])]
        if not shrink:
            options = gene.values[gene.values.index(fitted[gene.name]) + 1 :]
        for value in reversed(options) if shrink else options:
            moved = candidate(space, {**fitted, gene.name: value})
            if moved is not None and limits.allows(moved.cost):
                return moved
        if options:
            fitted[gene.name] = options[0] if shrink else options[-1]
    return None


def reachable(space: Space, measure: str) -> tuple[int, int]:
    """The least and the greatest `measure` at the corners of the space: its cheapest and its dearest genes."""
    if space.families:
        ends = [end for inner in space.families.values() for end in reachable(inner, measure)]
        return min(ends), max(ends)
    space = from_cheap_to_dear(space, measure)
    free = [gene for gene in space.genes if not gene.ordered]
    ends = []
    for setting in islice(product(*(gene.values for gene in free)), CORNERS):
        fixed = {gene.name: value for gene, value in zip(free, setting, strict=True)}
        for end in (0, -1):
            corner = candidate(space, {gene.name: gene.values[end] for gene in space.genes if gene.ordered} | fixed)
            if corner is not None:
                ends.append(getattr(corner.cost, measure))
    if not ends:
        cheapest = {gene.name: gene.values[0] for gene in space.genes}
        cost_of(genome_of(space, cheapest), space.input, space.classes)  # raises, with the reason
        raise GenomeError(f"space {space.name}: no network can be built at its corners")
    return min(ends), max(ends)


def out_of_reach(space: Space, limits: Budget) -> str:
    """What a person should know when nothing meets the budget."""
    size = "x".join(str(side) for side in space.input)
    ranges = []
    for limit in limits.limits:
        low, high = reachable(space, limit.measure)
        unit = UNITS[limit.measure]
        ranges.append(f"{si(low, unit)} to {si(high, unit)}")
    return (
        f"budget {limits}: no genome of space {space.name} was found within it; the space reaches "
        f"{' and '.join(ranges)} (at {size}, {space.classes} classes)"
    )


def _all_within(space: Space, limits: Budget) -> list[Candidate]:
    """Every genome within the limits, of a space that is small enough to be gone through; else none."""
    if space.size > SMALL:
        return []
    names = [gene.name for gene in space.genes]
    settings = product(*(gene.values for gene in space.genes))
    found = (candidate(space, dict(zip(names, setting, strict=True))) for setting in settings)
    return [item for item in found if item is not None and limits.allows(item.cost)]


def _draw(space: Space, limits: Budget, spaces: Sequence[Space], rng: random.Random) -> Candidate | None:
    """One draw, or None where it leads out of the budget; `spaces` are ordered by each limit's measure."""
    values: dict[str, Value] = {gene.name: rng.choice(gene.values) for gene in space.genes if not gene.ordered}
    ordered = [gene for gene in space.genes if gene.ordered]
    solved = solved_gene(space)
    rng.shuffle(ordered)
    for gene in sorted(ordered, key=lambda gene: gene is solved):
        windows = [_window(by, limit, gene.name, values) for by, limit in zip(spaces, limits.limits, strict=True)]
        options = [value for value in gene.values if all(value in window for window in windows)]
        if not options:
            return None
        values[gene.name] = _choose(options, gene.log, rng)
    found = candidate(space, values)
    return found if found is not None and limits.allows(found.cost) else None


def _window(space: Space, limit: Limit, name: str, drawn: Values) -> tuple[Value, ...]:
    """The values of a gene from which `limit` can still be kept, by the cheapest and by the dearest of the rest.

    Found by bisection, since the limit's measure rises along the values of every numeric gene of `space`.
    """
    (gene,) = (gene for gene in space.genes if gene.name == name)
    cheap = {gene.name: gene.values[0] for gene in space.genes if gene.ordered} | dict(drawn)
    dear = {gene.name: gene.values[-1] for gene in space.genes if gene.ordered} | dict(drawn)

    def within(value: Value) -> bool:
        found = candidate(space, {**cheap, name: value})
        return found is not None and getattr(found.cost, limit.measure) <= limit.high

    def short(value: Value) -> bool:
        found = candidate(space, {**dear, name: value})
        return found is None or getattr(found.cost, limit.measure) < limit.low

    end = _count(len(gene.values), lambda index: within(gene.values[index]))
    start = _count(len(gene.values), lambda index: short(gene.values[index])) if limit.low else 0
    return gene.values[start:end]


def _count(size: int, holds: Callable[[int], bool]) -> int:
    """How many leading indices `holds` is true for, given that it never turns true again."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            low = middle + 1
        else:
            high = middle
    return low


def _choose(values: Sequence[Value], log: bool, rng: random.Random) -> Value:
    # Values of a range lie a constant step apart: a weight of 1 / value makes them uniform in the logarithm.
    return rng.choices(values, [1 / float(value) for value in values])[0] if log else rng.choice(values)
