"""Where data sets lie, and how a change of their files is noticed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from archspace.measure.calibration import cache_folder

__all__ = ["cache_folder", "looked_in", "stamp"]


def looked_in(name: str) -> tuple[Path, ...]:
    """The folders in which a published data set is looked for, in turn; it would be downloaded into the last."""
    shared = os.environ.get("ARCHSPACE_DATA")
    named = (Path(shared) / name, Path(shared) / "data" / name) if shared else ()
    return (*named, Path("data") / name, cache_folder() / "data" / name)


def stamp(files: Iterable[Path | str], under: Path) -> str:
    """A hash of where files lie, their names, sizes and times of change.

    Two data sets may have the same names, sizes and times of writing, which archives set as they like: where they lie,
    and the times and numbers that file systems give, tell them apart.
    """
    seen = hashlib.sha256(os.fsencode(under.resolve()) + b"\n")
    start = len(os.fsencode(under)) + 1
    for file in files:
        try:
            facts = os.stat(file)  # noqa: PTH116
            told = f"{facts.st_size}\0{facts.st_mtime_ns}\0{facts.st_ctime_ns}\0{facts.st_ino}"
        except OSError as error:  # reading it will fail too, and tell
            told = str(error.strerror)
        seen.update(os.fsencode(file)[start:] + f"\0{told}\n".encode())
    return seen.hexdigest()
