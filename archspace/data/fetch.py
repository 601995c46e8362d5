"""Files of published data sets: their checksums, and their download where there is a network."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from archspace.errors import UserError

if TYPE_CHECKING:
    from archspace.data.tasks import Progress

TIMEOUT = 30
"""Seconds without an answer after which there is none."""
BLOCK = 1 << 20


@dataclass(frozen=True)
class Remote:
    """A file, where it was published and the MD5 that was published with it."""

    url: str
    md5: str

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.url.rpartition("/")[2]


class Unreachable(Exception):  # noqa: N818
    """A server that does not answer, or not with the file."""


def check(path: Path, remote: Remote) -> None:
    """Refuse a file that is not the published one; raises UserError."""
    try:
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, _md5).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if md5 != remote.md5:
        raise UserError(
            f"{path}: has the checksum (MD5) {md5}, and the published file has {remote.md5}; "
            f"delete it and fetch it again from {remote.url}"
        )


def download(remotes: Sequence[Remote], folder: Path, progress: Progress) -> None:
    """Fetch what is not in the folder yet; a file gets its name when its checksum is right.

    Raises Unreachable where there is no network, UserError where the folder cannot be written or a file is not the
    published one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for remote in remotes:
            path, part = folder / remote.name, folder / f"{remote.name}.{os.getpid()}.part"
            if path.exists():
                continue
            try:
                with part.open("wb") as file:
                    for block in _blocks(remote, progress):
                        file.write(block)
                check(part, remote)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: a download cannot be written there ({error.strerror or error}); "
            "make room, or set ARCHSPACE_CACHE to another folder"
        ) from None


def _blocks(remote: Remote, progress: Progress) -> Iterator[bytes]:
    try:
        with urlopen(remote.url, timeout=TIMEOUT) as answer:
            total, done = int(answer.headers.get("Content-Length") or 0), 0
            while block := answer.read(BLOCK):
                done += len(block)
                progress(f"downloading {remote.name}", done, max(total, done))
                yield block
    except (OSError, HTTPException, ValueError) as error:  # of reading: the caller's own do not come here
        raise Unreachable(str(getattr(error, "reason", error))) from None
    if done < total:
        raise Unreachable(f"{remote.url} ended after {done} of {total} bytes")


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)
