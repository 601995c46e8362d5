"""Results of a study as a grid, and pairs of its arms within anchors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from archspace.errors import UserError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Kind = Literal["between arms", "against the base", "equal cost"]
COLUMNS = ("anchor", "stratum", "arm", "seed", "error", "failed", "doublings")
CELL, RATE = "cell", "rate"
"""Further columns that results may have: anchors of one cell share the learning rates that its arms were tuned to."""
LEAST_DOUBLINGS = 0.1
"""Costs within 7 % of each other count as equal: so little cannot be divided by."""
FEWEST_ANCHORS = 2


@dataclass(frozen=True)
class Contrast:
    """A question of a study: arm `a` against arm `b`; effects below zero say that `a` has the lower error."""

    name: str
    a: str
    b: str


@dataclass(frozen=True)
class Grid:
    """All results: `error` and `failed` of shape (anchors, arms, seeds), `doublings` (anchors, arms); NaN is no row.

    Without cells each anchor is a cell of its own; `rates`, (anchors, arms), are NaN where they are not known.
    """

    anchors: tuple[str, ...]
    strata: tuple[str, ...]
    cells: tuple[str, ...]
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    error: Floats
    failed: npt.NDArray[np.bool_]
    doublings: Floats
    rates: Floats


@dataclass(frozen=True)
class Paired:
    """Two arms at the anchors that have both: errors `a` and `b` (anchors, seeds) in fractions, `doublings` (anchors,).

    Doublings are 1 where the kind is "equal cost": effects are then plain percentage points. `base` is the arm that is
    the anchors' base itself, if one is. `failures` are those of a and of b; `left_out` are anchors without both arms.
    Anchors share a cell where a choice of rates was made for them together, and for others otherwise.
    """

    contrast: Contrast
    kind: Kind
    base: Literal["a", "b"] | None
    anchors: tuple[str, ...]
    strata: tuple[str, ...]
    cells: tuple[str, ...]
    seeds: tuple[int, ...]
    a: Floats
    b: Floats
    doublings: Floats
    failures: tuple[int, int]
    left_out: tuple[str, ...]

    @property
    def by_seed(self) -> Floats:
        """Effect of each anchor and seed, (anchors, seeds), in percentage points per doubling; below zero: a wins."""
        effects: Floats = 100.0 * (self.a - self.b) / self.doublings[:, None]
        return effects

    @property
    def effects(self) -> Floats:
        """Effect of each anchor, its seeds averaged first, (anchors,), in percentage points per doubling."""
        effects: Floats = self.by_seed.mean(axis=1)
        return effects


def grid_of(results: pd.DataFrame) -> Grid:
    """The table of a study, one row per training, as arrays; its columns are `COLUMNS`, and `CELL` and `RATE` if there.

    Raises UserError where a column is missing, a training is there twice, an error is no number, or an anchor is in two
    strata or cells.
    """
    missing = [name for name in COLUMNS if name not in results.columns]
    if missing:
        raise UserError(f"results: no column {', '.join(missing)}; a study's results have {', '.join(COLUMNS)}")
    twice = results[results.duplicated(["anchor", "arm", "seed"])]
    if len(twice):
        raise UserError(f"results: {_training(twice.iloc[0])} is there twice; keep one row for each training")
    lost = results[results["error"].isna()]
    if len(lost):
        raise UserError(f"results: {_training(lost.iloc[0])} has no error; a failed training has that of guessing")
    rows, anchors = _codes(results["anchor"])
    columns, arms = _codes(results["arm"])
    layers, seeds = _codes(results["seed"])
    strata = _labels("stratum", results["stratum"], rows, anchors)
    cells = _labels(CELL, results[CELL], rows, anchors) if CELL in results.columns else tuple(map(str, anchors))
    error = np.full((len(anchors), len(arms), len(seeds)), np.nan)
    error[rows, columns, layers] = results["error"].to_numpy(dtype=float)
    failed = np.zeros(error.shape, dtype=bool)
    failed[rows, columns, layers] = results["failed"].to_numpy(dtype=bool)
    doublings, rates = np.full((2, *error.shape[:2]), np.nan)
    doublings[rows, columns] = results["doublings"].to_numpy(dtype=float)
    if RATE in results.columns:
        rates[rows, columns] = results[RATE].to_numpy(dtype=float)
    names = tuple(map(str, anchors)), strata, cells, tuple(map(str, arms)), tuple(map(int, seeds))
    return Grid(*names, error, failed, doublings, rates)


def pair(grid: Grid, contrast: Contrast) -> Paired:
    """The arms of a contrast at the anchors that have both.

    Raises UserError for an unknown arm, for an anchor of which one arm lacks a seed, for fewer than two anchors, and
    where doublings give no common unit: see `unit_of_cost`.
    """
    where = f"contrast {contrast.name!r}"
    for arm in (contrast.a, contrast.b):
        if arm not in grid.arms:
            raise UserError(f"{where}: no arm {arm!r} in the results{did_you_mean(arm, grid.arms)}")
    arms = [grid.arms.index(contrast.a), grid.arms.index(contrast.b)]
    there = np.isfinite(grid.error[:, arms])
    both = np.all(np.any(there, axis=2), axis=1)
    used = np.flatnonzero(both).tolist()
    if len(used) < FEWEST_ANCHORS:
        raise UserError(
            f"{where}: {len(used)} anchors have both arms; no test can be made of fewer than {FEWEST_ANCHORS}: "
            "train both arms at more anchors"
        )
    seeds = np.flatnonzero(np.any(there[used], axis=(0, 1))).tolist()
    for anchor, arm, seed in np.argwhere(~there[used][:, :, seeds]):
        raise UserError(
            f"{where}: anchor {grid.anchors[used[anchor]]!r} has no training of arm {grid.arms[arms[arm]]!r} at seed "
            f"{grid.seeds[seeds[seed]]}; train it, or give it the error of guessing if it failed: pairs need the same "
            "seeds everywhere"
        )
    kind, base, doublings = unit_of_cost(where, grid.doublings[used][:, arms])
    error, failed = grid.error[used][:, :, seeds], grid.failed[used][:, arms]
    return Paired(
        contrast,
        kind,
        base,
        tuple(grid.anchors[index] for index in used),
        tuple(grid.strata[index] for index in used),
        _cells(grid, used, arms),
        tuple(grid.seeds[index] for index in seeds),
        error[:, arms[0]],
        error[:, arms[1]],
        doublings,
        (int(failed[:, 0].sum()), int(failed[:, 1].sum())),
        tuple(name for index, name in enumerate(grid.anchors) if index not in used),
    )


def unit_of_cost(where: str, doublings: Floats) -> tuple[Kind, Literal["a", "b"] | None, Floats]:
    """What effects are divided by: the mean of both arms' doublings, or those of the arm that is not the base.

    `doublings` is (anchors, 2). Raises UserError where some anchors are at equal cost and others not, where an arm is
    cheaper than its base, and where two arms that are not the base differ in cost.
    """
    # Not-a-number compares as false: designs at equal cost may leave doublings out.
    if (doublings <= -LEAST_DOUBLINGS).any():
        raise UserError(
            f"{where}: an arm costs less than its anchor's base, so it spends no doubling; make the cheaper design the "
            "base"
        )
    spent = doublings >= LEAST_DOUBLINGS
    apart = np.abs(doublings[:, 0] - doublings[:, 1])
    if (apart[spent[:, 0] == spent[:, 1]] >= LEAST_DOUBLINGS).any():
        raise UserError(
            f"{where}: its arms cost up to {2 ** np.nanmax(apart):.2f} times each other, so neither compute nor its "
            "doublings are shared; `spend` an axis in both, or compare each with the base"
        )
    if not spent.any():
        return "equal cost", None, np.ones(len(doublings))
    if not (spent == spent[0]).all():
        raise UserError(
            f"{where}: at some anchors the arms cost as much as the base, at others not, so effects have no common "
            "unit; compare those anchors in contrasts of their own"
        )
    if spent[0].all():
        return "between arms", None, doublings.mean(axis=1)
    return ("against the base", "b", doublings[:, 0]) if spent[0, 0] else ("against the base", "a", doublings[:, 1])


def _cells(grid: Grid, used: list[int], arms: list[int]) -> tuple[str, ...]:
    """The cells of a contrast's anchors: each its own where both arms took the same rates everywhere.

    Then no cell was luckier than another in its choice.
    """
    rates = grid.rates[used][:, arms]
    alike = (rates == rates[0]).all()  # of rates that are not known it is not
    return tuple((grid.anchors if alike else grid.cells)[index] for index in used)


def _labels(what: str, column: pd.Series, rows: npt.NDArray[np.intp], anchors: Sequence[Any]) -> tuple[str, ...]:
    """The one label of each anchor, whose place `rows` gives for each row."""
    pairs = list(zip(rows.tolist(), column.tolist(), strict=True))
    found = dict(pairs)
    torn = [row for row, label in pairs if found[row] != label]
    if torn:
        raise UserError(f"results: anchor {anchors[torn[0]]!r} is in more than one {what}; give it one")
    return tuple(str(found[row]) for row in range(len(anchors)))


def _codes(column: pd.Series) -> tuple[npt.NDArray[np.intp], list[Any]]:
    values, codes = np.unique(column.to_numpy(), return_inverse=True)
    return codes, values.tolist()


def _training(row: pd.Series) -> str:
    return f"anchor {row['anchor']!r}, arm {row['arm']!r}, seed {row['seed']}"
