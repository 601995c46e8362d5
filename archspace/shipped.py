"""YAML files that come with archspace, in folders of their kind beside it."""

from __future__ import annotations

from pathlib import Path

from archspace.errors import UserError, did_you_mean
from archspace.files import is_file


def shipped_names(folder: str) -> tuple[str, ...]:
    """The names of a kind's files, without `.yaml`."""
    return tuple(sorted({path.stem for place in _places(folder) for path in place.glob("*.yaml")}))


def find_file(kind: str, name: str | Path, folder: str, *, besides: tuple[str, ...] = ()) -> Path:
    """The file of this name, or the shipped one, with or without `.yaml`; raises UserError that names the closest.

    `besides` are names that stand in no file.
    """
    path = Path(name)
    if is_file(path):
        return path
    for place in _places(folder):
        file = place / (path.name if path.suffix else f"{path.name}.yaml")
        if path.name == str(name) and is_file(file):
            return file
    known = (*besides, *shipped_names(folder))
    called = repr(str(name)) + did_you_mean(path.stem, known)
    raise UserError(
        f"{kind} {called}: no such file, and no shipped {kind} of that name; shipped are {', '.join(known)}"
    )


def _places(folder: str) -> list[Path]:
    """In a wheel the folder lies in the package, in a checkout beside it."""
    package = Path(__file__).parent
    return [package / folder, package.parent / folder]
