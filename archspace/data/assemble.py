"""From a data set that was found to a task."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from archspace.data.normalisation import mean_and_deviation
from archspace.data.options import Options
from archspace.data.source import Source
from archspace.data.split import Cut, Where, cut, missing_classes
from archspace.data.store import Request, Stored, decoded
from archspace.data.tasks import Progress, Split, Task
from archspace.errors import UserError

VAL_SHARE = 0.1
"""Of a data set of one's own, without a val split."""
NAMED = 4
"""Classes that are named at most where several lack something."""


def assemble(
    name: str,
    stamp: str,
    read: Callable[[], Source],
    options: Options,
    colour: Literal["rgb", "grey"],
    val: float,
    progress: Progress,
) -> Task:
    """The task of a data set: decoded or taken from the cache, split as `options` say, `val` being usual for val.

    `name` is the task's whole name; `stamp` changes where the files do, `read` reads them. Raises UserError.
    """
    request = Request(re.split("[ :]", name.lstrip("'"))[0], stamp, options.size, colour, options.seed)
    meta, parts = decoded(request, read, progress)
    _refuse_absent(name, parts["train"].labels, meta.class_names)
    where = cut(name, {part: len(held.labels) for part, held in parts.items()}, options, val)
    left = missing_classes(parts["train"].labels[where.train.stretch], meta.class_names)
    if left:
        raise UserError(f"task {name}: no image of class {_few(left)} is left for train; keep more images in train")
    channels, height, width = parts["train"].images.shape[1:]
    mean, std = mean_and_deviation(parts[where.train.part].sums[where.train.stretch], height * width)
    return Task(
        name=name,
        input=(channels, height, width),
        classes=len(meta.class_names),
        train=_split(parts, where.train),
        val=_split(parts, where.val),
        test=_split(parts, where.test),
        mean=mean,
        std=std,
        class_names=meta.class_names,
        splits="; ".join([where.told, *meta.remarks, *_absent(parts, where, meta.class_names)]),
        fingerprint=meta.fingerprint,
    )


def _split(parts: Mapping[str, Stored], where: Where) -> Split:
    held = parts[where.part]
    return Split(torch.from_numpy(held.images[where.stretch]), torch.from_numpy(held.labels[where.stretch]))


def _refuse_absent(name: str, labels: NDArray[np.int64], class_names: tuple[str, ...]) -> None:
    if len(class_names) < 2:
        raise UserError(f"task {name}: there is one class, {class_names[0]}; a task needs two at least")
    absent = missing_classes(labels, class_names)
    if absent:
        raise UserError(
            f"task {name}: no image of class {_few(absent)} can be read for training; add some, or remove the class"
        )


def _absent(parts: Mapping[str, Stored], where: Cut, class_names: tuple[str, ...]) -> Iterator[str]:
    for split, place in (("val", where.val), ("test", where.test)):
        absent = missing_classes(parts[place.part].labels[place.stretch], class_names)
        if absent:
            yield f"{split} has no image of class {_few(absent)}"


def _few(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} others" if len(names) > NAMED else "")
