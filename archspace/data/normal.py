"""Mean and deviation of pixels, from whole numbers alone: the same to the last bit on any number of threads."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Numbers = tuple[float, ...]


def from_sums(sums: NDArray[np.int64], pixels: int) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of each channel, from sums (n, channels, 2: of pixels and of their squares) over
    n images of that many pixels."""
    first, second = sums.sum(axis=0).T / (len(sums) * pixels)
    deviation = np.sqrt(np.maximum(second - first**2, 0.0))
    # A channel of one value has nothing to divide by.
    return tuple(first.tolist()), tuple(np.where(deviation > 0, deviation, 1.0).tolist())


def from_grey(images: Tensor) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of uint8 images (N, 1, height, width)."""
    counts = torch.bincount(images.flatten(), minlength=256).numpy()
    values = np.arange(256)
    return from_sums(np.array([[[counts @ values, counts @ values**2]]]), int(counts.sum()))
