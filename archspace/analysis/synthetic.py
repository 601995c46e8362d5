"""Synthetic studies of known truth, to find out what the analysis of a study says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from archspace.analysis.contrasts import CELL, Grid

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Truth:
    """Variance components of a study; all but `base` and `failures` in percentage points.

    `base` is the error of each stratum as a fraction; `anchor_sd` the spread of anchors around it. Arms have `effects`
    per doubling of cost, at each anchor an effect of their own of `effect_sd` per doubling, and with `cell_sd` one that
    the anchors of a stratum share, as tuned rates make it; trainings vary by `seed_sd`. A share `failures` of trainings
    has the error of guessing. Of the variance of which image is wrong `shared` is the image's own and `by_arm` that of
    images under an arm, both at all anchors.
    """

    effects: Mapping[str, float]
    base: Mapping[str, float]
    anchor_sd: float = 1.0
    effect_sd: float = 0.2
    cell_sd: float = 0.0
    seed_sd: float = 0.2
    failures: float = 0.0
    guessing: float = 0.9
    doublings: float = 1.0
    shared: float = 0.6
    by_arm: float = 0.1


@dataclass(frozen=True)
class Study:
    """A synthetic study: its `grid`, and which images were wrong, if asked for."""

    grid: Grid
    wrong: dict[tuple[str, str, int], npt.NDArray[np.bool_]] | None

    @property
    def results(self) -> pd.DataFrame:
        """The table that `contrasts.grid_of` reads this grid from."""
        return _table(self.grid)


def synthesise(truth: Truth, anchors: int, seeds: int, rng: np.random.Generator, images: int = 0) -> Study:
    """A study of so many anchors, shared out among the strata in turn; with `images` each error is that on them.

    Over all images there could be, a training's error is exactly what the components make it.
    """
    arms, strata = sorted(truth.effects), list(truth.base)
    of_anchor = tuple(strata[index % len(strata)] for index in range(anchors))
    shape = (anchors, len(arms), seeds)
    doublings = truth.doublings * rng.uniform(0.95, 1.05, size=shape[:2])
    own = np.array([truth.effects[arm] for arm in arms]) + truth.effect_sd * rng.standard_normal(shape[:2])
    if truth.cell_sd:
        places = np.arange(anchors) % len(strata)
        own = own + (truth.cell_sd * rng.standard_normal((len(strata), len(arms))))[places]
    points = 100.0 * np.array([truth.base[name] for name in of_anchor])[:, None, None]
    points = points + truth.anchor_sd * rng.standard_normal((anchors, 1, 1))
    # Effects are per doubling of the mean cost of an anchor's arms, as the contrasts take them.
    points = points + (own * doublings.mean(axis=1, keepdims=True))[:, :, None]
    points = points + truth.seed_sd * rng.standard_normal(shape)
    failed = rng.random(shape) < truth.failures
    error = np.where(failed, truth.guessing, np.clip(points / 100.0, 0.0, 1.0))
    doublings = np.broadcast_to(doublings.mean(axis=1, keepdims=True), shape[:2])
    wrong = _wrong(truth, error, images, rng) if images else None
    observed = error if wrong is None else wrong.mean(axis=-1)
    names = tuple(f"anchor {index:03d}" for index in range(anchors))
    cells = of_anchor if truth.cell_sd else names
    unknown = np.full(shape[:2], np.nan)
    grid = Grid(names, of_anchor, cells, tuple(arms), tuple(range(seeds)), observed, failed, doublings, unknown)
    return Study(grid, None if wrong is None else _named(grid, wrong))


def _wrong(
    truth: Truth, error: npt.NDArray[np.float64], images: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Which images are wrong, (anchors, arms, seeds, images): a probit whose threshold is the training's error."""
    from scipy import stats

    own = np.sqrt(truth.shared) * rng.standard_normal(images)
    under = np.sqrt(truth.by_arm) * rng.standard_normal((error.shape[1], images))
    rest = np.sqrt(1 - truth.shared - truth.by_arm) * rng.standard_normal((*error.shape, images))
    found: npt.NDArray[np.bool_] = own + under[None, :, None] + rest > stats.norm.isf(error)[..., None]
    return found


def _table(grid: Grid) -> pd.DataFrame:
    import pandas as pd

    anchor, arm, seed = (places.ravel() for places in np.indices(grid.error.shape))
    return pd.DataFrame(
        {
            "anchor": np.array(grid.anchors)[anchor],
            "stratum": np.array(grid.strata)[anchor],
            CELL: np.array(grid.cells)[anchor],
            "arm": np.array(grid.arms)[arm],
            "seed": np.array(grid.seeds)[seed],
            "error": grid.error.ravel(),
            "failed": grid.failed.ravel(),
            "doublings": grid.doublings[anchor, arm],
        }
    )


def _named(grid: Grid, wrong: npt.NDArray[np.bool_]) -> dict[tuple[str, str, int], npt.NDArray[np.bool_]]:
    return {
        (grid.anchors[index], grid.arms[place], grid.seeds[seed]): wrong[index, place, seed]
        for index, place, seed in np.ndindex(*wrong.shape[:3])
    }
