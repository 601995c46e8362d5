"""MNIST and Fashion-MNIST: four IDX files each, plain or .gz, or parquet files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from archspace.data.archives import read_file
from archspace.data.fetch import Remote, check
from archspace.data.images import Bytes
from archspace.data.published import Found, Partial, Published, load
from archspace.data.source import Source, array_part, checked_labels
from archspace.data.tasks import Progress, Task
from archspace.errors import UserError

SIDE = 28
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
DIGITS = tuple(map(str, range(10)))
CLOTHES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
BYTES = 0x08
"""The code of bytes in an IDX file's third byte; the fourth is the number of dimensions."""


def mnist(argument: str, options: Mapping[str, str], progress: Progress) -> Task:
    """60,000 train images of handwritten digits, 28x28 grey, 5,000 usually for val, and 10,000 test images."""
    return load(_published("mnist", MNIST, DIGITS), argument, options, progress)


def fashion_mnist(argument: str, options: Mapping[str, str], progress: Progress) -> Task:
    """60,000 train images of clothes, 28x28 grey, 5,000 usually for val, and 10,000 test images."""
    return load(_published("fashion-mnist", FASHION_MNIST, CLOTHES), argument, options, progress)


def _published(name: str, remotes: Sequence[Remote], class_names: Sequence[str]) -> Published:
    return Published(name, partial(_find, remotes, class_names), remotes, class_names, SIDE, "grey")


def _find(remotes: Sequence[Remote], class_names: Sequence[str], folder: Path) -> Found | None:
    for place in (folder, folder / "raw"):
        files = [_file(place, name) for name in FILES]
        found = [file for file in files if file is not None]
        if found and len(found) < len(FILES):
            missing = [name for name, file in zip(FILES, files, strict=True) if file is None]
            raise Partial(f"{place}: lacks {', '.join(missing)} (or .gz); put it beside {found[0].name}")
        if found:
            return Found(found, partial(_source, found, remotes, class_names))
    return None


def _file(folder: Path, name: str) -> Path | None:
    """The file of this name, which some copies write with a dot."""
    dotted = name.replace("-idx", ".idx")
    names = (name, f"{name}.gz", dotted, f"{dotted}.gz")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _source(files: Sequence[Path], remotes: Sequence[Remote], class_names: Sequence[str]) -> Source:
    published = {remote.name: remote for remote in remotes}
    for file in files:
        if file.name in published:
            check(file, published[file.name])
    parts = {}
    for split, (images, labels) in {"train": files[:2], "test": files[2:]}.items():
        pixels, numbers = read_idx(images, 3), read_idx(labels, 1)
        if len(pixels) != len(numbers):
            raise UserError(f"{labels}: has {len(numbers)} labels, and {images.name} has {len(pixels)} images")
        checked = checked_labels(numbers, len(class_names), str(labels))
        parts[split] = array_part(pixels[:, None], checked, split)
    return Source(parts, tuple(class_names), pixels.shape[1])


def read_idx(path: Path, dimensions: int) -> Bytes:
    """An IDX file of bytes with so many dimensions, none empty; raises UserError."""
    data = read_file(path)
    start = 4 + 4 * dimensions
    if len(data) < start or tuple(data[:4]) != (0, 0, BYTES, dimensions):
        raise UserError(f"{path}: is not an IDX file of bytes in {dimensions} dimensions; fetch it again")
    shape = tuple(int(length) for length in np.frombuffer(data, ">u4", dimensions, offset=4))
    if len(data) - start != math.prod(shape) or not math.prod(shape):
        told = "x".join(map(str, shape))
        raise UserError(f"{path}: says {told} bytes and has {len(data) - start}; it is cut short, fetch it again")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _remotes(home: str, *sums: str) -> tuple[Remote, ...]:
    return tuple(Remote(f"{home}{name}.gz", md5) for name, md5 in zip(FILES, sums, strict=True))


MNIST = _remotes(
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "d53e105ee54ea40749a09fcbcd1e9432",
    "9fb629c4189551a2d022fa330f9573f3",
    "ec29112dd5afa0611ce80d1b7f02629c",
)
FASHION_MNIST = _remotes(
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79",
    "bb300cfdad3c16e7a12a480ee83cd310",
)
