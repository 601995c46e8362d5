"""Fronts of error and cost, the winner on a front, and the hypervolume that fronts reach."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from archspace.errors import RunFailed

if TYPE_CHECKING:
    import pandas as pd


def front(trials: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The complete trials that no other complete trial dominates in (error, `measure`), by `measure` ascending.

    Columns are those of `RunRecord.trials`. Of trials equal in both the one with the lower cross-entropy stays, then
    the one with the lower number.
    """
    import moocore

    # moocore keeps the first of equal points, so the order here is the tie-break.
    complete = trials[trials["state"] == "complete"].sort_values(["cross_entropy", "number"])
    if complete.empty:
        return complete.reset_index(drop=True)
    kept = moocore.is_nondominated(complete[["error", measure]].to_numpy(dtype=float))
    ahead: pd.DataFrame = complete[kept]
    return ahead.sort_values(measure).reset_index(drop=True)


def winner(front: pd.DataFrame, measure: str) -> pd.Series:
    """The row of the lowest error; ties go to the lower cross-entropy, then the lower `measure`.

    Raises RunFailed if the front is empty.
    """
    if front.empty:
        raise RunFailed(
            "no winner: no trial has finished the top rung; read the reasons of failed trials, or resume the run"
        )
    return front.sort_values(["error", "cross_entropy", measure]).iloc[0]


def hypervolume(trials: pd.DataFrame, measure: str, cap: float, classes: int) -> float:
    """Area in (error, ln cost) between the front and the reference point, in error x nats; 0 without a front.

    The reference point is the error of guessing, 1 - 1/classes, and ln `cap`, with `cap` in the unit of `measure`;
    `classes` are those of the task (Zitzler and Thiele 1998, PPSN V).
    """
    complete = trials[trials["state"] == "complete"]
    return _area(_points(complete, measure), cap, classes)


def hypervolume_over_time(trials: pd.DataFrame, measure: str, cap: float, classes: int) -> pd.DataFrame:
    """The hypervolume after each complete trial, in the order in which they finished.

    Columns: `at` (seconds since the run began), `trials` (complete ones so far), `hypervolume` (error x nats).
    """
    import pandas as pd

    complete = trials[trials["state"] == "complete"].sort_values(["finished", "number"])
    points = _points(complete, measure)
    counts = range(1, len(points) + 1)
    return pd.DataFrame(
        {
            "at": complete["finished"].to_numpy(dtype=float),
            "trials": list(counts),
            "hypervolume": [_area(points[:count], cap, classes) for count in counts],
        }
    )


def _points(complete: pd.DataFrame, measure: str) -> list[tuple[float, float]]:
    return [(float(error), math.log(cost)) for error, cost in zip(complete["error"], complete[measure], strict=True)]


def _area(points: list[tuple[float, float]], cap: float, classes: int) -> float:
    """Dominated points add nothing, so they may be among `points`."""
    import moocore

    if not points:
        return 0.0
    return float(moocore.hypervolume(points, ref=[1.0 - 1.0 / classes, math.log(cap)]))
