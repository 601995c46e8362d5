"""The best of n networks of a space: what random search finds, and when to stop drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archspace.analysis.distribution import LEVEL, effective_size, half_width, models_for

Array = NDArray[Any]

RESAMPLES = 2000
POINTS = 40
"""Of a curve, spread over its numbers of draws in the logarithm."""
TRUSTED = 4
"""The bootstrap's interval of the best of n is given up to a `TRUSTED`-th of the sample: beyond, a resample hardly ever
holds better networks than the sample's own best, and the interval is too narrow (tested by simulation)."""
TOLERANCE = 0.005
"""A gain of error below which further draws are not worth it, as a fraction."""
HALF_WIDTH = 0.1
"""Of an EDF's band that is narrow enough."""


@dataclass(frozen=True)
class BestOf:
    """The expected least val error of n networks, for each of `draws`; its 95 % interval, NaN where none is given."""

    draws: Array
    expected: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Stopping:
    """Whether to draw more: `drawn` networks, the `gain` in expected best error of the last `last` of them.

    As many further ones bring no more than that in expectation, for each draw brings less than the one before it.
    `half_width` is the EDF's, which takes `more` further networks to come down to `wanted`.
    """

    drawn: int
    last: int
    gain: float
    tolerance: float
    half_width: float
    wanted: float
    more: int

    @property
    def best_found(self) -> bool:
        """Whether further draws are not worth it for a better network."""
        return self.gain <= self.tolerance


def expected_best(errors: Array, draws: Array, weights: Array | None = None) -> Array:
    """The expected least error of n networks, in closed form from order statistics, for each n of `draws`.

    `errors` is a sample or rows of them; the result has a column for each n. Without weights n networks of the sample
    are taken without replacement, which estimates the space's own best of n without bias: the best of all is above the
    i-th of N with probability C(N - i, n) / C(N, n). With weights they are drawn anew each time: (1 - F(e))^n.
    """
    errors, draws = np.asarray(errors, dtype=float), np.asarray(draws)
    if weights is None:
        chances: Array = np.sort(errors, axis=-1) @ _chances(errors.shape[-1], draws)
        return chances
    order = np.argsort(errors, axis=-1, kind="stable")
    values = np.take_along_axis(errors, order, -1)
    held = np.take_along_axis(np.broadcast_to(weights, errors.shape), order, -1)
    above = np.clip(1 - np.cumsum(held, axis=-1) / held.sum(axis=-1, keepdims=True), 0.0, 1.0)
    above[..., -1] = 0.0
    before = np.concatenate([np.ones((*above.shape[:-1], 1)), above[..., :-1]], axis=-1)
    return np.stack([((before**n - above**n) * values).sum(axis=-1) for n in draws], axis=-1)


def _chances(size: int, draws: Array) -> Array:
    """The probability that the i-th least of `size` is the least of n drawn without replacement: rows i, columns n."""
    from scipy.special import gammaln

    ranks = np.arange(size + 1)[:, None]
    left = size - ranks
    with np.errstate(invalid="ignore"):
        logs = gammaln(left + 1) - gammaln(left - draws + 1) - gammaln(size + 1) + gammaln(size - draws + 1)
    above = np.where(left >= draws, np.exp(logs), 0.0)
    return above[:-1] - above[1:]


def best_of(errors: Array, weights: Array, bins: Array, rng: np.random.Generator, level: float = LEVEL) -> BestOf:
    """The curve of the expected best of 1, 2, ... networks with a bootstrap interval, each n by itself.

    It reaches as far as the effective size of the sample. `bins` are those that the models are resampled in.
    """
    size = max(1, int(effective_size(weights) + 1e-9))
    draws = np.unique(np.round(np.geomspace(1, size, min(size, POINTS))).astype(int))
    inside = weights > 0
    held = None if equal(weights) else weights[inside]
    expected = expected_best(errors[inside], draws, held)
    trusted = draws <= max(1, size // TRUSTED)
    rows, shares = resampled(errors[inside], weights[inside], bins[inside], rng)
    spread = expected_best(rows, draws[trusted], None if held is None else shares)
    low, high = np.full((2, len(draws)), math.nan)
    low[trusted], high[trusted] = np.quantile(spread, ((1 - level) / 2, (1 + level) / 2), axis=0)
    return BestOf(draws, expected, low, high)


def equal(weights: Array) -> bool:
    """Whether all models that count weigh the same."""
    held = weights[weights > 0]
    return bool(np.ptp(held) <= 1e-9 * held.max())


def resampled(
    errors: Array, weights: Array, bins: Array, rng: np.random.Generator, rows: int = RESAMPLES
) -> tuple[Array, Array]:
    """Rows of bootstrap samples drawn bin by bin, and the weight of each column.

    Of m models m - 1 are drawn, by their weights, and share those: m draws of few models would vary too little (Rao and
    Wu 1988, 10.1080/01621459.1988.10478591). A bin of one model is drawn from together with the next one.
    """
    drawn, shares = [], []
    for inside in _pools(bins):
        held = weights[inside]
        count = max(1, len(inside) - 1)
        drawn.append(errors[rng.choice(inside, size=(rows, count), p=held / held.sum())])
        shares.append(np.full(count, held.sum() / count))
    return np.concatenate(drawn, axis=1), np.concatenate(shares)


def _pools(bins: Array) -> list[Array]:
    """The places of the models that are drawn together: those of a bin, or of bins in a row of which one is alone."""
    pools: list[Array] = []
    for place in np.unique(bins):
        inside = np.flatnonzero(bins == place)
        if pools and min(len(pools[-1]), len(inside)) == 1:
            pools[-1] = np.concatenate([pools[-1], inside])
        else:
            pools.append(inside)
    return pools


def stopping(
    errors: Array, weights: Array, tolerance: float = TOLERANCE, wanted: float = HALF_WIDTH, level: float = LEVEL
) -> Stopping:
    """When to stop drawing from a space, by the best of n and by the EDF's band.

    `errors` are those of all networks drawn, unweighted; `weights` those of the comparison, which decide how wide the
    band is. The expected best of n falls ever slower, so what the last quarter of the draws brought bounds what another
    quarter will (both in expectation).
    """
    drawn = len(errors)
    last = max(1, drawn // 4)
    best = expected_best(errors, np.array([max(drawn - last, 1), drawn]))
    effective = effective_size(weights)
    needed = math.ceil(models_for(wanted, level) * drawn / effective - 1e-9)
    return Stopping(
        drawn=drawn,
        last=last,
        gain=float(best[0] - best[1]),
        tolerance=tolerance,
        half_width=half_width(effective, level),
        wanted=wanted,
        more=max(0, needed - drawn),
    )
