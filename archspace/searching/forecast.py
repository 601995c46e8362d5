"""When the trials of a search end, given how long each trains: arithmetic alone."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from archspace.searching.rungs import REDUCTION

Ending = Literal["trials", "time", "either"]


@dataclass(frozen=True)
class Spread:
    """The median of many values, and two between which nine in ten of them lie."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Range:
    """Where half of the trials are stopped at each rung but the last, and where none is."""

    half: float
    none: float


@dataclass(frozen=True)
class Length:
    """Seconds of a trial: before its first epoch, and of each epoch."""

    before: float
    epoch: float


@dataclass(frozen=True)
class Timetable:
    """Seconds from the first trial's start to the last one's end, and how many ended by themselves."""

    seconds: float
    finished: int


@dataclass(frozen=True)
class Forecast:
    """Seconds that a search takes to run all its trials, those at which it ends, trials that finish by then, and why.

    `ends_by`: its trials, its time limit, or either of them, as many trials are stopped at rungs or few.
    """

    all_trials: Range
    seconds: Range
    finished: Range
    ends_by: Ending


def spread_of(values: Iterable[float]) -> Spread:
    """Median, 5th and 95th percentile."""
    import numpy as np

    low, median, high = np.quantile(list(values), (0.05, 0.5, 0.95)).tolist()
    return Spread(low, median, high)


def expected_epochs(rungs: Sequence[int], reduction: int = REDUCTION) -> float:
    """Epochs of a trial in the mean, where one in `reduction` goes on from each rung but the last."""
    epochs, share, before = 0.0, 1.0, 0
    for rung in rungs:
        epochs += share * (rung - before)
        share, before = share / reduction, rung
    return epochs


def timetable(trials: Iterable[Length], epochs: float, workers: int, limit: float = math.inf) -> Timetable:
    """Trials in order, each begun by the first worker that is free, for `epochs` epochs each.

    After `limit` seconds no trial is begun and no further epoch, but one that has begun is finished.
    """
    free = [0.0] * workers
    last, finished = 0.0, 0
    for trial in trials:
        start = heapq.heappop(free)
        if start >= limit:
            break
        end = start + trial.before + epochs * trial.epoch
        trained = math.ceil(max(limit - start - trial.before, 0.0) / trial.epoch) if end > limit else 0
        stopped = start + trial.before + max(trained, 1) * trial.epoch if end > limit else math.inf
        finished += end <= stopped
        last = max(last, min(end, stopped))
        heapq.heappush(free, min(end, stopped))
    return Timetable(last, finished)


def forecast(trials: Sequence[Length], rungs: Sequence[int], workers: int, start: float, limit: float) -> Forecast:
    """When a search ends whose first trial begins after `start` seconds; `limit` counts from before that."""
    whole: list[float] = []
    held: list[Timetable] = []
    for epochs in (expected_epochs(rungs), float(rungs[-1])):
        whole.append(start + timetable(trials, epochs, workers).seconds)
        held.append(timetable(trials, epochs, workers, max(limit - start, 0.0)))
    late = [seconds > limit for seconds in whole]
    return Forecast(
        all_trials=Range(*whole),
        seconds=Range(*(start + table.seconds for table in held)),
        finished=Range(*(table.finished for table in held)),
        ends_by="time" if all(late) else "either" if any(late) else "trials",
    )
