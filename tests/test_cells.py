"""What anchors of a cell share is in the spread of the mean: by hand, against statsmodels, by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as formulas
from statsmodels.stats.anova import anova_lm

from archspace.analysis.cells import spread_of

CELLS = ["a"] * 3 + ["b"] * 3 + ["c"] * 3


def alone(effects: np.ndarray) -> float:
    return float(effects.var(ddof=1)) / len(effects)


def test_where_cells_differ_more_the_variance_is_that_of_their_means() -> None:
    effects = np.array([0.1, 0.0, -0.1, 1.1, 1.0, 0.9, 3.1, 3.0, 2.9])
    found = spread_of(effects, CELLS)
    assert found.cells
    assert found.df == pytest.approx(2)
    assert found.variance == pytest.approx(np.var([0.0, 1.0, 3.0], ddof=1) / 3)
    assert found.variance > alone(effects)


def test_where_they_differ_no_more_than_anchors_it_is_that_of_anchors() -> None:
    effects = np.array([1.0, 0.0, -1.0, 1.1, 0.0, -1.0, 0.9, 0.0, -1.0])
    found = spread_of(effects, CELLS)
    assert (found.variance, found.df, found.cells) == (alone(effects), 8, False)


@pytest.mark.parametrize("cells", [["all"] * 9, [str(n) for n in range(9)]])
def test_one_cell_and_a_cell_for_each_anchor_are_no_cells(cells: list[str]) -> None:
    effects = np.arange(9.0)
    assert spread_of(effects, cells) == spread_of(effects, cells[:1] * 9)
    assert not spread_of(effects, cells).cells


def test_the_order_of_anchors_does_not_matter() -> None:
    effects, order = np.array([0.1, 0.0, -0.1, 1.1, 1.0, 0.9, 3.1, 3.0, 2.9]), np.random.default_rng(0).permutation(9)
    mixed = spread_of(effects[order], [CELLS[place] for place in order])
    assert mixed.variance == pytest.approx(spread_of(effects, CELLS).variance)


def test_cells_of_unlike_size_have_the_components_of_a_nested_analysis_of_variance() -> None:
    effects, cells = np.array([0.1, 0.4, 1.1, 1.4, 0.9, 2.0]), ["a", "a", "b", "b", "b", "c"]
    frame = pd.DataFrame({"effect": effects, "cell": cells})
    table = anova_lm(formulas.ols("effect ~ C(cell)", frame).fit())
    between, within = table["mean_sq"]
    usual = (6 - (4 + 9 + 1) / 6) / 2
    component = (between - within) / usual
    found = spread_of(effects, cells)
    assert found.variance == pytest.approx(component * (4 + 9 + 1) / 36 + within / 6)
    assert 1 < found.df < 5


def test_what_cells_add_is_estimated_without_bias_towards_too_little() -> None:
    rng, cells = np.random.default_rng(1), [str(n // 6) for n in range(18)]
    found = []
    for _ in range(2_000):
        effects = 0.5 * rng.standard_normal(3)[np.arange(18) // 6] + 0.3 * rng.standard_normal(18)
        found.append(spread_of(effects, cells).variance)
    truth = 0.25 / 3 + 0.09 / 18
    assert truth * 0.95 < np.mean(found) < truth * 1.1
