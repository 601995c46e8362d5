"""Standard error, t interval and equivalence test of a mean effect over anchors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archspace.analysis.cells import spread_of
from archspace.analysis.contrasts import Floats, Paired
from archspace.errors import UserError

NO_SPREAD = 1e-6
"""Of the margin: a standard error below is what rounding leaves of none."""
Wrong = Mapping[tuple[str, str, int], npt.NDArray[np.bool_]]
"""Which test images a training got wrong, (images,), by anchor, arm and seed; the images' order is the same in all."""


@dataclass(frozen=True)
class Precision:
    """How well a mean effect is known: its standard error and degrees of freedom, and the share that images add.

    `se` and `images` in the effect's unit; `images` is the part of the standard error that more anchors cannot
    lower, because all anchors are tested on the same images; 0 where it is not known. `cells` says that the
    standard error is that over cells.
    """

    estimate: float
    se: float
    df: float
    images: float = 0.0
    cells: bool = False


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests: `p` is the larger of `p_low` (effect above -margin) and `p_high` (effect below margin)."""

    margin: float
    p_low: float
    p_high: float
    p: float


def precision(paired: Paired, wrong: Wrong | None = None) -> Precision:
    """Mean with its standard error: the spread of anchors' effects, or of cells', and that of images if they are given.

    Anchors and images are crossed: the variance of the mean is that over anchors, plus that over images, less their
    residual, which both contain (Cameron, Gelbach and Miller 2011, 10.1198/jbes.2010.07136); degrees of freedom are
    Satterthwaite's. Raises UserError where images are given of some trainings only.
    """
    estimate, spread = float(paired.effects.mean()), spread_of(paired.effects, paired.cells)
    if wrong is None:
        return Precision(estimate, math.sqrt(spread.variance), spread.df, 0.0, spread.cells)
    table = _by_image(paired, wrong)
    of_images = _common(table)
    total = spread.variance + of_images
    parts = spread.variance**2 / spread.df + of_images**2 / (table.shape[1] - 1)
    df = total**2 / parts if parts else spread.df
    return Precision(estimate, math.sqrt(total), df, math.sqrt(of_images), spread.cells)


def t_interval(known: Precision, confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval around the mean effect, in its unit."""
    from scipy import stats

    half = known.se * float(stats.t.ppf(0.5 + confidence / 2, known.df))
    return known.estimate - half, known.estimate + half


def t_test_p(known: Precision) -> float:
    """Two-sided p-value of Student's test of no mean effect, at the precision known: what images add is in it."""
    from scipy import stats

    return float(2 * stats.t.sf(abs(known.estimate) / known.se, known.df)) if known.se else float(not known.estimate)


def tost(known: Precision, margin: float) -> Equivalence:
    """Is the effect within ±`margin`? Two one-sided t tests over anchors (Schuirmann 1987, 10.1007/BF01068419).

    `margin` in the effect's unit. Raises UserError for a margin that is not above 0.
    """
    from scipy import stats

    if not margin > 0:
        raise UserError(f"margin {margin:g}: must be above 0; give the largest effect that would make no difference")
    gaps = np.array([known.estimate + margin, margin - known.estimate])
    # Errors are counts of images: anchors that agree to the last of them are a coincidence, and no measure of spread.
    low, high = stats.t.sf(gaps / known.se, known.df) if known.se > NO_SPREAD * margin else (1.0, 1.0)
    return Equivalence(margin, float(low), float(high), float(max(low, high)))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given (Holm 1979, Scandinavian Journal of Statistics 6).

    Those of statsmodels' `multipletests`, which collects garbage at each call: a tenth of a second.
    """
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return tuple(adjusted.tolist())


def images_of(paired: Paired, wrong: Wrong) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Wrong images of both arms, each (anchors, seeds, images).

    Raises UserError where one training's are missing, or have another number of images than the rest.
    """
    found = []
    for arm in (paired.contrast.a, paired.contrast.b):
        keys = [(anchor, arm, seed) for anchor in paired.anchors for seed in paired.seeds]
        for key in keys:
            if key not in wrong or wrong[key].shape != wrong[keys[0]].shape:
                raise UserError(
                    f"test images of anchor {key[0]!r}, arm {key[1]!r}, seed {key[2]}: missing, or not as many as of "
                    "other trainings; give all trainings' on the same images, or none"
                )
        found.append(np.stack([wrong[key] for key in keys]).reshape(len(paired.anchors), len(paired.seeds), -1))
    if found[0].shape != found[1].shape:
        raise UserError(f"test images of contrast {paired.contrast.name!r}: its arms were tested on different images")
    return found[0], found[1]


def _by_image(paired: Paired, wrong: Wrong) -> Floats:
    """Effect of each anchor on each image, seeds averaged: (anchors, images)."""
    a, b = images_of(paired, wrong)
    table: Floats = 100.0 * (a.mean(axis=1) - b.mean(axis=1)) / paired.doublings[:, None]
    return table


def _common(table: Floats) -> float:
    """Variance of the grand mean that comes from effects of images common to all anchors; floored at 0."""
    anchors, images = table.shape
    of_images = table.mean(axis=0)
    rest = table - of_images - table.mean(axis=1, keepdims=True) + table.mean()
    residual = float((rest**2).sum()) / ((anchors - 1) * (images - 1))
    common = float(of_images.var(ddof=1)) - residual / anchors
    return float(max(0.0, common) / images)
