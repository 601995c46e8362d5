"""Solving a space for a budget: which settings of some genes keep it, once the others are given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from archspace.program import Array
from archspace.space.budget import Limit
from archspace.space.costing import Costing, column_of
from archspace.space.space import Gene, Space, Value

COSTED, TRIED = 64, 2**10
"""Settings of the solved genes that are costed, and that are tried, for each setting of the free ones."""
WIDTHS = ("width", "growth_rate")
"""What makes a network wider in small steps."""
PROBES = 64
"""Settings at which it is tried whether costs add up over depths."""
SLACK = 1e-9
"""By how much a predicted time may miss its limit here; it is looked at again, exactly."""


@dataclass(frozen=True, eq=False)
class Solutions:
    """For each setting of the free genes (rows) and of the tried ones (columns): which values of the last gene do.

    Those from number `first` to number `last`; none where `last` is below `first`. `chances` says how likely each
    column is, and each value of the last gene, where all of them keep the limits.
    """

    first: Array
    last: Array
    chances: tuple[Array, Array]

    def drawn(self, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """One solution for each row that has any: the rows, a column for each, and a number of the last gene."""
        tried, final = self.chances
        sums = np.concatenate([[0.0], np.cumsum(final)])
        totals = np.cumsum(
            np.where(self.last >= self.first, tried * (sums[self.last + 1] - sums[self.first]), 0.0), axis=1
        )
        rows = np.flatnonzero(totals[:, -1])
        a, b = rng.random((2, len(self.last)))[:, rows]
        columns = (totals[rows] <= (a * totals[rows, -1])[:, None]).sum(1)
        low, high = self.first[rows, columns], self.last[rows, columns]
        at = sums[low] + b * (sums[high + 1] - sums[low])
        return rows, columns, np.clip(np.searchsorted(sums, at, side="right") - 1, low, high)

    def of_row(self, row: int) -> Iterator[tuple[int, int, float]]:
        """Every solution of a row: column, number of the last gene, and its probability."""
        tried, final = self.chances
        found = [
            (int(column), number, float(tried[column] * final[number]))
            for column in np.flatnonzero(self.last[row] >= self.first[row])
            for number in range(self.first[row, column], self.last[row, column] + 1)
        ]
        total = sum(share for _, _, share in found)
        yield from ((column, number, share / total) for column, number, share in found)


@dataclass(frozen=True, eq=False)
class Solver:
    """The genes of a space in three groups: `free` ones, and those that are solved for `limits`.

    Of each setting of the `swept` genes the cost is computed. The `summed` ones are depths, over which costs add up,
    for a stage costs its first block and (depth - 1) times another one: each setting of all but the last is tried, and
    the last is computed from what is left. Genes are numbered: a setting has for each one the number of its value.
    """

    space: Space
    limits: tuple[Limit, ...]
    costing: Costing = field(repr=False)
    free: tuple[Gene, ...]
    swept: tuple[Gene, ...]
    summed: tuple[Gene, ...]

    @property
    def tried(self) -> tuple[Gene, ...]:
        """The solved genes but the last summed one."""
        return (*self.swept, *self.summed[:-1])

    @property
    def solved(self) -> tuple[Gene, ...]:
        """The genes that are solved for."""
        return (*self.swept, *self.summed)

    @property
    def costed(self) -> int:
        """How many settings are costed for each setting of the free genes."""
        return count(self.swept) * (1 + len(self.summed))

    def solutions(self, free: Array) -> Solutions:
        """The settings of the solved genes that keep the limits, for settings of the free ones (rows x genes)."""
        chances = np.ones(1)
        for gene in self.tried:
            chances = np.multiply.outer(chances, weights(gene)).ravel()
        final = np.array(self.summed[-1].values, float) if self.summed else np.zeros(1)
        first, last = np.zeros((2, len(free), len(chances)), int)
        last += len(final) - 1
        for limit, corners in zip(self.limits, self._corners(free), strict=True):
            base, step = self._lines(corners)
            slack = SLACK if limit.inexact else 0.0
            with np.errstate(divide="ignore", invalid="ignore"):
                low = (limit.low * (1 - slack) - base) / step + final[0]
                high = (limit.high * (1 + slack) - base) / step + final[0]
            first = np.maximum(first, np.searchsorted(final, low, side="left"))
            last = np.minimum(last, np.searchsorted(final, high, side="right") - 1)
            last = np.where(np.isnan(base), -1, last)
        first = np.where(first > last, last + 1, first)
        share = weights(self.summed[-1]) if self.summed else np.ones(1)
        return Solutions(first, last, (chances, share))

    def _lines(self, corners: Array) -> tuple[Array, Array]:
        """What is limited at the last gene's least value, and its rise with that value, at every setting tried."""
        base, step = corners[..., 0], np.ones_like(corners[..., 0])
        for number, gene in enumerate(self.summed, start=1):
            values = np.array(gene.values)
            rise = (corners[..., number] - corners[..., 0]) / (values[-1] - values[0])
            if number == len(self.summed):
                step = rise
            else:
                more = rise.reshape(*rise.shape, *[1] * (base.ndim - 2)) * np.ones(base.shape)
                base = base[..., None] + more[..., None] * (values - values[0])
        step = np.broadcast_to(step.reshape(*step.shape, *[1] * (base.ndim - 2)), base.shape)
        return base.reshape(len(base), -1), step.reshape(len(base), -1)

    def _corners(self, free: Array) -> Array:
        """What is limited, at every swept setting: with all summed genes at their least value, then each at its last.

        Limits x rows x swept settings x (1 + summed genes).
        """
        lasts = np.array([len(gene.values) - 1 for gene in self.summed], int)
        ends = np.vstack([np.zeros_like(lasts), np.diag(lasts)]).T
        shape = len(free), count(self.swept), ends.shape[1]
        numbers = [np.broadcast_to(column[:, None, None], shape) for column in free.T]
        numbers += [np.broadcast_to(column[:, None], shape) for column in grid(self.swept)]
        numbers += [np.broadcast_to(column, shape) for column in ends]
        columns = [column.ravel() for column in numbers]
        return self.figures((*self.free, *self.solved), columns, math.prod(shape)).reshape(-1, *shape)

    def figures(self, genes: Sequence[Gene], numbers: Sequence[Array], settings: int = 1) -> Array:
        """What is limited (limits x settings), at settings given by each gene's numbers; so many without genes."""
        columns = {gene.name: column_of(gene, own) for gene, own in zip(genes, numbers, strict=True)}
        out = np.empty((len(self.limits), len(numbers[0]) if len(numbers) else settings))
        self.costing.run(columns, out)
        return out

    def numbers(self, free: Array, tried: Array, last: Array) -> Array:
        """Each gene's number, the free ones first: of settings of those, columns of Solutions, the last gene's."""
        return np.hstack([free, numbers_at(self.tried, tried), *([last[:, None]] if self.summed else [])])

    def values(self, numbers: Iterable[int]) -> dict[str, Value]:
        """The value of each gene by its number, the free ones first."""
        genes = (*self.free, *self.solved)
        found = {gene.name: gene.values[number] for gene, number in zip(genes, numbers, strict=True)}
        return {gene.name: found[gene.name] for gene in self.space.genes}


@lru_cache(maxsize=64)
def solver_of(space: Space, limits: tuple[Limit, ...]) -> Solver:
    """The solver that fits a space: widths and depths are solved for, as many as can be looked at together.

    Where costs do not add up over depths (dense blocks, RegNet's rule, memory), other numeric genes as well.
    """
    varied = [gene for gene in space.genes if gene.ordered and len(gene.values) > 1]
    widths = _most_first(gene for gene in varied if gene.role in WIDTHS)
    depths = _most_first(gene for gene in varied if gene.role == "depth")
    others = _most_first(gene for gene in varied if gene.role not in (*WIDTHS, "depth"))
    costing = costing_of(space, limits)
    sums = all(limit.measure != "training_memory" for limit in limits)  # a peak is no sum
    if depths and limits and sums and _adds_up(space, limits, depths):
        swept = _within(widths, COSTED)
        longest, *others = depths
        summed = [*_within(others, TRIED // count(swept), some=False), longest]
    else:
        swept, summed = _within([*widths, *depths, *others], COSTED), []
    free = tuple(gene for gene in space.genes if gene not in (*swept, *summed))
    return Solver(space, limits, costing, free, tuple(swept), tuple(summed))


@lru_cache(maxsize=64)
def costing_of(space: Space, limits: tuple[Limit, ...]) -> Costing:
    """The costing of what `limits` limit, whatever their ends."""
    return Costing(space, lambda cost: [limit.of(cost) for limit in limits])


def _adds_up(space: Space, limits: tuple[Limit, ...], depths: Sequence[Gene]) -> bool:
    """Whether what is limited adds up over these genes, tried at random settings of all of them."""
    others = tuple(gene for gene in space.genes if gene not in depths)
    solver = Solver(space, limits, costing_of(space, limits), others, (), tuple(depths))
    rng = np.random.default_rng(0)
    free = np.array([rng.integers(len(gene.values), size=PROBES) for gene in others], int).reshape(-1, PROBES).T
    corners = solver._corners(free)[:, :, 0]
    numbers = [rng.integers(len(gene.values), size=PROBES) for gene in depths]
    predicted = corners[..., 0].copy()
    for place, (gene, own) in enumerate(zip(depths, numbers, strict=True), start=1):
        values = np.array(gene.values)
        predicted += (corners[..., place] - corners[..., 0]) * (values[own] - values[0]) / (values[-1] - values[0])
    found = solver.figures((*others, *depths), [*free.T, *numbers])
    known = ~np.isnan(predicted) & ~np.isnan(found)
    return bool(known.any()) and bool(np.allclose(predicted[known], found[known], rtol=1e-12, atol=0))


def _most_first(genes: Iterable[Gene]) -> list[Gene]:
    return sorted(genes, key=lambda gene: -len(gene.values))


def _within(genes: Sequence[Gene], most: int, some: bool = True) -> list[Gene]:
    """The genes, in order, that have at most so many settings together; the first in any case where it must be some."""
    taken: list[Gene] = []
    for gene in genes:
        if (some and not taken) or count([*taken, gene]) <= most:
            taken.append(gene)
    return taken


def count(genes: Iterable[Gene]) -> int:
    """How many settings some genes have together."""
    return math.prod(len(gene.values) for gene in genes)


def grid(genes: Sequence[Gene]) -> Array:
    """Every setting of some genes, a row of numbers for each gene."""
    return np.indices([len(gene.values) for gene in genes]).reshape(len(genes), count(genes))


def numbers_at(genes: Sequence[Gene], places: Array) -> Array:
    """The settings (places x genes) at some places in the order in which `grid` has them."""
    if not genes:
        return np.zeros((len(places), 0), int)
    return np.array(np.unravel_index(places, [len(gene.values) for gene in genes])).T


def weights(gene: Gene) -> Array:
    """How likely each value of a gene is: all alike, or uniform in the logarithm where the space says so."""
    # Values of a range lie a constant step apart: a weight of 1 / value makes them uniform in the logarithm.
    shares = 1 / np.array(gene.values, float) if gene.log else np.ones(len(gene.values))
    return np.asarray(shares / shares.sum())


def drawn_numbers(genes: Sequence[Gene], rows: int, rng: np.random.Generator) -> Array:
    """Random settings (rows x genes)."""
    columns = [rng.choice(len(gene.values), size=rows, p=weights(gene)) for gene in genes]
    return np.array(columns, int).reshape(len(genes), rows).T
