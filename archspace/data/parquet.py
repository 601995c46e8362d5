"""Images in parquet files, as data sets on the Hugging Face Hub have them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archspace.data.assemble import VAL_SHARE, assemble
from archspace.data.folder import SPLITS
from archspace.data.images import Look, decode_bytes, size_of
from archspace.data.options import FileOptions, absolute, read_options, written
from archspace.data.places import stamp
from archspace.data.source import CHUNK, Job, Numbered, Part, Source, checked_labels, common_side
from archspace.data.tasks import Progress, Task, task_name
from archspace.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

IMAGES = ("img", "image")
LABELS = ("label", "fine_label", "labels")
HELD_OUT = {name for name, split in SPLITS.items() if split != "train"}
"""Words in the name of a file that might not be for training."""


def parquet_files(folder: Path) -> list[Path]:
    """The parquet files in a folder and the folders in it, or the file itself; hidden ones are none."""
    if folder.is_file():
        return [folder] if folder.suffix == ".parquet" else []
    found = (path.relative_to(folder) for pattern in ("*.parquet", "*/*.parquet") for path in folder.glob(pattern))
    return sorted(folder / path for path in found if not any(part.startswith(".") for part in path.parts))


def split_files(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Files by the split that their names begin with, spelled as folders are; where none begins so, all are train.

    Raises UserError for what is half one and half the other, and for what might be another split than train.
    """
    splits: dict[str, list[Path]] = {}
    folders = {file.parent for file in files}
    if len(folders) > 1:
        names = ", ".join(sorted(str(folder) for folder in folders)[:4])
        raise UserError(f"parquet files lie in several folders ({names}); name the one that is meant")
    words = {file: re.split("[-_.]", file.stem.lower()) for file in files}
    for file in files:
        splits.setdefault(SPLITS.get(words[file][0], ""), []).append(file)
    rest = splits.pop("", [])
    if not splits:
        _refuse_held_out(words)
    if splits and rest:
        raise UserError(
            f"{rest[0]}: is neither train, validation nor test by its name, as the files beside it are; "
            "rename it or move it away"
        )
    if splits and "train" not in splits:
        raise UserError(f"{files[0].parent}: no file's name begins with train; add the train files")
    return splits or {"train": rest}


def _refuse_held_out(words: Mapping[Path, Sequence[str]]) -> None:
    """Raise UserError where files without a split in front of their names may be tested on: they would be train."""
    for file, parts in words.items():
        other = next((word for word in parts if word in HELD_OUT), None)
        if other:
            raise UserError(
                f"{file}: is it for {SPLITS[other]}? Then let its name begin with {other}, and others with train; else "
                f"take {other} out of its name"
            )


@dataclass(frozen=True)
class Columns:
    """The columns of images and of labels in a file."""

    image: str
    label: str


def parquet(argument: str, options: Mapping[str, str], progress: Progress) -> Task:
    """Images in the parquet files of a folder, or one file; splits, sizes and defaults as for `folder`."""
    given = read_options(FileOptions, "parquet", options)
    if not argument:
        raise UserError("task parquet: name the folder of parquet files behind a colon: parquet:PATH")
    root = absolute(argument)
    files = parquet_files(root)
    if not files:
        if root.is_dir():
            next(root.iterdir(), None)  # raises where it may not be read
        lacks = "there are no parquet files in it" if root.exists() else "there is no such folder"
        raise UserError(f"task parquet:{root}: {lacks}; check the name")
    splits = {"train": files} if root.is_file() else split_files(files)
    name = task_name("", [f"parquet:{root}", *written(given)])
    stamped = stamp(files, root.parent if root.is_file() else root)
    return assemble(name, stamped, partial(parquet_source, splits), given, given.colour, VAL_SHARE, progress)


def parquet_source(splits: Mapping[str, Sequence[Path]], known: Sequence[str] = (), side: int | None = None) -> Source:
    """A data set in parquet files; `known` are its classes' names where the files give none, `side` its size if known.

    Raises UserError for files that cannot be read, columns that cannot be found, labels out of range.
    """
    first = splits["train"][0]
    with opened(first) as file:
        columns, named = _columns(file, first), _class_names(file.schema_arrow)
        kind = _kind(file.schema_arrow, columns.label)
    raw = {split: _labels(paths, columns, kind) for split, paths in splits.items()}
    names = named or list(known) or _names(raw["train"], first)
    parts = {}
    for split, paths in splits.items():
        if not len(raw[split]):
            raise UserError(f"{paths[0]}: holds no rows; fetch it again")
        labels = _numbered(raw[split], names, paths[0])
        parts[split] = Part(Numbered(split, len(labels)), labels, partial(_jobs, paths, columns))
    return Source(parts, tuple(names), side or _common_side(first, columns))


def _common_side(path: Path, columns: Columns) -> int:
    blobs = next(_blobs([path], columns), [])
    return common_side(size_of(blob) for blob in blobs if blob is not None)


def opened(path: Path) -> pq.ParquetFile:
    """A parquet file; raises UserError where it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> UserError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UserError(f"{path}: cannot be read as parquet ({reason}); fetch it again")


def _columns(file: pq.ParquetFile, path: Path) -> Columns:
    schema = file.schema_arrow
    twice = [name for name in schema.names if schema.names.count(name) > 1]
    if twice:
        raise UserError(f"{path}: two columns are called {twice[0]}; rename one")
    images = [name for name in schema.names if _holds_bytes(schema.field(name).type)]
    image = next((name for name in IMAGES if name in images), images[0] if len(images) == 1 else None)
    label = next((name for name in LABELS if name in schema.names), None)
    if image is None or label is None:
        lacking = f"images ({' or '.join(IMAGES)})" if image is None else f"labels ({' or '.join(LABELS)})"
        raise UserError(f"{path}: no column of {lacking} among {', '.join(schema.names)}; rename the one that is meant")
    return Columns(image, label)


def _holds_bytes(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_names(schema: pa.Schema) -> list[str]:
    """The names that the Hub's metadata give the labels, if any."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        label = next(features[name] for name in LABELS if name in features)
        return [str(name) for name in label["names"]]
    except (KeyError, ValueError, TypeError, StopIteration):
        return []


def _kind(schema: pa.Schema, label: str) -> str:
    """What labels are."""
    import pyarrow as pa

    kind = schema.field(label).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_integer(kind):
        return "whole numbers"
    return "texts" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else str(kind)


def _labels(paths: Sequence[Path], columns: Columns, kind: str) -> NDArray[Any]:
    """All labels; raises UserError where a file's columns or kind of labels are not those of the first."""
    import pyarrow as pa

    found: list[NDArray[Any]] = []
    for path in paths:
        try:
            file = opened(path)
            if _columns(file, path) != columns:
                raise UserError(f"{path}: its columns are not {columns.image} and {columns.label}; rename them")
            if file.metadata.num_rows and (found_kind := _kind(file.schema_arrow, columns.label)) != kind:
                raise UserError(f"{path}: labels are {found_kind}, and those of the first file are {kind}; convert one")
            column = file.read(columns=[columns.label]).column(columns.label)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise _damaged(path, error) from None
        if column.null_count:
            raise UserError(f"{path}: {column.null_count} labels are missing; remove these rows")
        if len(column) and not (pa.types.is_primitive(column.type) or kind == "texts"):
            raise UserError(f"{path}: labels are of type {kind}; a whole number or a text an image was expected")
        found.append(column.to_numpy())
    return np.concatenate(found)


def _names(labels: NDArray[Any], path: Path) -> list[str]:
    """Classes named by what the labels are."""
    if labels.dtype.kind in "iu":
        most = int(labels.max(initial=-1))
        if most >= len(labels):  # each class has an image at least, so that far too many are never counted
            raise UserError(f"{path}: has label {most} and {len(labels)} images; labels count classes from 0")
        return [str(label) for label in range(most + 1)]
    return sorted({str(label) for label in labels})


def _numbered(labels: NDArray[Any], names: Sequence[str], path: Path) -> NDArray[np.int64]:
    if labels.dtype.kind in "iuf":
        return checked_labels(labels, len(names), str(path.parent))
    numbers: Mapping[str, int] = {name: number for number, name in enumerate(names)}
    foreign = sorted({str(label) for label in labels} - set(numbers))
    if foreign:
        raise UserError(f"{path}: class {foreign[0]!r} is not among those of train; remove its rows")
    return np.array([numbers[str(label)] for label in labels], np.int64)


def _jobs(paths: Sequence[Path], columns: Columns, look: Look) -> Iterator[Job]:
    for blobs in _blobs(paths, columns):
        yield partial(decode_bytes, blobs, look)


def _blobs(paths: Sequence[Path], columns: Columns) -> Iterator[list[bytes | None]]:
    """A batch is read when its turn comes, so that a data set need not fit into memory."""
    import pyarrow as pa

    for path in paths:
        try:
            for batch in opened(path).iter_batches(CHUNK, columns=[columns.image]):
                column = batch.column(0)
                held = column.field("bytes") if pa.types.is_struct(column.type) else column
                yield held.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error) from None
