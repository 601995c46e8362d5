"""Contrasts are what they say: seeds averaged within anchors, per doubling of cost; what cannot be paired is told."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from archspace.analysis.contrasts import Contrast, grid_of, pair
from archspace.errors import UserError
from studies import CONTRAST, of_effects, results

ERRORS = {"a": [[8.0, 10.0], [6.0, 6.0]], "b": [[10.0, 12.0], [5.0, 6.0]]}


def test_effects_average_seeds_first_and_divide_by_the_mean_of_both_doublings() -> None:
    found = pair(grid_of(results(ERRORS, {"a": 1.96, "b": 2.04})), CONTRAST)
    assert found.kind == "between arms"
    assert found.effects == pytest.approx([-1.0, 0.25])
    assert found.by_seed == pytest.approx(np.array([[-1.0, -1.0], [0.5, 0.0]]))


@pytest.mark.parametrize(("doublings", "base"), [({"a": 0.0, "b": 2.0}, "a"), ({"a": 2.0, "b": 0.001}, "b")])
def test_against_the_base_the_other_arm_s_doublings_count(doublings: dict[str, float], base: str) -> None:
    found = pair(grid_of(results(ERRORS, doublings)), CONTRAST)
    assert (found.kind, found.base) == ("against the base", base)
    assert found.effects == pytest.approx([-1.0, 0.25])


@pytest.mark.parametrize("doublings", [0.0, math.nan, 0.05])
def test_at_equal_cost_effects_are_plain_percentage_points(doublings: float) -> None:
    found = pair(grid_of(results(ERRORS, {"a": doublings, "b": doublings})), CONTRAST)
    assert found.kind == "equal cost"
    assert found.effects == pytest.approx([-2.0, 0.5])


def test_the_order_of_rows_does_not_matter() -> None:
    rows = results(ERRORS)
    assert pair(grid_of(rows.sample(frac=1, random_state=3)), CONTRAST).effects == pytest.approx([-2.0, 0.5])


def test_failures_are_counted_and_keep_the_error_of_guessing() -> None:
    found = pair(grid_of(results({"a": [[90.0, 10.0], [10.0, 10.0]], "b": [[10.0, 10.0]] * 2})), CONTRAST)
    assert found.failures == (1, 0)
    assert found.effects == pytest.approx([40.0, 0.0])


def test_an_anchor_without_one_of_the_arms_is_left_out_by_name() -> None:
    rows = of_effects([0.1, 0.2, 0.3])
    found = pair(grid_of(rows[(rows["anchor"] != "n1") | (rows["arm"] != "b")]), CONTRAST)
    assert found.anchors == ("n0", "n2")
    assert found.left_out == ("n1",)


def test_seeds_that_only_other_arms_have_do_not_matter() -> None:
    rows = pd.concat([of_effects([0.1, 0.2]), results({"c": [[1.0, 2.0, 3.0]] * 2})])
    assert pair(grid_of(rows), CONTRAST).seeds == (0, 1)


def _without(row: int) -> pd.DataFrame:
    return of_effects([0.1, 0.2, 0.3]).drop(index=row)


def _with(**values: object) -> pd.DataFrame:
    rows = of_effects([0.1, 0.2, 0.3])
    for column, value in values.items():
        rows.loc[0, column] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (_without(0), "anchor 'n0' has no training of arm 'a' at seed 0; train it"),
        (_with(error=math.nan), "anchor 'n0', arm 'a', seed 0 has no error; a failed training has that of guessing"),
        (_with(seed=1), "anchor 'n0', arm 'a', seed 1 is there twice"),
        (_with(stratum="other"), "anchor 'n0' is in more than one stratum"),
        (of_effects([0.1]), "1 anchors have both arms; no test can be made of fewer than 2"),
        (of_effects([0.1, 0.2]).drop(columns="failed"), "no column failed"),
        (of_effects([0.1, 0.2]).replace({"arm": {"a": "aa"}}), "no arm 'a' in the results"),
        (results(ERRORS, {"a": -1.0}), "costs less than its anchor's base"),
        (results(ERRORS, {"a": 1.0, "b": 2.0}), "its arms cost up to 2.00 times each other"),
        (results(ERRORS, {"a": 0.09, "b": -0.09}), "its arms cost up to 1.13 times each other"),
        (of_effects([0.1, 0.2]).assign(cell=list("xyxxyyyy")), "is in more than one cell; give it one"),
    ],
)
def test_what_cannot_be_paired_is_said_with_where_and_what_to_do(rows: pd.DataFrame, message: str) -> None:
    with pytest.raises(UserError) as raised:
        pair(grid_of(rows), CONTRAST)
    assert message in str(raised.value)


def test_anchors_of_different_units_are_refused() -> None:
    rows = results(ERRORS)
    rows.loc[rows["anchor"] == "n0", "doublings"] = 0.0
    with pytest.raises(UserError, match="no common unit"):
        pair(grid_of(rows), CONTRAST)


def test_a_misspelt_arm_is_guessed() -> None:
    with pytest.raises(UserError, match="did you mean 'cardinality'"):
        pair(grid_of(results({"cardinality": [[1.0]] * 2, "b": [[1.0]] * 2})), Contrast("x", "cardinalty", "b"))


def test_cells_are_read_where_results_have_them() -> None:
    rows = of_effects([0.1, 0.2])
    assert pair(grid_of(rows), CONTRAST).cells == ("n0", "n1")
    assert pair(grid_of(rows.assign(cell="cost1")), CONTRAST).cells == ("cost1", "cost1")


def test_cells_count_where_their_arms_took_different_rates() -> None:
    rows = of_effects([0.1, 0.2, 0.3, 0.4])
    rows["cell"] = rows["anchor"].map({"n0": "cost1", "n1": "cost1", "n2": "cost2", "n3": "cost2"})
    rows["rate"] = rows["arm"].map({"a": 0.1, "b": 0.4})
    assert pair(grid_of(rows), CONTRAST).cells == ("n0", "n1", "n2", "n3")
    rows.loc[(rows["cell"] == "cost2") & (rows["arm"] == "b"), "rate"] = 0.2
    assert pair(grid_of(rows), CONTRAST).cells == ("cost1", "cost1", "cost2", "cost2")
