"""Design spaces against each other: distributions of error as drawn and at equal cost, and what tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archspace.analysis.best_of import (
    HALF_WIDTH,
    TOLERANCE,
    TRUSTED,
    BestOf,
    Stopping,
    best_of,
    equal,
    expected_best,
    resampled,
    stopping,
)
from archspace.analysis.distribution import LEVEL, Edf, Ks, edf, ks_test, matched_ks_test, quantile
from archspace.analysis.matching import Matched, matched, mean_cost, unmatched
from archspace.seeds import derive

Array = NDArray[Any]


@dataclass(frozen=True)
class Sample:
    """Networks of a space: val errors (fractions, that of guessing where training failed), costs, what failed."""

    name: str
    errors: Array
    costs: Array
    failed: int = 0


@dataclass(frozen=True)
class Distribution:
    """A sample's errors under some weights; `cost` is the weighted geometric mean of what its networks cost."""

    edf: Edf
    median: float
    cost: float
    best_of: BestOf


@dataclass(frozen=True)
class Side:
    """A sample, as drawn and at equal cost (None where nothing costs the same), and whether to draw more of it.

    `left_out` networks have no counterpart in cost.
    """

    sample: Sample
    drawn: Distribution
    matched: Distribution | None
    left_out: int
    stopping: Stopping


@dataclass(frozen=True)
class Difference:
    """The second sample's figure less the first one's (error, a fraction), with its 95 % bootstrap interval.

    Above 0 the first space is the better one.
    """

    value: float
    low: float
    high: float

    @property
    def better(self) -> int | None:
        """0 or 1 for the space that is better beyond chance, else None."""
        return 0 if self.low > 0 else 1 if self.high < 0 else None


@dataclass(frozen=True)
class Pair:
    """Two samples against each other at equal cost; `p` is that of all pairs together (Holm 1979).

    `best` is the difference of the expected best of `best_n` networks. `drawn` is the test without regard to cost.
    """

    one: int
    other: int
    drawn: Ks
    ks: Ks
    p: float
    median: Difference
    best: Difference
    best_n: int


@dataclass(frozen=True)
class Comparison:
    """Samples against each other; `pairs` is empty where their costs have no range in common."""

    sides: tuple[Side, ...]
    pairs: tuple[Pair, ...]
    matched: Matched | None
    measure: str


def compare(
    samples: Sequence[Sample],
    measure: str = "flops",
    seed: int = 0,
    *,
    bins: int | None = None,
    tolerance: float = TOLERANCE,
    wanted: float = HALF_WIDTH,
) -> Comparison:
    """Compare samples of two networks or more each; costs are of `measure`, randomness comes from `seed`.

    Method: Radosavovic et al. 2019, 1905.13214, and 2020, 2003.13678, Section 3.1.
    """
    costs = [sample.costs for sample in samples]
    plain, equal_cost = unmatched(costs), matched(costs, bins)
    sides = tuple(
        _side(number, sample, plain, equal_cost, seed, tolerance, wanted) for number, sample in enumerate(samples)
    )
    pairs = [
        _pair(one, other, samples, equal_cost, seed)
        for one, other in combinations(range(len(samples)), 2)
        if equal_cost is not None
    ]
    return Comparison(sides, _holm(pairs), equal_cost, measure)


def _side(
    number: int, sample: Sample, plain: Matched, equal_cost: Matched | None, seed: int, tolerance: float, wanted: float
) -> Side:
    rng = np.random.default_rng(derive(seed, "best of", number))
    at_equal_cost = None if equal_cost is None else _distribution(number, sample, equal_cost, rng)
    weights = plain.weights[number] if equal_cost is None else equal_cost.weights[number]
    return Side(
        sample=sample,
        drawn=_distribution(number, sample, plain, rng),
        matched=at_equal_cost,
        left_out=len(sample.errors) if equal_cost is None else equal_cost.left_out[number],
        stopping=stopping(sample.errors, weights, tolerance, wanted),
    )


def _distribution(number: int, sample: Sample, held: Matched, rng: np.random.Generator) -> Distribution:
    weights, bins = held.weights[number], held.bins[number]
    return Distribution(
        edf=edf(sample.errors, weights),
        median=float(quantile(sample.errors, weights, 0.5)),
        cost=mean_cost(sample.costs, weights),
        best_of=best_of(sample.errors, weights, bins, rng),
    )


def _pair(one: int, other: int, samples: Sequence[Sample], held: Matched, seed: int) -> Pair:
    errors = samples[one].errors, samples[other].errors
    weights, bins = (held.weights[one], held.weights[other]), (held.bins[one], held.bins[other])
    rng = np.random.default_rng(derive(seed, "pair", one, other))
    found = matched_ks_test(errors, weights, bins, rng)
    inside = [held_by > 0 for held_by in weights]
    kept = [sample[mask] for sample, mask in zip(errors, inside, strict=True)]
    heights = [held_by[mask] for held_by, mask in zip(weights, inside, strict=True)]
    rows = [
        resampled(sample, weight, place[mask], rng)
        for sample, weight, place, mask in zip(kept, heights, bins, inside, strict=True)
    ]
    size = min(edf(sample, weight).effective for sample, weight in zip(errors, weights, strict=True))
    best_n = max(1, int(size + 1e-9) // TRUSTED)
    medians, bests = [], []
    for sample, weight, (drawn, shares) in zip(kept, heights, rows, strict=True):
        medians.append((quantile(sample, weight, 0.5), quantile(drawn, shares, 0.5)))
        both = ((sample, weight), (drawn, shares))
        bests.append(
            tuple(
                expected_best(found, np.array([best_n]), None if equal(weight) else held)[..., 0]
                for found, held in both
            )
        )
    return Pair(
        one, other, ks_test(*errors), found, found.p, _difference(*medians), _difference(*bests), best_n
    )  # fmt: skip


def _difference(one: tuple[Array, ...], other: tuple[Array, ...]) -> Difference:
    """Of estimates and their bootstrap rows."""
    low, high = np.quantile(other[1] - one[1], ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Difference(float(other[0] - one[0]), float(low), float(high))


def _holm(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The same pairs with p adjusted for how many there are: none is wrongly told apart in 95 of 100 comparisons."""
    adjusted: dict[int, float] = {}
    least = 0.0
    for rank, number in enumerate(sorted(range(len(pairs)), key=lambda number: pairs[number].ks.p)):
        least = max(least, min(1.0, (len(pairs) - rank) * pairs[number].ks.p))
        adjusted[number] = least
    return tuple(replace(pair, p=adjusted[number]) for number, pair in enumerate(pairs))
