"""A hierarchical bootstrap: anchors within strata, seeds within anchors, test images jointly for all trainings."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archspace.analysis.contrasts import Floats, Paired
from archspace.analysis.equivalence import Wrong, images_of

DRAWS = 2_000
BATCH = 250
"""Draws of images at a time: weights of 10,000 images then take 10 MB."""
TRIM = 0.25

Integers = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Draws:
    """One figure for each draw, each (draws,): mean effect, interquartile mean of effects, probability that a wins."""

    mean: Floats
    middle: Floats
    better: Floats
    groups: int


def resample(paired: Paired, draws: int, rng: np.random.Generator, wrong: Wrong | None = None) -> Draws:
    """Draws of a study like this one.

    Anchors are drawn within their stratum; strata of one anchor are drawn from together, since one anchor alone would
    never vary. A seed stands for both arms. Memory is proportional to draws x anchors x seeds.
    """
    groups = _groups(paired.strata)
    anchors = np.empty((draws, len(paired.anchors)), dtype=np.intp)
    for group in groups:
        anchors[:, group] = group[rng.integers(len(group), size=(draws, len(group)))]
    seeds = rng.integers(len(paired.seeds), size=(*anchors.shape, len(paired.seeds)))
    a, b = _errors(paired, draws, rng, wrong)
    rows = np.arange(draws)[:, None, None] if wrong is not None else 0
    drawn_a, drawn_b = a[rows, anchors[:, :, None], seeds], b[rows, anchors[:, :, None], seeds]
    effects = 100.0 * (drawn_a.mean(axis=2) - drawn_b.mean(axis=2)) / paired.doublings[anchors]
    return Draws(effects.mean(axis=1), interquartile_mean(effects), _better(drawn_a, drawn_b), len(groups))


def interval_of(
    figures: Floats, centre: float, anchors: int, groups: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Percentiles of the draws, (draws,), moved away from `centre` by what few anchors lack.

    Percentiles are too narrow twice: a drawn variance is short by (anchors - groups)/anchors, and they are those of a
    normal distribution where Student's is due (Hesterberg 2015, 10.1080/00031305.2015.1089789).
    """
    from scipy import stats

    tail = 0.5 - confidence / 2
    low, high = np.quantile(figures, [tail, 1 - tail])
    df = anchors - groups
    wider = math.sqrt(anchors / df) * float(stats.t.ppf(tail, df) / stats.norm.ppf(tail))
    return centre + wider * (float(low) - centre), centre + wider * (float(high) - centre)


def interquartile_mean(effects: Floats) -> Floats:
    """Mean of the middle half along the last axis, a quarter of the anchors cut from either end (2108.13264)."""
    from scipy import stats

    middle: Floats = stats.trim_mean(effects, TRIM, axis=-1)
    return middle


def probability_better(paired: Paired) -> float:
    """How often a training of `a` has a lower error than one of `b` at the same anchor, ties half (2108.13264).

    All pairs of seeds are compared, and anchors averaged.
    """
    return float(_better(paired.a[None], paired.b[None])[0])


def _better(a: Floats, b: Floats) -> Floats:
    """Arrays (draws, anchors, seeds)."""
    left, right = a[..., :, None], b[..., None, :]
    share: Floats = ((left < right) + 0.5 * (left == right)).mean(axis=(1, 2, 3))
    return share


def _errors(paired: Paired, draws: int, rng: np.random.Generator, wrong: Wrong | None) -> tuple[Floats, Floats]:
    """Errors of each draw of images, (draws, anchors, seeds); (1, anchors, seeds) without images."""
    if wrong is None:
        return paired.a[None], paired.b[None]
    stacked = np.stack(images_of(paired, wrong))
    images = stacked.shape[-1]
    # 0 and 1 times a count below 2^24: sums are exact in single precision.
    flat = stacked.reshape(-1, images).astype(np.float32).T
    found = np.empty((draws, flat.shape[1]))
    for start in range(0, draws, BATCH):
        size = min(BATCH, draws - start)
        picks = rng.integers(images, size=(size, images)) + images * np.arange(size)[:, None]
        weights = np.bincount(picks.ravel(), minlength=size * images).reshape(size, images)
        found[start : start + size] = weights.astype(np.float32) @ flat / images
    shaped = found.reshape(draws, 2, len(paired.anchors), len(paired.seeds))
    return shaped[:, 0], shaped[:, 1]


def _groups(strata: tuple[str, ...]) -> list[Integers]:
    """Places of the anchors that are drawn from together; each group has at least two."""
    sizes = Counter(strata)
    lone = [place for place, name in enumerate(strata) if sizes[name] == 1]
    groups = [[place for place, own in enumerate(strata) if own == name] for name, size in sizes.items() if size > 1]
    if len(lone) > 1:
        groups.append(lone)
    elif lone:
        groups[0].extend(lone)
    return [np.array(group) for group in groups]
