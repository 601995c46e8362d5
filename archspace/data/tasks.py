"""The registry of tasks, and what every task gives."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from archspace.errors import UserError, did_you_mean
from archspace.genome import Shape

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""
Loader = Callable[[str, Mapping[str, str], Progress], "Task"]
"""Takes what follows the colon of a task's name, its options and where to tell progress; raises UserError."""


@dataclass(frozen=True)
class Split:
    """uint8 images (N, channels, height, width), in memory or mapped from a file, and int64 labels (N)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Task:
    """A data set in three disjoint splits; a search sees `train` and `val`, never `test`.

    `name` loads it again. `mean` and `std` of each channel are those of the train split, in units of a pixel's 0 to
    255. `splits` says in words how the splits were made; `fingerprint` changes where the data do.
    """

    name: str
    input: Shape
    classes: int
    train: Split
    val: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    splits: str
    fingerprint: str


TASKS: Mapping[str, str] = {
    "digits": "archspace.data.digits:digits",
    "cifar10": "archspace.data.cifar:cifar10",
}
"""Each task's name, up to a colon, and its loader, imported only when asked for."""


def task_name(name: str, options: Iterable[str] = ()) -> str:
    """A task and its KEY=VALUE options as one name, by which records know it: `cifar10 size=16 train=10000`."""
    return shlex.join([*shlex.split(name), *options])


def load_task(name: str, progress: Progress = lambda *_: None) -> Task:
    """The task of this name, with options behind it as task_name writes them; raises UserError."""
    kind, argument, options = _parsed(name)
    if kind not in TASKS:
        raise UserError(f"unknown task {kind!r}{did_you_mean(kind, TASKS)}; known are {', '.join(sorted(TASKS))}")
    module, _, function = TASKS[kind].partition(":")
    loader: Loader = getattr(import_module(module), function)
    return loader(argument, options, progress)


def _parsed(name: str) -> tuple[str, str, dict[str, str]]:
    """`folder:PATH KEY=VALUE ...` in its parts."""
    try:
        first, *rest = shlex.split(name)
    except ValueError as error:
        raise UserError(f"task {name!r}: {error}; name one of {', '.join(sorted(TASKS))}") from None
    options: dict[str, str] = {}
    for option in rest:
        key, equals, value = option.partition("=")
        if not equals or not key:
            raise UserError(f"task option {option!r}: expected KEY=VALUE, such as size=64")
        if key in options:
            raise UserError(f"task option {key} is given twice; leave one out")
        options[key] = value
    kind, _, argument = first.partition(":")
    return kind, argument, options
