"""The frozen configuration of a run, as `run.yaml` holds it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from archspace.errors import UserError
from archspace.genome import Shape
from archspace.space.budget import Latency
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe

FORMAT = 1
"""Version of a run's folder; a folder of a newer version is refused."""


class TaskConfig(BaseModel):
    """The task as trained: its name, input (channels, height, width), classes, and what its data were known by."""

    model_config = ConfigDict(frozen=True)

    name: str
    input: Shape
    classes: int
    fingerprint: str = ""


class RunConfig(BaseModel):
    """Everything that decides what a run does; nothing in it changes once the run has begun.

    `space` is the content of the space's YAML file, so that a resume needs no other file. `budget` is as typed;
    `measure` and `cap` are the cost objective and its upper limit. `trials` and `seconds` are the first start's
    limits. `enqueue` holds genomes as plain data with the names they were asked by.
    `latency` is what a budget in seconds is predicted by, `modes` how each kind of network is trained.
    """

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    name: str
    created: str
    space_name: str
    space: dict[str, Any]
    budget: tuple[str, ...]
    measure: str
    cap: int | float
    target_input: Shape
    target_classes: int
    task: TaskConfig
    recipe: Recipe
    trials: int
    seconds: float
    seed: int
    concurrency: int
    gpus_per_trial: float
    device: str
    enqueue: tuple[tuple[str, dict[str, Any]], ...] = ()
    versions: dict[str, str]
    machine: str
    latency: Latency | None = None
    modes: dict[str, Mode] = Field(default_factory=dict)


def write_config(config: RunConfig, path: Path) -> None:
    """Write `run.yaml`, for people as well as for a resume."""
    text = io.StringIO()
    yaml = YAML()
    yaml.dump(config.model_dump(mode="json"), text)
    part = path.with_name(path.name + ".part")
    part.write_text(text.getvalue(), encoding="utf-8")
    part.replace(path)


def read_config(path: Path) -> RunConfig:
    """The configuration in `run.yaml`; raises UserError if it is missing, broken or of a newer version."""
    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path.parent}: not a run: it has no {path.name}") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    found = data.get("format") if isinstance(data, dict) else None
    if not isinstance(found, int):
        raise UserError(f"{path}: not a run's configuration: it names no format")
    if found > FORMAT:
        raise UserError(
            f"{path}: written by a newer archspace (format {found}, this one reads {FORMAT}); upgrade archspace"
        )
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: {place}: {first['msg']}; the file was changed by hand or is damaged") from None
