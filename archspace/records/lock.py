"""One writer to a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from archspace.errors import UserError

LOCK = ".lock"


@contextlib.contextmanager
def only_writer(folder: Path, what: str) -> Iterator[None]:
    """Refuse a second process that would write the same run or training; the lock goes with a process that is killed.

    `what` calls it in the message.
    """
    try:
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout:
        raise UserError(f"{folder}: another process is working on this {what}; wait for it or stop it first") from None
