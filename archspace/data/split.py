"""Stratified splits that are slices: images lie in an order whose every stretch has each class in proportion."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from archspace.data.options import Options
from archspace.errors import UserError

Labels = NDArray[np.int64]
TEST_SHARE = 0.2
"""Of a data set without a test split."""


class Where(NamedTuple):
    """A stretch of a part of the data."""

    part: str
    stretch: slice


@dataclass(frozen=True)
class Cut:
    """Where each split lies; `told` says it in words."""

    train: Where
    val: Where
    test: Where
    told: str


def stratified_order(labels: Labels, seed: int) -> Labels:
    """Indices in an order of which every stretch holds each class in proportion, to within an image or two.

    The images of a class are shuffled and spread evenly over the whole; which class comes first is drawn too.
    """
    rng = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[rng.permutation(members)] = (np.arange(len(members)) + 0.5) / len(members)
    return np.lexsort((rng.random(len(labels)), place)).astype(np.int64)


def cut(task: str, sizes: Mapping[str, int], options: Options, val: float) -> Cut:
    """The splits of a data set whose parts `train`, and `val` and `test` where it has them, have these sizes.

    What it has not is cut from train: test first, then val, of which the share or number `val` is usual.
    Raises UserError where options and parts do not go together, or too few images are left.
    """
    start, end = 0, sizes["train"]
    taken: dict[str, Where] = {}
    for split, usual in (("test", TEST_SHARE), ("val", val)):
        asked = getattr(options, split, None)
        if split in sizes:
            if asked is not None:
                raise UserError(f"task {task}: it has {split} images of its own; leave {split}={asked} out")
            if not sizes[split]:
                raise UserError(f"task {task}: none of its {split} images can be read; add some, or remove all")
            taken[split] = Where(split, slice(0, sizes[split]))
            continue
        number = _number(usual if asked is None else asked, end)
        if number < 1 or start + number > end - 2:
            raise UserError(
                f"task {task}: {split} would get {number} of {end - start} images, and train needs two at least; "
                f"give {split}=NUMBER another number"
            )
        taken[split] = Where("train", slice(start, start + number))
        start += number
    kept = end - start if options.train is None else options.train
    if kept > end - start:
        raise UserError(f"task {task}: train={kept} is more than the {end - start} images that are left for train")
    told = _told(sizes, options, taken, kept, end - start)
    return Cut(Where("train", slice(start, start + kept)), taken["val"], taken["test"], told)


def missing_classes(labels: Labels, class_names: Collection[str]) -> list[str]:
    """The classes of which there is no image."""
    counts = np.bincount(labels, minlength=len(class_names))
    return [name for name, count in zip(class_names, counts, strict=True) if count == 0]


def _number(amount: float, images: int) -> int:
    return round(amount * images) if isinstance(amount, float) else amount


def _told(sizes: Mapping[str, int], options: Options, taken: Mapping[str, Where], kept: int, left: int) -> str:
    numbers = {split: where.stretch.stop - where.stretch.start for split, where in taken.items()}
    own = [split for split in ("val", "test") if split in sizes]
    drawn = [split for split in ("val", "test") if split not in sizes]
    sentences = [f"{kept} train, {numbers['val']} val, {numbers['test']} test images"]
    if drawn:
        sentences.append(f"{' and '.join(drawn)} cut from train, stratified with seed {options.seed}")
    if own:
        sentences.append(f"{' and '.join(own)} as given")
    if kept < left:
        sentences.append(f"of {left} train images {kept} are kept, stratified")
    return "; ".join(sentences)
