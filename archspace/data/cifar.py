"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): the official archives, packed or unpacked, or parquet files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archspace.data.archives import plain_pickle, read_members
from archspace.data.fetch import Remote, check
from archspace.data.images import Bytes
from archspace.data.published import Found, Published, load
from archspace.data.source import Part, Source, array_part, checked_labels
from archspace.data.tasks import Progress, Task
from archspace.errors import UserError

SIDE = 32
PIXELS = 3 * SIDE * SIDE
HOME = "https://www.cs.toronto.edu/~kriz/"
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

Batch = tuple[Bytes, NDArray[Any]]
"""Images (n, 3, 32, 32) and labels."""


@dataclass(frozen=True)
class Layout:
    """One of the official archives: the folder in it, its files of each split, the file that names the classes."""

    archive: Remote
    folder: str
    train: Sequence[str]
    test: Sequence[str]
    meta: str
    batch: Callable[[bytes, str], Batch]
    names: Callable[[bytes, str], Sequence[str]]


def cifar10(argument: str, options: Mapping[str, str], progress: Progress) -> Task:
    """50,000 train images of 32x32 pixels in ten classes, 5,000 of them usually for val, and 10,000 test images."""
    return load(_published("cifar10", CIFAR10_LAYOUTS, CIFAR10), argument, options, progress)


def cifar100(argument: str, options: Mapping[str, str], progress: Progress) -> Task:
    """50,000 train images of 32x32 pixels in 100 classes, 5,000 of them usually for val, and 10,000 test images."""
    return load(_published("cifar100", CIFAR100_LAYOUTS, tuple(map(str, range(100)))), argument, options, progress)


def _published(name: str, layouts: Sequence[Layout], class_names: Sequence[str]) -> Published:
    return Published(name, partial(_find, layouts), [layouts[0].archive], class_names, SIDE, "rgb")


def _find(layouts: Sequence[Layout], folder: Path) -> Found | None:
    """The first layout that a folder has: as archive, unpacked, or itself the unpacked folder."""
    for layout in layouts:
        archive = folder if folder.name == layout.archive.name else folder / layout.archive.name
        if archive.is_file():
            return Found([archive], partial(_source, layout, archive))
        for unpacked in (folder / layout.folder, folder):
            files = [unpacked / name for name in (*layout.train, *layout.test, layout.meta)]
            if files[0].is_file():
                return Found([file for file in files if file.is_file()], partial(_source, layout, unpacked))
    return None


def _source(layout: Layout, path: Path) -> Source:
    if path.is_file():
        check(path, layout.archive)
    members = read_members(path, [*layout.train, *layout.test, layout.meta])
    names = layout.names(members[layout.meta], f"{path}: {layout.meta}")
    parts = {
        split: _part(layout, path, {file: members[file] for file in files}, split, len(names))
        for split, files in (("train", layout.train), ("test", layout.test))
    }
    return Source(parts, tuple(names), SIDE)


def _part(layout: Layout, path: Path, members: Mapping[str, bytes], split: str, classes: int) -> Part:
    images, labels = [], []
    for file, data in members.items():
        pixels, numbers = layout.batch(data, f"{path}: {file}")
        images.append(pixels)
        labels.append(checked_labels(numbers, classes, f"{path}: {file}"))
    return array_part(np.concatenate(images), np.concatenate(labels), split)


def _pickled_batch(data: bytes, where: str) -> Batch:
    batch = plain_pickle(data, where)
    pixels, labels = batch.get(b"data"), batch.get(b"fine_labels", batch.get(b"labels"))
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (PIXELS,):
        raise UserError(f"{where}: its data are not images of {PIXELS} bytes; fetch it again")
    if not isinstance(labels, list) or len(labels) != len(pixels):
        raise UserError(f"{where}: it has not one label for each of {len(pixels)} images; fetch it again")
    kinds = {type(label) for label in labels} - {int}
    if kinds:
        raise UserError(f"{where}: labels are of type {kinds.pop().__name__}; whole numbers were expected")
    return pixels.reshape(-1, 3, SIDE, SIDE), np.array(labels)


def _pickled_names(data: bytes, where: str) -> Sequence[str]:
    meta = plain_pickle(data, where)
    names = meta.get(b"fine_label_names", meta.get(b"label_names"))
    if not isinstance(names, list) or not names:
        raise UserError(f"{where}: names no classes; fetch it again")
    return [name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in names]


def _binary_batch(labels: int, data: bytes, where: str) -> Batch:
    """Records of `labels` bytes, the last of which counts, and an image."""
    if not data or len(data) % (labels + PIXELS):
        raise UserError(f"{where}: {len(data)} bytes are no whole number of images; it is cut short, fetch it again")
    records = np.frombuffer(data, np.uint8).reshape(-1, labels + PIXELS)
    return records[:, labels:].reshape(-1, 3, SIDE, SIDE), records[:, labels - 1]


def _listed_names(data: bytes, where: str) -> Sequence[str]:
    names = data.decode(errors="replace").split()
    if not names:
        raise UserError(f"{where}: names no classes; fetch it again")
    return names


def _numbered(ending: str) -> tuple[str, ...]:
    return tuple(f"data_batch_{number}{ending}" for number in range(1, 6))


CIFAR10_LAYOUTS = (
    Layout(
        Remote(HOME + "cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),
        "cifar-10-batches-py",
        _numbered(""),
        ("test_batch",),
        "batches.meta",
        _pickled_batch,
        _pickled_names,
    ),
    Layout(
        Remote(HOME + "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
        "cifar-10-batches-bin",
        _numbered(".bin"),
        ("test_batch.bin",),
        "batches.meta.txt",
        partial(_binary_batch, 1),
        _listed_names,
    ),
)
CIFAR100_LAYOUTS = (
    Layout(
        Remote(HOME + "cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),
        "cifar-100-python",
        ("train",),
        ("test",),
        "meta",
        _pickled_batch,
        _pickled_names,
    ),
    Layout(
        Remote(HOME + "cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),
        "cifar-100-binary",
        ("train.bin",),
        ("test.bin",),
        "fine_label_names.txt",
        partial(_binary_batch, 2),
        _listed_names,
    ),
)
