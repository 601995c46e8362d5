"""The registry of tasks, and what every task gives."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
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
    "cifar100": "archspace.data.cifar:cifar100",
    "mnist": "archspace.data.idx:mnist",
    "fashion-mnist": "archspace.data.idx:fashion_mnist",
    "folder": "archspace.data.folder:folder",
    "parquet": "archspace.data.parquet:parquet",
    "hierarchy": "archspace.data.hierarchy:hierarchy",
}
"""Each task's name, up to a colon, and its loader, imported only when asked for."""
GROUP = "archspace.tasks"
"""Entry points by which installed packages add tasks."""


def task_name(name: str, options: Iterable[str] = ()) -> str:
    """A task and its KEY=VALUE options as one name, by which records know it: `cifar10 size=16 train=10000`."""
    return shlex.join([*shlex.split(name), *options])


def load_task(name: str, progress: Progress = lambda *_: None) -> Task:
    """The task of this name, with options behind it as task_name writes them; raises UserError."""
    known = known_tasks()
    kind, argument, options = _parsed(name, known)
    if kind not in known:
        raise UserError(f"unknown task {kind!r}{did_you_mean(kind, known)}; known are {', '.join(known)}")
    try:
        task = _loader(known[kind])(argument, options, progress)
    except PermissionError as error:
        raise UserError(f"task {name}: {error.filename}: may not be read; change its permissions") from None
    except OSError as error:
        raise UserError(f"task {name}: {error.filename or 'its files'}: {error.strerror or error}") from None
    if not isinstance(task, Task):
        raise UserError(f"{_called(known[kind])} gave no Task; see docs/add-a-task.md")
    return task


def known_tasks() -> dict[str, EntryPoint]:
    """Our tasks and those of installed packages, by name, not imported; raises UserError for a name that is twice."""
    found = {name: EntryPoint(name, loader, GROUP) for name, loader in sorted(TASKS.items())}
    for point in entry_points(group=GROUP):
        if point.name in found:
            raise UserError(f"{_called(point)}: there is a task {point.name!r} already; give yours another name")
        found[point.name] = point
    return found


def _loader(point: EntryPoint) -> Loader:
    """What an entry point names; raises UserError that says which cannot be had."""
    try:
        loader: Loader = point.load()
    except Exception as error:
        if point.name in TASKS:
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"{_called(point)} cannot be loaded: {reason}; mend or uninstall the package") from None
    if not callable(loader):
        raise UserError(f"{_called(point)} is not a function; see docs/add-a-task.md")
    return loader


def _called(point: EntryPoint) -> str:
    return f"entry point {GROUP}: {point.name} = {point.value}"


def _parsed(name: str, known: Iterable[str]) -> tuple[str, str, dict[str, str]]:
    """`folder:PATH KEY=VALUE ...` in its parts."""
    try:
        first, *rest = shlex.split(name) or [""]
    except ValueError as error:
        raise UserError(f"task {name!r}: {error}; name one of {', '.join(known)}") from None
    if not first:
        raise UserError(f"no task is named; name one of {', '.join(known)}")
    kind, _, argument = first.partition(":")
    options: dict[str, str] = {}
    for option in rest:
        key, equals, value = option.partition("=")
        if not equals or not key:
            spaces = f", or '{kind}:...' in quotes where a path has spaces" if argument else ""
            raise UserError(f"task option {option!r}: expected KEY=VALUE, such as size=64{spaces}")
        if key in options:
            raise UserError(f"task option {key} is given twice; leave one out")
        options[key] = value
    return kind, argument, options
