"""Published data sets: found where they lie, else downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from archspace.data.assemble import assemble
from archspace.data.fetch import Remote, Unreachable, download
from archspace.data.options import NamedOptions, read_options, written
from archspace.data.parquet import parquet_files, parquet_source, split_files
from archspace.data.places import looked_in, stamp
from archspace.data.source import Source
from archspace.data.tasks import Progress, Task, task_name
from archspace.errors import UserError

VAL = 5000
"""Images that are taken from train where no option says otherwise."""


class Partial(UserError):  # noqa: N818
    """A folder that has some files of a data set and lacks others."""


@dataclass(frozen=True)
class Found:
    """Files of a data set, and what reads them."""

    files: Sequence[Path]
    read: Callable[[], Source]


@dataclass(frozen=True)
class Published:
    """A data set by its name: `find` looks for the official files in a folder, `remotes` are where they are from.

    `find` raises Partial for a part of them. `class_names` are needed for parquet files that do not name them; `side`
    is in pixels.
    """

    name: str
    find: Callable[[Path], Found | None]
    remotes: Sequence[Remote]
    class_names: Sequence[str]
    side: int
    colour: Literal["rgb", "grey"]


def load(data: Published, argument: str, options: Mapping[str, str], progress: Progress) -> Task:
    """The task of a published data set, downloaded where it is not found; raises UserError."""
    if argument:
        raise UserError(f"task {data.name}:{argument}: name the folder as an option: {data.name} path={argument}")
    given = read_options(NamedOptions, data.name, options)
    folder, found = _given(data, Path(given.path)) if given.path else _anywhere(data, progress)
    if not folder.is_absolute():  # a name must load the same task from any folder
        given = given.model_copy(update={"path": str(folder.absolute())})
    name = task_name(data.name, written(given))
    return assemble(name, stamp(found.files, folder), found.read, given, data.colour, VAL, progress)


def _given(data: Published, folder: Path) -> tuple[Path, Found]:
    if not folder.exists():
        raise UserError(f"task {data.name}: path={folder}: there is no such folder; check the name")
    found = _in(data, folder)
    if found is None:
        raise UserError(
            f"task {data.name}: path={folder}: holds no files of {data.name}; "
            f"expected {' and '.join(remote.name for remote in data.remotes)}, unpacked or not, or parquet files"
        )
    return (folder.parent if folder.is_file() else folder), found


def _anywhere(data: Published, progress: Progress) -> tuple[Path, Found]:
    places, partial_ones = looked_in(data.name), list[str]()
    for folder in places:
        try:
            found = _in(data, folder) if folder.is_dir() else None
        except Partial as lacking:  # perhaps a download that was interrupted, or goes on elsewhere
            partial_ones += lacking.messages
            continue
        if found is not None:
            return folder, found
    try:
        download(data.remotes, places[-1], progress)
    except Unreachable as error:
        raise UserError(
            *partial_ones,
            f"task {data.name}: found in none of {', '.join(map(str, places))}, "
            f"and cannot be downloaded ({error}); put these files into {places[-1]}, "
            f"or name the folder that has them: {data.name} path=FOLDER",
            *(f"{remote.url} (MD5 {remote.md5})" for remote in data.remotes),
        ) from None
    found = _in(data, places[-1])
    if found is None:
        raise UserError(f"{places[-1]}: the files of {data.name} were downloaded and are gone; try again")
    return places[-1], found


def _in(data: Published, folder: Path) -> Found | None:
    found = data.find(folder)
    files = [] if found else parquet_files(folder)
    return Found(files, partial(_parquet, data, files)) if files else found


def _parquet(data: Published, files: Sequence[Path]) -> Source:
    splits = split_files(files)
    if "test" not in splits:
        raise UserError(f"{files[0].parent}: the test files of {data.name} are missing; add them")
    return parquet_source(splits, data.class_names, data.side)
