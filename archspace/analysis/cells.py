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
    df: float
    cells: bool


def spread_of(effects: Floats, cells: Sequence[str]) -> Spread:
    """How far the mean of anchors' effects, (anchors,), may be off; `cells` names each anchor's.

    Anchors of a cell share the learning rates that its arms were tuned to, so a rate picked by luck moves them all.
    Where cells differ by more than their anchors do, the variance is that of means of cells (nested analysis of
    variance, degrees of freedom by Satterthwaite); else it is that of anchors. One cell cannot be told from none.
    """
    anchors = len(effects)
    alone = Spread(float(effects.var(ddof=1)) / anchors, anchors - 1, False)
    places, sizes = np.unique(np.asarray(cells), return_inverse=True, return_counts=True)[1:]
    count = len(sizes)
    if count in (1, anchors):
        return alone
    means = np.bincount(places, effects) / sizes
    between = float((sizes * (means - effects.mean()) ** 2).sum()) / (count - 1)
    within = float(((effects - means[places]) ** 2).sum()) / (anchors - count)
    if between <= within:
        return alone
    squares = float((sizes**2).sum())
    # Of cells of one size this is between / anchors.
    of_between = squares * (count - 1) / (anchors * (anchors**2 - squares))
    parts = of_between * between, (1 / anchors - of_between) * within
    variance = sum(parts)
    df = variance**2 / (parts[0] ** 2 / (count - 1) + parts[1] ** 2 / (anchors - count))
    return Spread(variance, df, True)
