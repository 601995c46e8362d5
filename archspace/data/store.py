"""Decoded images in the cache folder, mapped into memory instead of read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from archspace.data.decode import decode_part
from archspace.data.images import Bytes, Look
from archspace.data.places import cache_folder
from archspace.data.source import Source
from archspace.errors import UserError

if TYPE_CHECKING:
    from archspace.data.tasks import Progress

FORMAT = 2
"""Goes up where the same files would be decoded to something else."""
ABANDONED = 2 * 24 * 3600
"""Seconds after which a folder that was not finished never will be."""
NAMED = 4
"""Broken images that are named in a task's description; a file beside the cache names all."""


@dataclass(frozen=True)
class Stored:
    """One part, in its stratified order: images mapped from a file, labels, and sums of pixels and of their squares."""

    images: Bytes
    labels: NDArray[np.int64]
    sums: NDArray[np.int64]


@dataclass(frozen=True)
class Meta:
    """What is known of decoded data beside the arrays; `fingerprint` is that of the encoded images and their labels."""

    class_names: tuple[str, ...]
    remarks: tuple[str, ...]
    parts: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True)
class Request:
    """What decides over decoded data: the files (`stamp`) and how they are read; a `side` of None is the data's own."""

    task: str
    stamp: str
    side: int | None
    colour: Literal["rgb", "grey"]
    seed: int

    @property
    def key(self) -> str:
        """The name of the folder that holds the result."""
        described = json.dumps([FORMAT, asdict(self)], sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()[:24]


def decoded(request: Request, read: Callable[[], Source], progress: Progress) -> tuple[Meta, Mapping[str, Stored]]:
    """The decoded parts of a data set, from the cache, or from `read` and then in the cache.

    Several processes may do so at once. Raises UserError for what `read` cannot read, and where the cache is full or
    not to be written.
    """
    folder = cache_folder() / "images" / request.key
    held = _opened(folder)
    if held is not None:
        return held
    source = read()
    try:
        _make(folder, source, request, progress)
    except OSError as error:
        raise UserError(
            f"{folder.parent}: decoded images cannot be written there ({error.strerror or error}); "
            "make room, or set ARCHSPACE_CACHE to another folder"
        ) from None
    held = _opened(folder)
    if held is None:
        raise UserError(f"{folder}: was written and cannot be read; delete it and try again")
    return held


def _opened(folder: Path) -> tuple[Meta, Mapping[str, Stored]] | None:
    try:
        held = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        meta = Meta(tuple(held["class_names"]), tuple(held["remarks"]), tuple(held["parts"]), held["fingerprint"])
        return meta, {name: _part(folder, name) for name in meta.parts}
    except (OSError, ValueError, TypeError, KeyError, EOFError):
        return None


def _part(folder: Path, name: str) -> Stored:
    # Mode "c" maps writable pages that are never written back: torch wants tensors it may write to.
    images = np.load(folder / f"{name}.npy", mmap_mode="c")
    return Stored(images, np.load(folder / f"{name}-labels.npy"), np.load(folder / f"{name}-sums.npy"))


def _sweep(folder: Path) -> None:
    """Delete what processes that were killed left long ago."""
    for left in folder.glob("*.part-*"):
        with contextlib.suppress(OSError):  # another process may finish it this very moment
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)


def _make(folder: Path, source: Source, request: Request, progress: Progress) -> None:
    """Decode into a folder of another name, which gets its own when it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    look = Look(request.side or source.side, request.colour)
    with tempfile.TemporaryDirectory(prefix=f"{request.key}.part-", dir=folder.parent) as name:
        made = Path(name) / "made"
        made.mkdir()
        digest, broken = hashlib.sha256(), []
        for part_name, part in source.parts.items():
            told = f"decoding {request.task} {part_name}"
            result = decode_part(part, look, request.seed, made / f"{part_name}.npy", told, progress)
            np.save(made / f"{part_name}-labels.npy", result.labels)
            np.save(made / f"{part_name}-sums.npy", result.sums)
            digest.update(part_name.encode() + part.labels.tobytes() + result.digest)
            broken += [(part.names[index], reason) for index, reason in sorted(result.broken.items())]
        images = sum(len(part.labels) for part in source.parts.values())
        remarks = (*source.remarks, *_broken(broken, images, made, folder))
        meta = Meta(source.class_names, remarks, tuple(source.parts), digest.hexdigest()[:32])
        (made / "meta.json").write_text(json.dumps(asdict(meta), indent=1), encoding="utf-8")
        _rename(made, folder)


def _broken(broken: list[tuple[str, str]], images: int, made: Path, folder: Path) -> tuple[str, ...]:
    """What is said of images that could not be read; all of them are listed in a file."""
    if not broken:
        return ()
    lines = "".join(f"{name}: {reason}\n" for name, reason in broken)
    (made / "broken.txt").write_text(lines, encoding="utf-8", errors="backslashreplace")
    few = ", ".join(name for name, _ in broken[:NAMED]) + (", ..." if len(broken) > NAMED else "")
    few = few.encode(errors="backslashreplace").decode()
    return (f"{len(broken)} of {images} images could not be read: {few} (reasons in {folder / 'broken.txt'})",)


def _rename(made: Path, folder: Path) -> None:
    if folder.exists() and _opened(folder) is None:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        made.rename(folder)
    except OSError:
        if _opened(folder) is None:
            raise  # else another process was faster, with the same result
