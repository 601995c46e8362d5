"""Decoding a part of a data set in parallel, into one .npy file."""

from __future__ import annotations

import errno
import hashlib
import os
import warnings
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from archspace.data.images import Bytes, Decoded, Look
from archspace.data.normalisation import sums_of
from archspace.data.source import CHUNK, Job, Part
from archspace.data.split import stratified_order

if TYPE_CHECKING:
    from archspace.data.tasks import Progress

SMALL = 16_384
"""Bytes of an encoded image, below which threads wait for Python's lock more than they decode."""


@dataclass(frozen=True)
class Result:
    """Labels and sums (n, channels, 2: of pixels and of their squares) in the order of the file, what is broken by its
    index in the part, and a digest of the encoded images that does not depend on the order."""

    labels: NDArray[np.int64]
    sums: NDArray[np.int64]
    broken: dict[int, str]
    digest: bytes


def decode_part(part: Part, look: Look, seed: int, path: Path, told: str, progress: Progress) -> Result:
    """Decode a part's images into a .npy file (n, channels, side, side), in stratified order, broken ones left out."""
    number = len(part.labels)
    order = stratified_order(part.labels, seed)
    place = np.empty_like(order)
    place[order] = np.arange(number)
    sums = np.zeros((number, look.shape[0], 2), np.int64)
    broken: dict[int, str] = {}
    digest = hashlib.sha256()
    done = 0
    # Written by seeking: a file mapped for writing kills the process where the disk is full.
    with path.open("wb", buffering=0) as file, closing(in_turn(part.jobs(look))) as results:
        start = _head(file, (number, *look.shape))
        for decoded in results:
            places = place[done : done + len(decoded.images)]
            sums[places] = sums_of(decoded.images)
            for index, (image, position) in enumerate(zip(decoded.images, places.tolist(), strict=True)):
                if index not in decoded.broken:
                    file.seek(start + position * image.nbytes)
                    _write(file, np.ascontiguousarray(image))
            broken |= {done + index: reason for index, reason in decoded.broken.items()}
            digest.update(b"".join(decoded.digests))
            done += len(decoded.images)
            progress(told, done, number)
        file.truncate(start + number * int(np.prod(look.shape)))
    if not broken:
        return Result(part.labels[order], sums, broken, digest.digest())
    kept = np.delete(np.arange(number), place[list(broken)])
    _keep(path, kept)
    return Result(part.labels[order][kept], sums[kept], broken, digest.digest())


def in_turn(jobs: Iterable[Job]) -> Generator[Decoded]:
    """The results of jobs in order; in parallel where images are large."""
    waiting = iter(jobs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata of images that are read all the same
        _bombs_are_errors()
        for job in waiting:
            decoded = job()
            yield decoded
            if decoded.read > SMALL * len(decoded.images):
                break
        yield from _in_threads(waiting)


def _in_threads(jobs: Iterator[Job]) -> Generator[Decoded]:
    """A few are done ahead of what is asked for.

    Threads, since Pillow decodes outside Python's lock, and since processes would have to import their way in.
    """
    workers = max(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 1)
    ahead: deque[Future[Decoded]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for job in jobs:
            ahead.append(pool.submit(job))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _bombs_are_errors() -> None:
    from PIL.Image import DecompressionBombWarning

    warnings.simplefilter("error", DecompressionBombWarning)


def _head(file: BinaryIO, shape: tuple[int, ...]) -> int:
    """Write the head of a .npy file of bytes; where its data begin."""
    npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.tell()


def _write(file: BinaryIO, image: Bytes) -> None:
    """Write a whole image; raises OSError where there is room for a part of it."""
    if file.write(image.data) != image.nbytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _keep(path: Path, kept: NDArray[np.int64]) -> None:
    """Keep these images of a .npy file alone."""
    images = np.load(path, mmap_mode="r")
    beside = path.with_suffix(".kept")
    with beside.open("wb") as file:
        _head(file, (len(kept), *images.shape[1:]))
        for start in range(0, len(kept), CHUNK):
            file.write(images[kept[start : start + CHUNK]].data)  # buffered: all of it, or an error
    del images
    beside.replace(path)
