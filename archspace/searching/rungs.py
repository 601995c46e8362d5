"""Rungs: asynchronous successive halving for two objectives, as a pure decision."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

REDUCTION = 2
"""One in this many goes on from a rung, besides what is on the front there."""


@dataclass(frozen=True)
class Standing:
    """A trial at a rung: val error (a fraction), val cross-entropy (nats), and its cost."""

    number: int
    error: float
    cross_entropy: float
    cost: float

    def dominates(self, other: Standing) -> bool:
        """At most the other's cost and error (ties by cross-entropy), and less of one of them."""
        mine, theirs = (self.error, self.cross_entropy), (other.error, other.cross_entropy)
        return mine <= theirs and self.cost <= other.cost and (mine < theirs or self.cost < other.cost)


def goes_on(this: Standing, others: Iterable[Standing], reduction: int = REDUCTION) -> bool:
    """Whether a trial goes on past a rung, given the others that reached it so far.

    It does if none of them dominates it, or if it is among the best ceil(n / reduction) when ranked by the number of
    trials that dominate it, then by error and cross-entropy. With cost in the ranking a cheap network is not stopped
    for being less accurate than a dear one. (Li et al. 2020, 1810.05934, for one objective; Schmucker et al. 2021,
    2106.12639, for several.)
    """
    field = [this, *(other for other in others if other.number != this.number)]

    def rank(standing: Standing) -> tuple[int, float, float]:
        return sum(other.dominates(standing) for other in field), standing.error, standing.cross_entropy

    ahead = sum(rank(other) < rank(this) for other in field)
    return rank(this)[0] == 0 or ahead < math.ceil(len(field) / reduction)
