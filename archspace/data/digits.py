"""The embedded default task: scikit-learn's bundled handwritten digits at 1x32x32."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn import functional as F

from archspace.data.tasks import Split, Task

SIDE = 32
SPLIT_SEED = 0
"""The splits are the same in every run, whatever its seed."""


def digits() -> Task:
    """1,797 digits of 8x8 pixels, enlarged bilinearly, stratified 1077/360/360 into train, val and test."""
    bunch = load_digits()
    images = torch.from_numpy(bunch.images).float().unsqueeze(1)
    images = F.interpolate(images, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    labels = torch.from_numpy(bunch.target).long()
    rest, test = train_test_split(range(len(labels)), test_size=360, stratify=bunch.target, random_state=SPLIT_SEED)
    train, val = train_test_split(rest, test_size=360, stratify=bunch.target[rest], random_state=SPLIT_SEED)
    mean, std = images[train].mean(), images[train].std()

    def split(indices: list[int]) -> Split:
        normalised: Tensor = (images[indices] - mean) / std
        return Split(normalised, labels[indices])

    return Task("digits", (1, SIDE, SIDE), len(bunch.target_names), split(train), split(val), split(test))
