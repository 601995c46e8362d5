"""Mean and deviation of pixels, from whole numbers alone: the same to the last bit on any number of threads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sums_of(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sums (n, channels, 2: of pixels and of their squares) of images (n, channels, height, width)."""
    squares = np.square(images, dtype=np.uint16)
    both = [values.sum(axis=(2, 3), dtype=np.int64) for values in (images, squares)]
    return np.stack(both, axis=-1)


def mean_and_deviation(sums: NDArray[np.int64], pixels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, from `sums_of` images of that many pixels, in units of 0 to 255."""
    first, second = sums.sum(axis=0).T / (len(sums) * pixels)
    deviation = np.sqrt(np.maximum(second - first**2, 0.0))
    # A channel of one value has nothing to divide by.
    return tuple(first.tolist()), tuple(np.where(deviation > 0, deviation, 1.0).tolist())
