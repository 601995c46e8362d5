"""The embedded default task: scikit-learn's bundled handwritten digits at 1x32x32."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional as F

from archspace.data.normalisation import mean_and_deviation, sums_of
from archspace.data.tasks import Progress, Split, Task
from archspace.errors import UserError

SIDE = 32
BRIGHTEST = 16
"""The largest value of a pixel in scikit-learn's digits."""
SPLIT_SEED = 0
"""The splits are the same in every run, whatever its seed."""


def digits(argument: str, options: Mapping[str, str], _: Progress) -> Task:
    """1,797 digits of 8x8 pixels, enlarged bilinearly, stratified 1077/360/360 into train, val and test."""
    if argument or options:
        raise UserError(f"task digits takes no {'path' if argument else 'options'}")
    bunch = load_digits()
    images = torch.from_numpy(bunch.images).float().unsqueeze(1) * (255 / BRIGHTEST)
    images = F.interpolate(images, size=(SIDE, SIDE), mode="bilinear", align_corners=False).round().byte()
    labels = torch.from_numpy(bunch.target).long()
    rest, test = train_test_split(range(len(labels)), test_size=360, stratify=bunch.target, random_state=SPLIT_SEED)
    train, val = train_test_split(rest, test_size=360, stratify=bunch.target[rest], random_state=SPLIT_SEED)
    mean, std = mean_and_deviation(sums_of(images[train].numpy()), SIDE * SIDE)
    return Task(
        name="digits",
        input=(1, SIDE, SIDE),
        classes=len(bunch.target_names),
        train=Split(images[train], labels[train]),
        val=Split(images[val], labels[val]),
        test=Split(images[test], labels[test]),
        mean=mean,
        std=std,
        class_names=tuple(map(str, bunch.target_names)),
        splits=f"1077 train, 360 val, 360 test images, stratified with seed {SPLIT_SEED}",
        fingerprint="scikit-learn digits",
    )
