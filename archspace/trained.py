"""What a training leaves in its folder: the network and its curve; how good it is; its export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from archspace.blueprint import Blueprint, draw
from archspace.closed_form import cost
from archspace.data.tasks import Progress, Task, load_task
from archspace.errors import UserError
from archspace.genomefile import genome_from_data
from archspace.network import Network
from archspace.network import build as build_network
from archspace.records.metrics import read_metrics
from archspace.records.training import TrainingConfig, read_training
from archspace.space.estimates import wilson
from archspace.training.checkpoint import WEIGHTS, Checkpoint, load_checkpoint
from archspace.training.device import choose_device, choose_mode
from archspace.training.evaluation import evaluate as evaluate_network
from archspace.training.feed import feed
from archspace.training.forward import Forward, products_of
from archspace.training.place import place
from archspace.training.threads import computing

if TYPE_CHECKING:
    import pandas as pd

    from archspace.export import Exported

Tell = Callable[[str], None]
COLUMNS = ["epoch", "train_loss", "error", "cross_entropy", "seconds", "speed", "training_flops"]


@dataclass(frozen=True, eq=False)
class Trained:
    """A network trained outside a search, in eval mode on the CPU, and what is in its `folder`.

    `error` (a fraction) and `cross_entropy` (nats) on val are those of the last of `epochs` done; `curve` is a
    DataFrame with a row for each. `training_flops` are those spent so far.
    """

    folder: Path
    config: TrainingConfig
    network: Network
    epochs: int
    error: float
    cross_entropy: float
    training_flops: int
    curve: pd.DataFrame

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the error on val."""
        return interval_of(self.error, self.config.images["val"])


@dataclass(frozen=True)
class Evaluation:
    """A network on a split: error (a fraction) with its 95 % Wilson `interval`, cross-entropy in nats.

    `epochs` are those that it was trained for so far, `config` says what was to be trained.
    """

    split: str
    images: int
    error: float
    interval: tuple[float, float]
    cross_entropy: float
    epochs: int
    config: TrainingConfig


def read_trained(folder: Path) -> Trained:
    """What the training in a folder has come to; raises UserError where it has no epoch yet."""
    import pandas as pd

    config = read_training(folder)
    checkpoint = checkpoint_of(folder)
    lines = read_metrics(folder)[: checkpoint.epoch]
    if len(lines) < checkpoint.epoch:
        raise UserError(f"{folder}: metrics.jsonl lacks epochs that were trained; put the file back as it was")
    return Trained(
        folder=folder,
        config=config,
        network=_network(folder, config, checkpoint),
        epochs=checkpoint.epoch,
        error=lines[-1]["error"],
        cross_entropy=lines[-1]["cross_entropy"],
        training_flops=lines[-1]["training_flops"],
        curve=pd.DataFrame(lines, columns=COLUMNS),
    )


def evaluate(
    folder: str | Path, split: Literal["val", "test"] = "test", *, progress: Progress | None = None
) -> Evaluation:
    """Measure the network that a training left in `folder` on a split that it did not learn from.

    It computes as in training, or on the CPU where the training's device is not there. Raises UserError where there is
    no network yet, or the data are not those that it was trained on.
    """
    folder = Path(folder)
    config = read_training(folder)
    checkpoint = checkpoint_of(folder)
    if split not in ("val", "test"):
        raise UserError(f"split {split!r}: val and test are what a network can be measured on")
    task = load_task(config.task.name, progress or (lambda *_: None))
    refuse_changed(folder, config, task)
    mode = config.mode if config.device in ("cpu", choose_device()) else choose_mode(config.recipe, "cpu")
    network = _network(folder, config, checkpoint)
    place(network, mode)
    with computing(config.threads), products_of(mode):
        data = feed(getattr(task, split), task, mode)
        error, cross_entropy = evaluate_network(network, data, Forward(mode))
    return Evaluation(split, len(data), error, interval_of(error, len(data)), cross_entropy, checkpoint.epoch, config)


def interval_of(error: float, images: int) -> tuple[float, float]:
    """The 95 % Wilson interval of an error (a fraction) on so many images."""
    return wilson(round(error * images), images)


def export_trained(folder: Path, form: str, path: Path) -> Exported:
    """Hand over the network that a training left; raises UserError where there is none, RunFailed if a proof fails."""
    from archspace.export import FORMATS, Facts

    trained = read_trained(folder)
    config, blueprint = trained.config, blueprint_of(trained.config)
    figures = cost(blueprint)
    facts = Facts(
        name=config.name,
        genome=genome_from_data(config.genome),
        target=figures,
        trained=figures,
        task=config.task.name,
        error=trained.error,
        cross_entropy=trained.cross_entropy,
        seed=config.seed,
        versions=config.versions,
        notes=(f"Trained for {trained.epochs} epochs.", *config.task.scaling),
    )
    return FORMATS[form](blueprint, trained.network, facts, path)


def checkpoint_of(folder: Path) -> Checkpoint:
    """The newest checkpoint of a training; raises UserError where there is none."""
    checkpoint = load_checkpoint(folder)
    if checkpoint is None and (folder / WEIGHTS).exists():
        raise UserError(f"{folder}: its checkpoints cannot be read; put them back, or train anew in another folder")
    if checkpoint is None:
        raise UserError(f"{folder}: no epoch is done yet; `archspace train` goes on with it")
    return checkpoint


def blueprint_of(config: TrainingConfig) -> Blueprint:
    """The network of a training, drawn for its task."""
    return draw(genome_from_data(config.genome), config.task.input, config.task.classes)


def refuse_changed(folder: Path, config: TrainingConfig, task: Task) -> None:
    """Raise UserError where the task's data are no longer those that the training began with."""
    known = config.task
    if (task.fingerprint, task.input, task.classes) != (known.fingerprint, known.input, known.classes):
        raise UserError(
            f"{folder}: the data of task {task.name} have changed since this training began; put the old files back, "
            "or train anew in another folder"
        )


def _network(folder: Path, config: TrainingConfig, checkpoint: Checkpoint) -> Network:
    network = build_network(blueprint_of(config), torch.Generator().manual_seed(0))
    try:
        network.load_state_dict(checkpoint.weights)
    except RuntimeError:
        raise UserError(
            f"{folder}: its weights are not those of the network in training.yaml; put the files back as they were"
        ) from None
    return network.eval()
