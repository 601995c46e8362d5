"""The frozen configuration of one network's training, as `training.yaml` holds it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from archspace.errors import UserError
from archspace.records.config import TaskConfig
from archspace.records.yamlfile import read_model, write_model
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe

FILE = "training.yaml"
FORMAT = 1
"""Version of a training's folder; a folder of a newer version is refused."""


class TrainingConfig(BaseModel):
    """Everything that decides what a training does; nothing in it changes once it has begun.

    `genome` is plain data with the `id` and the `name` that it was asked by; `images` are those of each split, `splits`
    says how they were made. `recipe_name` and `settings` are what was
    asked for, `recipe` what came of it. `mode` and `threads` are how it computes, so that a resume gives the same bits.
    """

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    name: str
    id: str
    genome: dict[str, Any]
    created: str
    task: TaskConfig
    images: dict[str, int]
    splits: str
    recipe_name: str
    settings: tuple[str, ...] = ()
    recipe: Recipe
    seed: int
    device: str
    threads: int
    mode: Mode
    versions: dict[str, str]
    machine: str


def write_training(config: TrainingConfig, folder: Path) -> None:
    """Write a training's configuration into its folder."""
    write_model(config, folder / FILE)


def read_training(folder: Path) -> TrainingConfig:
    """The configuration of the training in a folder; raises UserError where there is none, or none that can be read."""
    if not os.path.isdir(folder):  # noqa: PTH112  # Path.is_dir raises where a folder above may not be read
        raise UserError(f"{folder}: no such folder; `archspace train` makes one")
    return read_model(TrainingConfig, folder / FILE, FORMAT, "training")


def differences(there: TrainingConfig, asked: TrainingConfig) -> Iterator[str]:
    """What of a training asked for is not as in the one that is there, in words."""
    if there.id != asked.id:
        yield f"genome is {there.name} ({there.id}), asked for is {asked.name} ({asked.id})"
    pairs = [("task", there.task.name, asked.task.name), ("seed", there.seed, asked.seed)]
    pairs += [(f"recipe.{key}", getattr(there.recipe, key), getattr(asked.recipe, key)) for key in Recipe.model_fields]
    pairs += [("device", there.device, asked.device), ("threads", there.threads, asked.threads)]
    for name, old, new in pairs:
        if old != new:
            yield f"{name} is {_word(old)}, asked for is {_word(new)}"


def _word(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
