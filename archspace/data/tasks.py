"""The registry of tasks, and what every task gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from archspace.errors import UserError, did_you_mean
from archspace.genome import Shape

if TYPE_CHECKING:
    from torch import Tensor

TASKS = {"digits": "archspace.data.digits:digits"}
"""Each task's name and its loader, imported only when asked for."""


@dataclass(frozen=True)
class Split:
    """Images (N, channels, height, width) in float32, normalised by the train split, and int64 labels (N)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Task:
    """A data set in three disjoint splits; a search sees `train` and `val`, never `test`."""

    name: str
    input: Shape
    classes: int
    train: Split
    val: Split
    test: Split


def load_task(name: str) -> Task:
    """The task of this name; raises UserError that names the known ones."""
    if name not in TASKS:
        raise UserError(f"unknown task {name!r}{did_you_mean(name, TASKS)}; known are {', '.join(sorted(TASKS))}")
    module, _, function = TASKS[name].partition(":")
    loader: Callable[[], Task] = getattr(import_module(module), function)
    return loader()
