"""Distributions of error: EDFs with confidence bands, quantiles, and whether two of them differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LEVEL = 0.95
"""Of every band and interval."""
PERMUTATIONS = 4000
_TINY = 1e-9
"""Sums of weights that differ by less are equal: rounding moves them by less."""


@dataclass(frozen=True)
class Edf:
    """The share of models whose error is at most each of `errors` (ascending, each once), with its confidence band.

    `low` and `high` hold for all errors at once. `n` counts the models that carry weight, `effective` is
    1 / sum(weights^2), `half_width` that of the band.
    """

    errors: Array
    shares: Array
    low: Array
    high: Array
    n: int
    effective: float
    half_width: float


def edf(errors: Array, weights: Array | None = None, level: float = LEVEL) -> Edf:
    """The empirical distribution of errors (fractions), weighted or not, with a band of the confidence `level`.

    The band is that of the Dvoretzky-Kiefer-Wolfowitz inequality with Massart's constant (1990): it holds for every
    n and every distribution, with ties too. With weights, 1 / sum(weights^2) stands for n. At any one error that is
    Hoeffding's inequality, which holds exactly for models drawn within their bins; that it holds for all errors at
    once too is tested by simulation. A bootstrap is not used: where no model of a sample is better than some error, it
    says that none of the space is.
    """
    errors = np.asarray(errors, dtype=float)
    weights = np.full(len(errors), 1 / len(errors)) if weights is None else np.asarray(weights, dtype=float)
    values, places = np.unique(errors[weights > 0], return_inverse=True)
    shares = np.minimum(np.cumsum(np.bincount(places, weights[weights > 0])) / weights.sum(), 1.0)
    shares[-1] = 1.0
    effective = effective_size(weights)
    half = half_width(effective, level)
    low, high = np.maximum(shares - half, 0.0), np.minimum(shares + half, 1.0)
    return Edf(values, shares, low, high, int((weights > 0).sum()), effective, half)


def effective_size(weights: Array) -> float:
    """How many models of equal weight would tell as much (Kish 1965): (sum w)^2 / sum w^2."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def half_width(n: float, level: float = LEVEL) -> float:
    """Of the band of an EDF of `n` models: sqrt(ln(2 / (1 - level)) / (2 n)); 1.36 / sqrt(n) at 95 %, 1 at most."""
    return min(1.0, math.sqrt(math.log(2 / (1 - level)) / (2 * n)))


def models_for(half: float, level: float = LEVEL) -> int:
    """How many models a band of this half width takes."""
    return math.ceil(math.log(2 / (1 - level)) / (2 * half**2) - _TINY)


def quantile(errors: Array, weights: Array, share: float) -> Array:
    """The error that this share of the weight does not exceed, of one sample or of rows of them.

    Where the share is met exactly between two errors it is their mean, so the median is the usual one.
    """
    order = np.argsort(errors, axis=-1, kind="stable")
    values = np.take_along_axis(errors, order, -1)
    held = np.cumsum(np.take_along_axis(np.broadcast_to(weights, errors.shape), order, -1), axis=-1)
    wanted = share * held[..., -1:]
    lower = (held < wanted - _TINY).sum(axis=-1, keepdims=True)
    upper = (held <= wanted + _TINY).sum(axis=-1, keepdims=True)
    last = errors.shape[-1] - 1
    ends = [np.take_along_axis(values, np.minimum(place, last), -1)[..., 0] for place in (lower, upper)]
    middle: Array = (ends[0] + ends[1]) / 2
    return middle


def ks(one: Array, other: Array, weights: Array | None = None, others: Array | None = None) -> float:
    """The greatest difference of two EDFs, weighted or not: the Kolmogorov-Smirnov statistic."""
    signed = [
        np.full(len(sample), 1 / len(sample)) if held is None else held / held.sum()
        for sample, held in ((one, weights), (other, others))
    ]
    errors = np.concatenate([one, other])
    order = np.argsort(errors, kind="stable")
    steps = np.concatenate([signed[0], -signed[1]])[order]
    return float(_greatest(steps[None], _ends(errors[order]))[0])


@dataclass(frozen=True)
class Ks:
    """The statistic and how often chance alone gives one as large, in percent of `permutations` (0: computed)."""

    statistic: float
    p: float
    permutations: int = 0


def ks_test(one: Array, other: Array) -> Ks:
    """The two-sample test of unweighted samples: exact or asymptotic p as SciPy chooses by their sizes."""
    from scipy.stats import ks_2samp

    found = ks_2samp(one, other)
    return Ks(float(found.statistic), float(found.pvalue))


def matched_ks_test(
    samples: tuple[Array, Array],
    weights: tuple[Array, Array],
    bins: tuple[Array, Array],
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> Ks:
    """The two-sample test at equal cost: whether in every bin of cost both spaces have the same errors.

    Models change sides at random within their bin of cost, which leaves every weight as it is; p is the share of these
    permutations, the sample itself among them, whose statistic is at least as large. So the test keeps its level
    exactly, whatever the weights and ties, where within a bin error does not depend on cost.
    """
    errors = np.concatenate([sample[held > 0] for sample, held in zip(samples, weights, strict=True)])
    steps = np.concatenate([sign * held[held > 0] for sign, held in zip((1, -1), weights, strict=True)])
    places = np.concatenate([place[held > 0] for place, held in zip(bins, weights, strict=True)])
    order = np.argsort(errors, kind="stable")
    steps, places, ends = steps[order], places[order], _ends(errors[order])
    found = float(_greatest(steps[None], ends)[0])
    rows = np.repeat(steps[None], permutations, axis=0)
    for place in np.unique(places):
        inside = np.flatnonzero(places == place)
        rows[:, inside] = rng.permuted(rows[:, inside], axis=1)
    larger = int((_greatest(rows, ends) >= found - _TINY).sum())
    return Ks(found, (1 + larger) / (1 + permutations), permutations)


def _ends(ordered: Array) -> Array:
    """Where each run of equal errors ends: between them an EDF has no value."""
    return np.flatnonzero(np.append(ordered[1:] > ordered[:-1], True))


def _greatest(rows: Array, ends: Array) -> Array:
    """The largest difference of the EDFs, for rows of signed weights in the order of errors."""
    largest: Array = np.abs(np.cumsum(rows, axis=1)[:, ends]).max(axis=1)
    return largest
