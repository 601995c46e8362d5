"""The frozen configuration of a run, as `run.yaml` holds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from archspace.data.tasks import Task
from archspace.genome import Shape
from archspace.records.yamlfile import read_model, write_model
from archspace.space.budget import Latency
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe

FORMAT = 1
"""Version of a run's folder; a folder of a newer version is refused."""


class TaskConfig(BaseModel):
    """The task as trained: its name, input (channels, height, width), classes, and what its data were known by.

    `mean` and `std` of each channel normalise its images, in units of a pixel's 0 to 255.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    input: Shape
    classes: int
    fingerprint: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def of(cls, task: Task) -> TaskConfig:
        """What a record keeps of a task."""
        return cls(
            name=task.name,
            input=task.input,
            classes=task.classes,
            fingerprint=task.fingerprint,
            mean=task.mean,
            std=task.std,
        )

    @property
    def scaling(self) -> tuple[str, ...]:
        """How a network wants its images, in words; nothing where an older record does not say."""
        if not self.mean:
            return ()
        mean, std = (", ".join(f"{number:.6g}" for number in numbers) for numbers in (self.mean, self.std))
        return (
            f"Images: pixels of 0 to 255, minus the mean of each channel ({mean}), divided by its deviation ({std}).",
        )


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
    write_model(config, path)


def read_config(path: Path) -> RunConfig:
    """The configuration in `run.yaml`; raises UserError if it is missing, broken or of a newer version."""
    return read_model(RunConfig, path, FORMAT, "run")
