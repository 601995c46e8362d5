"""What a study leaves beside its file: every training as a table, which test images each got wrong, how it was run."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archspace.errors import UserError
from archspace.records.ledger import BatchLedger
from archspace.records.wrong import read_wrong
from archspace.searching.batch import batch_frame
from archspace.study.design import Design, design_text, read_design
from archspace.study.file import Study
from archspace.study.rates import TUNING, Rate, chosen_rates

if TYPE_CHECKING:
    import pandas as pd

FOLDER, ABOUT, TRAININGS, WRONG, DESIGN = "results", "about.json", "trainings.csv", "wrong.parquet", "design.json"
REPORT = "report.html"
WORDS = ("name", "id", "state", "reason", "purpose", "anchor", "stratum", "cell", "arm")
"""Columns of the trainings that are no figures."""
Wrong = Mapping[tuple[str, str, int], NDArray[np.bool_]]
"""Which test images a training got wrong, by anchor, arm and replicate."""


@dataclass(frozen=True, eq=False)
class Results:
    """What a study has measured: `trainings` as batch_frame gives them, `finals` those that answer the question.

    `about` says where and with what it was run, and carries the hash of the study that was registered; `content` is
    the hash of the measurements.
    """

    trainings: pd.DataFrame
    wrong: Wrong
    design: Design
    rates: tuple[Rate, ...]
    about: Mapping[str, Any]
    content: str

    @property
    def finals(self) -> pd.DataFrame:
        """One row for each training that looked at the test split, or diverged before it could.

        Columns anchor, stratum, cell, arm, seed (the replicate), error (test), failed, doublings, as analyses of
        contrasts take them, and val_error; both errors are that of guessing where it diverged.
        """
        rows = self.trainings[self.trainings["purpose"] != TUNING]
        failed = rows["state"] != "complete"
        guessing = 1 - 1 / int(self.about["task"]["classes"])
        error, val_error = (rows[column].where(~failed, guessing) for column in ("test_error", "error"))
        kept = rows[["anchor", "stratum", "cell", "arm", "doublings", "rate", "params", "macs", "flops", "acts"]]
        kept = kept.assign(seed=rows["replicate"].astype(int), error=error, failed=failed, val_error=val_error)
        return kept.reset_index(drop=True)


def judged_images(results: Results) -> Wrong | None:
    """Which test images each final training got wrong; None where none was looked at.

    One that diverged guesses: right on one image in as many as there are classes, evenly spread.
    """
    if not results.wrong:
        return None
    images = len(next(iter(results.wrong.values())))
    guessed = np.arange(images) % int(results.about["task"]["classes"]) != 0
    finals = results.finals
    failed = finals[finals["failed"]]
    keys = zip(failed["anchor"], failed["arm"], failed["seed"], strict=True)
    return {**results.wrong, **{(str(anchor), str(arm), int(seed)): guessed for anchor, arm, seed in keys}}


def keep_results(study: Study, design: Design, folder: Path) -> Path:
    """Write the results of a study whose trainings are all in `folder`; where they are now.

    What else lies there stays. Raises UserError where they cannot be written, or results of another study lie there.
    """
    refuse_edited(study)
    ledger = BatchLedger.open(folder)
    frame = batch_frame(folder)
    place = study.folder / FOLDER
    part = study.folder / f".{FOLDER}.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        frame.drop(columns=["number"]).to_csv(part / TRAININGS, index=False)
        _write_wrong(frame, ledger, part / WRONG)
        (part / DESIGN).write_text(design_text(design), encoding="utf-8")
        config = ledger.config.model_dump(mode="json")
        kept = ("created", "task", "device", "concurrency", "gpus_per_trial", "versions", "machine", "modes")
        about = {"study": study.name, "registered": study.registered, "scale": study.file.scale}
        about |= {name: config[name] for name in kept}
        (part / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        for other in place.iterdir() if place.is_dir() else ():
            if other.name not in (ABOUT, TRAININGS, WRONG, DESIGN, REPORT):
                other.rename(part / other.name)
        shutil.rmtree(place, ignore_errors=True)
        part.rename(place)
    except OSError as error:
        raise UserError(f"{place}: cannot be written: {error.strerror}; the trainings are in {folder}") from None
    return place


def read_results(study: Study) -> Results:
    """The results beside a study's file; raises UserError where there are none, or those of another version of it."""
    place = study.folder / FOLDER
    there = registered_of(study.folder)
    if there is None:
        raise UserError(f"{place}: no results yet; `archspace study run` makes them, with the same file and --scale")
    refuse_edited(study)
    try:
        return _read(study, place)
    except (OSError, ValueError, LookupError, TypeError) as error:  # pyarrow's are ValueErrors too
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{place}: damaged ({reason}); take it from version control") from None


def _read(study: Study, place: Path) -> Results:
    import pandas as pd

    # Names stay what they are, an arm called `null` or `01` too.
    trainings = pd.read_csv(place / TRAININGS, dtype=dict.fromkeys(WORDS, str), keep_default_na=False, na_values=[""])
    about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    design = read_design(place / DESIGN)
    wanted = {(anchor.name, arm) for anchor in design.anchors for arm in anchor.arms}
    found = trainings[trainings["purpose"] != TUNING].groupby(["anchor", "arm"]).size()
    lacking = [f"{arm} of {name}" for name, arm in sorted(wanted) if found.get((name, arm), 0) != study.file.seeds]
    if lacking:
        raise ValueError(f"{TRAININGS} lacks trainings, such as {lacking[0]}")
    tuned = trainings[trainings["purpose"] == TUNING]
    rates = chosen_rates(study, tuned, int(about["task"]["classes"]))
    content = hashlib.sha256((place / TRAININGS).read_bytes() + (place / WRONG).read_bytes()).hexdigest()
    return Results(trainings, _read_wrong(place / WRONG), design, tuple(rates), about, content)


def scale_of(folder: Path) -> float | None:
    """The scale that results in a study's folder were made at, None where there are none; raises UserError."""
    return None if registered_of(folder) is None else float(_about(folder)["scale"])


def registered_of(folder: Path) -> str | None:
    """The hash of the study whose results are in a folder, None where there are none."""
    try:
        return str(_about(folder)["registered"])
    except (FileNotFoundError, NotADirectoryError):
        if (folder / FOLDER / TRAININGS).exists():
            raise UserError(f"{folder / FOLDER}: lacks {ABOUT}; take it from version control") from None
        return None
    except (OSError, ValueError, LookupError, TypeError):
        raise UserError(f"{folder / FOLDER / ABOUT}: damaged; take it from version control") from None


def _about(folder: Path) -> Any:
    return json.loads((folder / FOLDER / ABOUT).read_text(encoding="utf-8"))


def refuse_edited(study: Study) -> None:
    """Raise UserError where the results beside a study's file are of another version of it."""
    there = registered_of(study.folder)
    if there is not None and there != study.registered:
        raise UserError(
            f"{study.folder / FOLDER}: results of another version of this study ({there[:8]}, the file is now "
            f"{study.registered[:8]}): a changed file, or another --scale, is a new study; undo the change, "
            "or copy the file to a new folder"
        )


def _write_wrong(frame: pd.DataFrame, ledger: BatchLedger, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names, bits, images = [], [], []
    for name, number in zip(frame["name"], frame["number"], strict=True):
        wrong = read_wrong(ledger.trial_folder(int(number)))
        if wrong is not None:
            names.append(name)
            bits.append(np.packbits(wrong).tobytes())
            images.append(len(wrong))
    pq.write_table(pa.table({"name": names, "bits": bits, "images": images}), path)


def _read_wrong(path: Path) -> dict[tuple[str, str, int], NDArray[np.bool_]]:
    import pyarrow.parquet as pq

    found = {}
    for row in pq.read_table(path).to_pylist():
        _, anchor, arm, replicate = row["name"].split("/")
        bits = np.unpackbits(np.frombuffer(row["bits"], np.uint8), count=row["images"]).astype(bool)
        found[anchor, arm, int(replicate)] = bits
    return found
