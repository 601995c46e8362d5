"""The sign-flip test: were arms only names, each anchor's effect could as well have the other sign."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archspace.analysis.contrasts import Floats

EXACT_UP_TO = 14
"""Anchors of which all sign patterns are tried: 16,384 of them."""
DRAWS = 9_999
"""Random patterns beyond that; with the observed one they make 10,000."""
TIE = 1e-9
"""Relative; sums that differ by rounding alone are equal."""


def sign_flip_p(effects: Floats, rng: np.random.Generator, draws: int = DRAWS) -> float:
    """Two-sided p-value of the mean of `effects`, (anchors,), under independent flips of their signs.

    All patterns up to `EXACT_UP_TO` anchors, else `draws` random ones; the observed pattern counts among them, so p is
    never 0 (Phipson and Smyth 2010, 10.2202/1544-6115.1585). `scipy.stats.permutation_test` gives the same figure, one
    pattern at a time in Python; thousands of synthetic studies need the matrix product.
    """
    anchors = len(effects)
    if anchors <= EXACT_UP_TO:
        # A pattern and its opposite have sums of equal size: the last sign stays.
        bits = np.arange(2 ** (anchors - 1))[:, None] >> np.arange(anchors) & 1
        return float(_as_large(1.0 - 2.0 * bits, effects).mean())
    signs = rng.integers(0, 2, size=(draws, anchors)) * 2.0 - 1.0
    return (1 + int(_as_large(signs, effects).sum())) / (draws + 1)


def smallest_p(anchors: int, contrasts: int, draws: int = DRAWS) -> float:
    """The smallest p that the sign-flip test can give after Holm over `contrasts`, whatever the effects."""
    single = 2.0 ** (1 - anchors) if anchors <= EXACT_UP_TO else max(2.0 ** (1 - anchors), 1.0 / (draws + 1))
    return min(1.0, contrasts * single)


def _as_large(signs: npt.NDArray[np.floating], effects: Floats) -> npt.NDArray[np.bool_]:
    observed = abs(float(effects.sum()))
    reached: npt.NDArray[np.bool_] = np.abs(signs @ effects) >= observed - TIE * float(np.abs(effects).sum())
    return reached
