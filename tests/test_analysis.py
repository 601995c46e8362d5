"""Fronts, winners and hypervolume, held to their definitions."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspace.analysis.front import front, hypervolume, hypervolume_over_time, winner
from archspace.errors import RunFailed

COLUMNS = ["number", "state", "error", "cross_entropy", "flops", "finished"]


def table(*rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=COLUMNS)


# Small ranges, so that ties and equal points are drawn often.
trials_tables = st.lists(
    st.tuples(
        st.sampled_from(["complete", "complete", "stopped"]),
        st.integers(0, 8).map(lambda tenth: tenth / 10),
        st.integers(1, 6).map(float),
        st.integers(1, 9).map(lambda size: 100 * size),
    ),
    max_size=14,
).map(lambda rows: table(*((number, *row, 10.0 - number) for number, row in enumerate(rows))))


def dominates(a: pd.Series, b: pd.Series) -> bool:
    return a.error <= b.error and a.flops <= b.flops and (a.error < b.error or a.flops < b.flops)


@given(trials_tables)
def test_the_front_is_every_complete_trial_that_none_dominates_once_per_point(trials: pd.DataFrame) -> None:
    rows = [row for _, row in trials[trials["state"] == "complete"].iterrows()]
    free = [row for row in rows if not any(dominates(other, row) for other in rows)]
    best: dict[tuple[int, float], tuple[float, int]] = {}
    for row in free:
        point = (row.flops, row.error)
        best[point] = min(best.get(point, (math.inf, 0)), (row.cross_entropy, row.number))
    expected = [best[point][1] for point in sorted(best)]
    assert list(front(trials, "flops")["number"]) == expected


@given(trials_tables)
def test_hypervolume_is_the_area_counted_box_by_box(trials: pd.DataFrame) -> None:
    ahead = front(trials, "flops")
    edges = [*map(math.log, ahead["flops"]), math.log(900)]
    area = sum(
        (right - left) * (0.9 - error) for (left, right), error in zip(pairwise(edges), ahead["error"], strict=True)
    )
    assert hypervolume(trials, "flops", 900, 10) == pytest.approx(area)


def test_hypervolume_counts_no_trial_that_guesses_or_costs_more_than_the_cap() -> None:
    trials = table((0, "complete", 0.5, 1.0, 100, 1.0), (1, "complete", 0.1, 1.0, 2000, 2.0))
    assert hypervolume(trials, "flops", 1000, 2) == 0.0
    assert hypervolume(trials, "flops", 1000, 10) == pytest.approx(0.4 * math.log(10))


@given(trials_tables)
def test_hypervolume_over_time_never_falls_and_ends_at_the_hypervolume(trials: pd.DataFrame) -> None:
    steps = hypervolume_over_time(trials, "flops", 900, 10)
    complete = trials[trials["state"] == "complete"]
    assert list(steps["trials"]) == list(range(1, len(complete) + 1))
    assert list(steps["at"]) == sorted(complete["finished"])
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(steps["hypervolume"]))
    last = steps["hypervolume"].iloc[-1] if len(steps) else 0.0
    assert last == pytest.approx(hypervolume(trials, "flops", 900, 10))


def test_hypervolume_over_time_takes_trials_as_they_finished_not_as_they_are_numbered() -> None:
    trials = table((0, "complete", 0.1, 1.0, 100, 9.0), (1, "complete", 0.5, 1.0, 100, 2.0))
    steps = hypervolume_over_time(trials, "flops", 1000, 10)
    assert list(steps["at"]) == [2.0, 9.0]
    assert list(steps["hypervolume"]) == pytest.approx([0.4 * math.log(10), 0.8 * math.log(10)])


def test_the_winner_has_the_lowest_error_then_cross_entropy_then_cost() -> None:
    rows = [
        (0, "complete", 0.2, 0.1, 100, 1.0),
        (1, "complete", 0.1, 0.9, 100, 2.0),
        (2, "complete", 0.1, 0.5, 300, 3.0),
        (3, "complete", 0.1, 0.5, 200, 4.0),
    ]
    Random(1).shuffle(rows)
    assert winner(table(*rows), "flops")["number"] == 3


def test_without_a_complete_trial_there_is_a_front_of_none_and_no_winner() -> None:
    trials = table((0, "stopped", 0.2, 1.0, 100, 1.0), (1, "failed", math.nan, math.nan, 90, 2.0))
    ahead = front(trials, "flops")
    assert ahead.empty
    assert list(ahead.columns) == COLUMNS
    assert hypervolume(trials, "flops", 1000, 10) == 0.0
    with pytest.raises(RunFailed, match="no trial has finished the top rung"):
        winner(ahead, "flops")
