"""One trial: a plain generator of epochs that keeps its own folder, wherever it runs."""

from __future__ import annotations

import contextlib
import gc
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from archspace.blueprint import draw
from archspace.closed_form import cost
from archspace.data.tasks import Task
from archspace.genomefile import genome_from_data
from archspace.network import Network, build
from archspace.records.metrics import append_metrics, keep_metrics, read_metrics
from archspace.records.wrong import keep_wrong
from archspace.seeds import derive
from archspace.training.auxiliary import auxiliary_heads
from archspace.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from archspace.training.evaluation import wrong_images
from archspace.training.feed import feed
from archspace.training.forward import Forward, products_of
from archspace.training.loop import Diverged, train
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe
from archspace.training.shortage import forget_peak, out_of_memory, peak_memory
from archspace.training.trust import assert_costs
from archspace.units import si

DIVERGED = "diverged"
"""How the reason of a failure begins that is the network's own."""


@dataclass(frozen=True)
class TrialSpec:
    """All that a trial needs, wherever it runs: `zero` is the time (seconds since 1970) at which the run began.

    `test` has the network of the last epoch look at the test split, once. Data of another `fingerprint` are refused.
    """

    number: int
    genome: dict[str, Any]
    seed: int
    task: str
    recipe: Recipe
    mode: Mode
    folder: str
    zero: float
    test: bool = False
    fingerprint: str = ""


class DataChanged(Exception):  # noqa: N818
    """The files of a task have changed since its run began."""


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
        return f"{DIVERGED}: {text}"
    if out_of_memory(error):
        return f"out of memory, a step took up to {si(peak_memory(), 'B')}: {text}"
    return f"{type(error).__name__}: {text}"


def _epochs(spec: TrialSpec, task: Task, folder: Path) -> Iterator[dict[str, Any]]:
    if spec.fingerprint and spec.fingerprint != task.fingerprint:
        raise DataChanged(f"task {task.name}: its data are no longer those that the run began with")
    forget_peak()
    checkpoint, recorded = _left(folder)
    if checkpoint is not None and checkpoint.epoch == spec.recipe.epochs:
        yield recorded[checkpoint.epoch - 1]  # a worker finished after its driver, or died before it could tell
        return
    keep_metrics(folder, checkpoint.epoch if checkpoint else 0)
    parts = int(recorded[checkpoint.epoch - 1].get("parts", 1)) if checkpoint else 1
    try:
        yield from _trained(spec, task, folder, checkpoint, parts)
    except Exception as error:
        if not out_of_memory(error) or parts > 1:
            raise
        again = True
    else:
        again = False
    if again:  # out of the handler, which would keep what the failed step allocated
        gc.collect()
        torch.cuda.empty_cache()
        checkpoint, _ = _left(folder)
        keep_metrics(folder, checkpoint.epoch if checkpoint else 0)
        yield from _trained(spec, task, folder, checkpoint, 2 * parts)


def _left(folder: Path) -> tuple[Checkpoint | None, list[dict[str, Any]]]:
    """The checkpoint to go on from and the metrics so far; without its metrics, which rungs need, it is none."""
    checkpoint, recorded = load_checkpoint(folder), read_metrics(folder)
    return (checkpoint if checkpoint is not None and checkpoint.epoch <= len(recorded) else None), recorded


def _trained(
    spec: TrialSpec, task: Task, folder: Path, checkpoint: Checkpoint | None, parts: int
) -> Iterator[dict[str, Any]]:
    """The epochs after a checkpoint, batches passed in `parts`."""
    blueprint = draw(genome_from_data(spec.genome), task.input, task.classes)
    network = build(blueprint, torch.Generator().manual_seed(derive(spec.seed, "weights")))
    closed = cost(blueprint)
    assert_costs(network, closed)
    heads = auxiliary_heads(blueprint, spec.seed)
    images = closed.training_flops * len(task.train.labels)
    for epoch, state in train(network, task, spec.recipe, spec.mode, spec.seed, checkpoint, heads, parts):
        spent: dict[str, Any] = {"training_flops": images * epoch.epoch} | ({"parts": parts} if parts > 1 else {})
        if spec.test and epoch.epoch == spec.recipe.epochs:
            spent |= {"test_error": _tested(spec, task, network, state)}
        metrics = asdict(epoch) | spent | {"at": time.time() - spec.zero}
        append_metrics(folder, metrics)
        save_checkpoint(state, folder)
        yield metrics


def _tested(spec: TrialSpec, task: Task, network: Network, state: Checkpoint) -> float:
    """The test error (a fraction) of a checkpoint's network; which images are wrong is kept in the trial's folder."""
    network.load_state_dict(state.weights)
    with products_of(spec.mode):
        wrong = wrong_images(network, feed(task.test, task, spec.mode), Forward(spec.mode))
    keep_wrong(Path(spec.folder), wrong.numpy())
    return float(wrong.double().mean())
