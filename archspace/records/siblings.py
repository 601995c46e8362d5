"""Other runs in the same folder, read and never written: what was trained there is not trained again."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archspace.errors import UserError
from archspace.records.config import RunConfig, read_config
from archspace.records.metrics import append_metrics, read_metrics
from archspace.training.checkpoint import load_checkpoint

ENDED = ("COMPLETE", "PRUNED")
_QUERY = """
    SELECT trials.number, ids.value_json, seeds.value_json FROM trials
    JOIN trial_user_attributes AS ids ON ids.trial_id = trials.trial_id AND ids.key = 'id'
    JOIN trial_user_attributes AS seeds ON seeds.trial_id = trials.trial_id AND seeds.key = 'seed'
    WHERE trials.state IN (?, ?)
"""


def adopt(folder: Path, run: Path, config: RunConfig, genome_id: str, seed: int, at: float) -> list[dict[str, Any]]:
    """Copy what a sibling of `run` has of this very training into a trial's `folder`; its epochs, or an empty list.

    The same training is one of the same genome and seed, with the same task, recipe, device, archspace and torch. Of
    several the one with the most epochs is taken. The epochs are marked with the sibling's name as `run`, and date
    from `at`.
    """
    trained = max(_trained(run, config, genome_id, seed), key=lambda found: len(read_metrics(found)), default=None)
    checkpoint = load_checkpoint(trained) if trained else None
    if trained is None or checkpoint is None:
        return []
    known = [entry for entry in read_metrics(trained) if entry["epoch"] <= checkpoint.epoch]
    epochs = [entry | {"run": trained.parent.parent.name, "at": at} for entry in known]
    with contextlib.suppress(OSError):
        for file in trained.iterdir():
            if file.suffix in (".safetensors", ".pt"):
                shutil.copy2(file, folder / file.name)
        for entry in epochs:
            append_metrics(folder, entry)
        return epochs
    return []


def _trained(run: Path, config: RunConfig, genome_id: str, seed: int) -> Iterator[Path]:
    """The folders of ended trials of this training in other runs."""
    for path in sorted(run.parent.glob("*/run.yaml")):
        sibling = path.parent
        if sibling == run:
            continue
        with contextlib.suppress(UserError, OSError, ValueError, sqlite3.Error):
            if _same(read_config(path), config):
                for number, identifier, other in _ended(sibling / "study.db"):
                    if (identifier, other) == (genome_id, seed):
                        yield sibling / "trials" / str(number)


def _same(one: RunConfig, other: RunConfig) -> bool:
    """Whether training means the same in two runs."""
    keys = ("task", "recipe", "device", "modes")
    same = all(getattr(one, key) == getattr(other, key) for key in keys)
    return same and all(one.versions.get(name) == other.versions.get(name) for name in ("archspace", "torch"))


def _ended(database: Path) -> list[tuple[int, str, int]]:
    with contextlib.closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(_QUERY, ENDED).fetchall()
    return [(number, json.loads(identifier), json.loads(seed)) for number, identifier, seed in rows]
