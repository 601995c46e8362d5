"""Finding the genome that a person named: in the zoo, in a file, in a run, on standard input."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from archspace.errors import UserError, did_you_mean
from archspace.files import is_file
from archspace.genome import Genome, Shape
from archspace.genomefile import load_genome, read_genome
from archspace.zoo.zoo import entry, names

TARGET: tuple[Shape, int] = ((3, 224, 224), 1000)
"""Where cost is counted unless something says otherwise."""


@dataclass(frozen=True)
class Found:
    """A genome, what to call it, and the input (channels, height, width) and classes at which it is costed."""

    genome: Genome
    name: str
    input: Shape
    classes: int


def runs_folder(runs: str | Path | None = None) -> Path:
    """Where runs are kept: as given, else `ARCHSPACE_RUNS`, else `./runs`."""
    return Path(runs or os.environ.get("ARCHSPACE_RUNS") or "runs")


def find_genome(reference: str, runs: Path) -> Found:
    """The genome of a zoo name, a YAML or JSON file, `RUN:ID`, or `-` for standard input; raises UserError."""
    if reference == "-":
        return Found(read_genome(_typed(), "<stdin>"), "stdin", *TARGET)
    if reference in names():
        known = entry(reference)
        return Found(known.genome, known.name, known.input, known.classes)
    path = Path(reference)
    if path.suffix in (".yaml", ".yml", ".json") or is_file(path):
        return Found(load_genome(path), path.stem, *TARGET)
    run, colon, identifier = reference.partition(":")
    if colon:
        return _in_run(run_folder(run, runs), identifier)
    hint = did_you_mean(reference, names())
    raise UserError(f"genome {reference!r}{hint}: not in the zoo (`archspace zoo` lists it), no file, and not RUN:ID")


def _typed() -> str:
    """What stands on standard input; raises UserError where it is closed or no text."""
    if sys.stdin is None:
        raise UserError("-: standard input is closed; name a file instead")
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UserError(f"<stdin>: not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def run_folder(name: str, runs: Path) -> Path:
    """The folder of the run called `name`, there or not; raises UserError for what is no name."""
    last = Path(name).name
    if last in ("", "..") or last != name:
        hint = "" if last in ("", "..") else f"; write {last!r}, and --runs for the folder that it is in"
        raise UserError(f"run name {name!r}: not the plain name of a run in {runs}{hint}")
    return runs / name


def _in_run(folder: Path, identifier: str) -> Found:
    from archspace.records.view import read_run

    record = read_run(folder)
    for trial in record.trials.itertuples():
        if identifier and identifier in (trial.id, trial.name):
            genome = read_genome(str(trial.genome), f"{record.name}:{identifier}")
            return Found(genome, str(trial.id), record.config.target_input, record.config.target_classes)
    known = ", ".join(str(trial) for trial in record.trials["id"][:5])
    raise UserError(f"run {record.name!r} has no genome {identifier!r}; it has {known or 'none'}, ...")
