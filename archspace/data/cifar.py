"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): the official archives, packed or unpacked, or parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from archspace.data.assemble import assemble
from archspace.data.options import NamedOptions, read_options, written
from archspace.data.parquet import parquet_files, parquet_source
from archspace.data.places import looked_in, stamp
from archspace.data.tasks import Progress, Task, task_name
from archspace.errors import UserError

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
VAL = 5000


def cifar10(argument: str, options: Mapping[str, str], progress: Progress) -> Task:
    """50,000 train images of 32x32 pixels in ten classes, 5,000 of them usually for val, and 10,000 test images."""
    if argument:
        raise UserError("task cifar10 takes its path as an option: cifar10 path=FOLDER")
    given = read_options(NamedOptions, "cifar10", options)
    for folder in looked_in("cifar10"):
        files = parquet_files(folder)
        if files:
            read = partial(parquet_source, files, CIFAR10, SIDE)
            name = task_name("cifar10", written(given))
            return assemble(name, stamp(files, folder), read, given, "rgb", VAL, progress)
    raise UserError(f"task cifar10: not found in {', '.join(map(str, looked_in('cifar10')))}")
