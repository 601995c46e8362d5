"""Members of archives and folders, and pickles that may hold arrays and plain data alone."""

from __future__ import annotations

import gzip
import io
import pickle
import re
import tarfile
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from archspace.errors import UserError

LARGEST = 1 << 30
"""Bytes of a member; more is not what it says it is."""


def read_members(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """Files by name from a folder or a .tar.gz, wherever in it; read in memory, nothing is unpacked.

    Raises UserError for an archive that is damaged, and for what is missing.
    """
    found = _from_folder(path, names) if path.is_dir() else _from_tar(path, names)
    missing = [name for name in names if name not in found]
    if missing:
        raise UserError(f"{path}: lacks {', '.join(missing)}; fetch it again")
    return found


def _from_folder(path: Path, names: Collection[str]) -> dict[str, bytes]:
    return {name: read_file(path / name) for name in names if (path / name).is_file()}


def _from_tar(path: Path, names: Collection[str]) -> dict[str, bytes]:
    found = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if member.isfile() and name in names and member.size <= LARGEST:
                    file = archive.extractfile(member)
                    found[name] = file.read() if file else b""
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise UserError(f"{path}: the archive is damaged ({error}); delete it and fetch it again") from None
    return found


def read_file(path: Path) -> bytes:
    """A file's bytes, unpacked if its name ends in .gz; raises UserError."""
    try:
        raw = path.read_bytes()
        if path.suffix != ".gz":
            return raw
        with gzip.open(io.BytesIO(raw)) as file:
            unpacked = file.read(LARGEST + 1)
    except (EOFError, zlib.error, OSError) as error:
        raise UserError(f"{path}: cannot be read ({error}); fetch it again") from None
    if len(unpacked) > LARGEST:
        raise UserError(f"{path}: unpacks to more than {LARGEST >> 30} GiB; it is not what its name says")
    return unpacked


def plain_pickle(data: bytes, where: str) -> dict[bytes, Any]:
    """A pickled mapping of arrays and plain data, its keys as bytes.

    Raises UserError for what is damaged, and for whatever else it holds: nothing that a pickle names is called.
    """
    try:
        loaded = _Plain(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a damaged pickle leads anywhere
        raise UserError(f"{where}: cannot be unpickled ({error or type(error).__name__}); fetch it again") from None
    if not isinstance(loaded, dict):
        raise UserError(f"{where}: holds no mapping; it is not a file of this data set")
    plain = {key: value.values if isinstance(value, _Array) else value for key, value in loaded.items()}
    return {key.encode() if isinstance(key, str) else key: value for key, value in plain.items()}


class _Kind:
    """The type of a pickled array's numbers. Not numpy's own, which a pickle could make to read any address."""

    def __init__(self, text: bytes | str, *_: object) -> None:
        self.text, self.order = text if isinstance(text, str) else text.decode(), "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        self.order = order if isinstance(order, str) else order.decode()

    def numpy(self) -> np.dtype[Any]:
        """As numpy's; raises ValueError for what is not plain numbers."""
        text = self.order + self.text
        if not re.fullmatch(r"[=|<>][iuf][1248]", text):
            raise ValueError(f"it has an array of type {text}, which data have no need of")
        return np.dtype(text)


class _Array:
    """A pickled array, of plain numbers alone."""

    def __init__(self, *_: object) -> None:
        self.values = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_columns, raw = state
        self.values = np.frombuffer(raw, kind.numpy()).reshape(shape, order="F" if by_columns else "C")


def _latin(text: str, _: object = "latin1") -> bytes:
    """How bytes are written in older pickles."""
    return text.encode("latin1")


_KNOWN: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _latin,
}


class _Plain(pickle.Unpickler):
    """Knows arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """What the pickle names, if it belongs to arrays."""
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which data have no need of")
        return _KNOWN[module, name]
