"""A data set that was found but not yet decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archspace.data.images import Bytes, Decoded, Look, decode_arrays
from archspace.errors import UserError

Job = Callable[[], Decoded]
"""Decodes a handful of images, in any thread."""
CHUNK = 250
"""Images to a job: enough to hide what a job costs, few enough to be told of."""
USUAL = 64
"""Pixels of images' side where nothing else decides."""


@dataclass(frozen=True)
class Part:
    """Images that were published together: their names in messages, labels, and jobs that decode all in order."""

    names: Sequence[str]
    labels: NDArray[np.int64]
    jobs: Callable[[Look], Iterable[Job]]


@dataclass(frozen=True)
class Source:
    """Parts `train`, and `val` and `test` where the data set has them; `side` is its own size in pixels."""

    parts: Mapping[str, Part]
    class_names: tuple[str, ...]
    side: int
    remarks: tuple[str, ...] = ()


def array_part(images: Bytes, labels: NDArray[np.int64], name: str) -> Part:
    """A part whose images (n, channels, height, width) are in memory; `name` says where they are from."""

    def jobs(look: Look) -> Iterator[Job]:
        for start in range(0, len(images), CHUNK):
            yield partial(decode_arrays, images[start : start + CHUNK], look)

    return Part(Numbered(name, len(labels)), labels, jobs)


def common_side(sizes: Iterable[tuple[int, int] | None]) -> int:
    """The side that images are brought to where nobody says: their own if it is one and small, else USUAL."""
    sides = {min(size) for size in sizes if size is not None}
    return sides.pop() if len(sides) == 1 and max(sides) <= USUAL else USUAL


class Numbered(Sequence[str]):
    """Names of images that have none: `train image 12`, counted from 0."""

    def __init__(self, name: str, number: int) -> None:
        self._name, self._number = name, number

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        return f"{self._name} image {index}"


def checked_labels(labels: NDArray[Any], classes: int, where: str) -> NDArray[np.int64]:
    """Labels as int64; raises UserError for one that is not among 0 to classes - 1."""
    if not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"{where}: labels are of type {labels.dtype}; whole numbers were expected")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        first = wrong[0]
        raise UserError(
            f"{where}: image {first} has label {labels[first]}, and the {classes} classes are 0 to {classes - 1}; "
            "the file is damaged or of another data set"
        )
    return labels.astype(np.int64)
