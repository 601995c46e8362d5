"""What a choice made once for a cell adds to the spread of its anchors' effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archspace.analysis.contrasts import Floats


@dataclass(frozen=True)
class Spread:
    """Variance of the mean effect over anchors with its degrees of freedom; `cells` says that it is that over cells."""

    variance: float
    df: int
    cells: bool


def spread_of(effects: Floats, cells: Sequence[str]) -> Spread:
    """How far the mean of anchors' effects, (anchors,), may be off; `cells` names each anchor's.

    Anchors of a cell share the learning rates that its arms were tuned to, so a rate picked by luck moves them all, and
    cells are what can be counted on to differ by themselves: the variance is that of the sums of cells (Liang and Zeger
    1986, 10.1093/biomet/73.1.13, with k/(k - 1)). One cell cannot be told from none.
    """
    anchors = len(effects)
    places, sizes = np.unique(np.asarray(cells), return_inverse=True, return_counts=True)[1:]
    count = len(sizes)
    if count in (1, anchors):
        return Spread(float(effects.var(ddof=1)) / anchors, anchors - 1, False)
    sums = np.bincount(places, effects - effects.mean())
    return Spread(float((sums**2).sum()) / anchors**2 * count / (count - 1), count - 1, True)
