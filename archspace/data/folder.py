"""`folder:PATH`: a folder of images for each class, or folders train, val and test of such folders."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from archspace.data.assemble import VAL_SHARE, assemble
from archspace.data.images import Look, decode_files, size_of
from archspace.data.options import FileOptions, absolute, read_options, written
from archspace.data.places import stamp
from archspace.data.source import Job, Part, Source, common_side
from archspace.data.tasks import Progress, Task, task_name
from archspace.errors import UserError

SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val"}
SPLITS |= {"test": "test", "testing": "test"}
"""Folders of splits, whatever the case of their letters."""
FEW = 25
"""Images to a job: they may be large."""
NAMED = 8
"""Classes that are named at most."""
SAMPLE = 100
"""Images whose sizes are looked at where none is asked for."""


@dataclass(frozen=True)
class Listing:
    """Image files by split and class, and how many others were passed over; nothing was opened."""

    splits: Mapping[str, Mapping[str, Sequence[str]]]
    others: int

    def files(self) -> Iterator[str]:
        """All image files, always in the same order."""
        for classes in self.splits.values():
            for files in classes.values():
                yield from files


def folder(argument: str, options: Mapping[str, str], progress: Progress) -> Task:
    """Images of any kind that Pillow reads; a tenth of train is usually for val, a fifth for test where none is given.

    They are `size` pixels, else of their own size if that is one and at most 64, else 64.
    """
    given = read_options(FileOptions, "folder", options)
    if not argument:
        raise UserError("task folder: name the folder of images behind a colon: folder:PATH")
    root = absolute(argument)
    if not root.is_dir():
        raise UserError(f"task folder:{root}: there is no such folder; check the name")
    listing = list_images(root)
    name = task_name("", [f"folder:{root}", *written(given)])
    stamped = stamp(listing.files(), root)
    return assemble(name, stamped, partial(_source, root, listing), given, given.colour, VAL_SHARE, progress)


def list_images(root: Path) -> Listing:
    """What a folder holds; raises UserError for one that is no data set."""
    folders = _split_folders(root)
    suffixes = _suffixes()
    listed = {
        split: {name: _images(path, suffixes) for name, path in _folders(folder).items()}
        for split, folder in folders.items()
    }
    splits = {split: {name: files for name, (files, _) in classes.items()} for split, classes in listed.items()}
    _check_classes(folders, splits)
    others = sum(number for classes in listed.values() for _, number in classes.values())
    loose = sum(1 for path in root.iterdir() if _suffix(path.name) in suffixes and path.is_file())
    return Listing(splits, others + loose)


def _split_folders(root: Path) -> dict[str, Path]:
    """The folder of each split; classes may be called train and test, then they hold images and no folders.

    Raises UserError for what is half one and half the other: taken for classes, test images would be trained on.
    """
    folders = _folders(root)
    if not any(name.lower() in SPLITS and _folders(path) for name, path in folders.items()):
        return {"train": root}
    splits: dict[str, Path] = {}
    for name, path in folders.items():
        split = SPLITS.get(name.lower())
        if split is None:
            raise UserError(
                f"{path}: is neither train, val nor test by its name, as folders beside it are; move it away, or, if "
                "these are classes, put their images right into them"
            )
        if split in splits:
            raise UserError(f"{path}: is {split} by its name, and so is {splits[split].name} beside it; keep one")
        splits[split] = path
    if "train" not in splits:
        raise UserError(f"{root}: has {' and '.join(path.name for path in splits.values())}, and no folder train in it")
    return splits


def _check_classes(folders: Mapping[str, Path], splits: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
    train, names = folders["train"], list(splits["train"])
    if len(names) < 2:
        kind = f"is one class, {names[0]}" if names else "are no folders of classes"
        raise UserError(f"{train}: there {kind}; put the images of each class into a folder in it")
    for name, files in splits["train"].items():
        if not files:
            raise UserError(f"{train / name}: there is no image in it; add images, or remove the folder")
    for split, classes in splits.items():
        if not any(classes.values()):
            raise UserError(
                f"{folders[split]}: there are no folders of classes with images; put the images of each class into a "
                "folder in it, or move it away"
            )
        foreign = [name for name in classes if name not in splits["train"]]
        if foreign:
            told = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
            raise UserError(
                f"{folders[split] / foreign[0]}: train has no class {foreign[0]}; its classes are {told}; "
                "rename the folder, or add the class to train"
            )


def _folders(root: Path) -> dict[str, Path]:
    with os.scandir(root) as entries:
        names = sorted(entry.name for entry in entries if not _hidden(entry.name) and entry.is_dir())
    return {name: root / name for name in names}


def _images(root: Path, suffixes: Container[str]) -> tuple[list[str], int]:
    """Image files anywhere below a folder, and the number of other files."""
    found, others, waiting = [], 0, [str(root)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if _hidden(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif _suffix(entry.name) in suffixes and (entry.is_file() or entry.is_symlink()):
                    found.append(entry.path)
                else:
                    others += 1
    return sorted(found), others


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _suffix(name: str) -> str:
    return name[name.rfind(".") :].lower()


def _suffixes() -> Container[str]:
    """How names of images end."""
    from PIL import Image

    return Image.registered_extensions()


def _source(root: Path, listing: Listing) -> Source:
    names = list(listing.splits["train"])
    parts = {split: _part(root, classes, names) for split, classes in listing.splits.items()}
    files = list(listing.files())
    side = common_side(size_of(Path(file)) for file in files[:: max(len(files) // SAMPLE, 1)])
    remarks = (f"{listing.others} files that are no images by their names are passed over",) if listing.others else ()
    return Source(parts, tuple(names), side, remarks)


def _part(root: Path, classes: Mapping[str, Sequence[str]], names: Sequence[str]) -> Part:
    files = [file for paths in classes.values() for file in paths]
    labels = [np.full(len(paths), names.index(name), np.int64) for name, paths in classes.items()]
    return Part([file[len(str(root)) + 1 :] for file in files], np.concatenate(labels), partial(_jobs, files))


def _jobs(files: Sequence[str], look: Look) -> Iterator[Job]:
    for start in range(0, len(files), FEW):
        yield partial(decode_files, files[start : start + FEW], look)
