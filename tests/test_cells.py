"""What anchors of a cell share is in the spread of the mean: by hand, against statsmodels, by simulation."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from archspace.analysis.cells import spread_of

CELLS = ["a"] * 3 + ["b"] * 3 + ["c"] * 3
EFFECTS = np.array([0.1, 0.0, -0.1, 1.1, 1.0, 0.9, 3.1, 3.0, 2.9])


def test_of_cells_of_one_size_the_variance_is_that_of_their_means() -> None:
    found = spread_of(EFFECTS, CELLS)
    assert (found.df, found.cells) == (2, True)
    assert found.variance == pytest.approx(np.var([0.0, 1.0, 3.0], ddof=1) / 3)


@pytest.mark.parametrize("cells", [["all"] * 9, [str(n) for n in range(9)]])
def test_one_cell_and_a_cell_for_each_anchor_are_no_cells(cells: list[str]) -> None:
    found = spread_of(EFFECTS, cells)
    assert (found.df, found.cells) == (8, False)
    assert found.variance == pytest.approx(EFFECTS.var(ddof=1) / 9)


def test_the_order_of_anchors_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(9)
    mixed = spread_of(EFFECTS[order], [CELLS[place] for place in order])
    assert mixed.variance == pytest.approx(spread_of(EFFECTS, CELLS).variance)


def test_of_cells_of_unlike_size_it_is_that_of_clusters() -> None:
    effects, cells = np.array([0.1, 0.4, 1.1, 1.4, 0.9, 2.0]), np.array([0, 0, 1, 1, 1, 2])
    fit = sm.OLS(effects, np.ones(6)).fit(cov_type="cluster", cov_kwds={"groups": cells, "df_correction": True})
    # statsmodels' further factor (n - 1) / (n - 1) is 1 for a mean.
    assert spread_of(effects, [str(cell) for cell in cells]).variance == pytest.approx(fit.bse[0] ** 2)


def test_what_cells_add_is_estimated_without_bias() -> None:
    rng, cells = np.random.default_rng(1), [str(n // 6) for n in range(18)]
    found = []
    for _ in range(4_000):
        effects = 0.5 * rng.standard_normal(3)[np.arange(18) // 6] + 0.3 * rng.standard_normal(18)
        found.append(spread_of(effects, cells).variance)
    assert np.mean(found) == pytest.approx(0.25 / 3 + 0.09 / 18, rel=0.07)
