"""One trial: a plain generator of epochs that keeps its own folder, wherever it runs."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from archspace.blueprint import draw
from archspace.data.tasks import Task
from archspace.genomefile import genome_from_data
from archspace.network import build
from archspace.records.metrics import append_metrics, keep_metrics, read_metrics
from archspace.seeds import derive
from archspace.training.auxiliary import auxiliary_heads
from archspace.training.checkpoint import load_checkpoint, save_checkpoint
from archspace.training.device import choose_mode
from archspace.training.loop import Diverged, train
from archspace.training.recipe import Recipe


@dataclass(frozen=True)
class TrialSpec:
    """All that a trial needs, wherever it runs: `zero` is the time (seconds since 1970) at which the run began."""

    number: int
    genome: dict[str, Any]
    seed: int
    task: str
    recipe: Recipe
    device: str
    folder: str
    zero: float


def epochs_of(spec: TrialSpec, task: Task) -> Iterator[dict[str, Any]]:
    """Train the genome and give each epoch's metrics once they and the checkpoint are on disk.

    Goes on from the folder's checkpoint where there is one. Ends with `{"failed": reason}` instead of an exception.
    """
    folder = Path(spec.folder)
    try:
        yield from _epochs(spec, task, folder)
    except Exception as error:  # a failing trial must not end the search
        with contextlib.suppress(OSError):  # the disk may be what failed
            (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        yield {"failed": reason_for(error)}


def reason_for(error: BaseException) -> str:
    """Why a trial failed, in words for a table."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else ""
    if isinstance(error, Diverged):
        return f"diverged: {text}"
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error):
        return f"out of memory: {text}"
    return f"{type(error).__name__}: {text}"


def _epochs(spec: TrialSpec, task: Task, folder: Path) -> Iterator[dict[str, Any]]:
    checkpoint = load_checkpoint(folder)
    recorded = read_metrics(folder)
    if checkpoint is not None and checkpoint.epoch > len(recorded):
        checkpoint = None  # its metrics are lost, and a rung needs them
    if checkpoint is not None and checkpoint.epoch == spec.recipe.epochs:
        yield recorded[checkpoint.epoch - 1]  # a worker finished after its driver, or died before it could tell
        return
    keep_metrics(folder, checkpoint.epoch if checkpoint else 0)
    blueprint = draw(genome_from_data(spec.genome), task.input, task.classes)
    generator = torch.Generator().manual_seed(derive(spec.seed, "weights"))
    network = build(blueprint, generator)
    mode = choose_mode(spec.recipe, spec.device)
    heads = auxiliary_heads(blueprint, spec.seed)
    for epoch, state in train(network, task, spec.recipe, mode, spec.seed, checkpoint, heads):
        metrics = asdict(epoch) | {"at": time.time() - spec.zero}
        append_metrics(folder, metrics)
        save_checkpoint(state, folder)
        yield metrics
