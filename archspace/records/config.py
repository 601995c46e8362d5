"""The frozen configuration of what trains many networks: a run of a search in `run.yaml`, a batch in `batch.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from archspace.data.tasks import Task
from archspace.genome import Shape
from archspace.records.yamlfile import read_model
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


class Config(BaseModel):
    """What any of them records; nothing in it changes once it has begun.

    `measure` is the cost objective; `modes` say how each kind of network is trained.
    """

    model_config = ConfigDict(frozen=True)
    file: ClassVar[str]
    what: ClassVar[str]
    newest: ClassVar[int] = FORMAT

    format: int = FORMAT
    name: str
    created: str
    measure: str
    target_input: Shape
    target_classes: int
    task: TaskConfig
    seed: int
    concurrency: int
    gpus_per_trial: float
    device: str
    versions: dict[str, str]
    machine: str
    modes: dict[str, Mode] = Field(default_factory=dict)


class RunConfig(Config):
    """Everything that decides what a run does.

    `space` is the content of the space's YAML file, so that a resume needs no other file. `budget` is as typed; `cap`
    is its upper limit of `measure`. `trials` and `seconds` are the first start's limits. `enqueue` holds genomes as
    plain data with the names they were asked by. `latency` is what a budget in seconds is predicted by.
    """

    file = "run.yaml"
    what = "run"

    space_name: str
    space: dict[str, Any]
    budget: tuple[str, ...]
    cap: int | float
    recipe: Recipe
    trials: int
    seconds: float
    enqueue: tuple[tuple[str, dict[str, Any]], ...] = ()
    latency: Latency | None = None


class BatchConfig(Config):
    """What decides how the trainings of a batch go, whichever they are; `about` says whose batch it is."""

    file = "batch.yaml"
    what = "batch"

    about: dict[str, Any] = Field(default_factory=dict)


def read_config(path: Path) -> RunConfig:
    """The configuration in `run.yaml`; raises UserError if it is missing, broken or of a newer version."""
    return read_model(RunConfig, path, FORMAT, "run")
