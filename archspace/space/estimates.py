"""What a sample tells of the whole: intervals of shares, quantiles, how far two things rise together."""

from __future__ import annotations

import math

import numpy as np

from archspace.program import Array

Z = 1.959963984540054
"""A normal variable lies within so many standard deviations with a probability of 95 %."""
BINS = 48
"""Of a histogram."""


def wilson(found: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share of which `found` in `of` were seen (Wilson 1927); holds for none and for all too."""
    share, weight = found / of, Z**2 / of
    middle = (share + weight / 2) / (1 + weight)
    half = math.sqrt(share * (1 - share) * weight + weight**2 / 4) / (1 + weight)
    return (middle - half if found else 0.0), (middle + half if found < of else 1.0)


def quantile(ordered: Array, share: float) -> float:
    """The least of some figures, in rising order, that this share of them does not exceed; of none not-a-number."""
    if not len(ordered):
        return math.nan
    return float(ordered[max(0, math.ceil(share * len(ordered)) - 1)])


def ranks(figures: Array) -> Array:
    """The rank of each figure, equal ones sharing the mean of theirs."""
    _, places, counts = np.unique(figures, return_inverse=True, return_counts=True)
    found: Array = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return found


def correlation(a: Array, b: Array) -> float:
    """Pearson's correlation, of ranks Spearman's; not-a-number where one of them is the same throughout."""
    if not len(a):
        return math.nan
    a, b = a - a.mean(), b - b.mean()
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / spread if spread else math.nan


def correlation_ratio(groups: Array, figures: Array) -> float:
    """Eta, from 0 to 1: the spread of the groups' means over that of all figures (standard deviations).

    `groups` numbers the group of each figure. Of two groups it is the correlation without its sign.
    """
    if not len(figures):
        return math.nan
    counts, figures = np.bincount(groups), figures - figures.mean()
    sums = np.bincount(groups, figures)
    total = float(figures @ figures)
    return math.sqrt(float((sums**2 / np.maximum(counts, 1)).sum()) / total) if total else math.nan


def chance(count: int) -> float:
    """The half-width of a correlation's 95 % interval over so many draws, at most (it is widest around 0)."""
    return Z / math.sqrt(max(1, count - 3))


def histogram(figures: Array) -> tuple[list[float], list[int]]:
    """How many of some figures, all above 0, lie between edges that are evenly spaced in the logarithm."""
    if not len(figures):
        return [], []
    low, high = float(figures.min()), float(figures.max())
    if low == high:
        low, high = 0.9 * low, 1.1 * high
    edges = np.geomspace(low, high, BINS + 1)
    counts, _ = np.histogram(figures, edges)
    # The last edge may miss the greatest by a rounding error.
    counts[-1] += len(figures) - counts.sum()
    return edges.tolist(), counts.tolist()
