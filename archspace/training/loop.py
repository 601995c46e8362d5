"""The training loop: a generator of epochs."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from archspace.data.tasks import Task
from archspace.network import Network
from archspace.seeds import derive
from archspace.training.augment import Chance, chance, cropped, cut_out, mixed
from archspace.training.auxiliary import AuxiliaryHeads
from archspace.training.average import Average
from archspace.training.checkpoint import Checkpoint
from archspace.training.evaluation import evaluate
from archspace.training.feed import Feed, feed
from archspace.training.forward import forward_of, products_of
from archspace.training.heap import hand_back, keep_freed_memory
from archspace.training.mode import Mode
from archspace.training.norms import estimate_norms
from archspace.training.optimizer import learning_rate, make_optimizer, resume_optimizer
from archspace.training.place import place
from archspace.training.recipe import Recipe
from archspace.training.step import Stepper

HOPELESS = 10.0
"""Times the loss of guessing: a mean training loss above it is taken for divergence."""
TOGETHER = 2**25
"""Bytes of pixels, in float32, that a GPU augments at once; a single batch may be larger."""


class Diverged(Exception):  # noqa: N818
    """Training left the finite numbers, or all hope."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave: mean train loss, error (a fraction) and cross-entropy on val, seconds it took.

    The train loss is that of the network's own scores, without those of auxiliary heads, so that it can be compared
    between trainings with and without them. `speed` are the images trained on in a second, evaluation left aside.
    """

    epoch: int
    train_loss: float
    error: float
    cross_entropy: float
    seconds: float
    speed: float


@dataclass(frozen=True, eq=False)
class Training:
    """What stays as it is while a network trains."""

    step: Stepper
    data: Feed


def train(
    network: Network,
    task: Task,
    recipe: Recipe,
    mode: Mode,
    seed: int,
    start: Checkpoint | None = None,
    heads: AuxiliaryHeads | None = None,
    parts: int = 1,
) -> Iterator[tuple[Epoch, Checkpoint]]:
    """Train `network` on the task's train split and measure it on val, epoch by epoch, from `start` on.

    Each epoch's randomness is seeded by (seed, epoch) alone, so an interrupted training goes on as it would have.
    With auxiliary `heads` the loss is CE(network) + weight x sum of CE(head); measured is the network alone. Batches
    are passed in `parts`, whose gradients add up, where a whole one takes too much memory. Raises Diverged.
    """
    if mode.device == "cpu":
        keep_freed_memory()
    place(network, mode)
    if heads is not None:
        heads.to(mode.device)
    whole = network if heads is None else nn.ModuleList([network, heads])
    optimizer = make_optimizer(whole, recipe, mode)
    average = Average(network, recipe.ema) if recipe.ema else None
    if start is not None:
        network.load_state_dict(start.weights)
        resume_optimizer(optimizer, start.optimizer)
        if heads is not None:
            heads.load_state_dict(start.auxiliary)
        if average is not None:
            average.resume(network, start.average)
    data, held_out = feed(task.train, task, mode), feed(task.val, task, mode)
    stepper = Stepper(network, heads, optimizer, average, recipe, forward_of(network, mode), parts)
    training = Training(stepper, data)
    try:
        for epoch in range(start.epoch + 1 if start else 1, recipe.epochs + 1):
            with products_of(mode):
                yield _one_epoch(training, held_out, seed, epoch, task.classes)
    finally:
        stepper.release()
        if mode.device == "cpu":
            hand_back()


def _one_epoch(training: Training, held_out: Feed, seed: int, epoch: int, classes: int) -> tuple[Epoch, Checkpoint]:
    step, device = training.step, training.data.mode.device
    network, recipe, average = step.network, step.recipe, step.average
    began = time.perf_counter()
    with torch.random.fork_rng(devices=[device] if device == "cuda" else []):
        torch.manual_seed(derive(seed, epoch))
        loss = _steps(training, epoch, chance(derive(seed, epoch, "augment"), device))
        speed = len(training.data) / (time.perf_counter() - began)
        if not math.isfinite(loss) or loss > HOPELESS * math.log(classes):
            raise Diverged(f"the training loss became {loss:.4g} in epoch {epoch}")
        with average.standing_in(network) if average else contextlib.nullcontext():
            estimate_norms(network, step.forward, training.data, recipe)
            error, cross_entropy = evaluate(network, held_out, step.forward)
            weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
    if not math.isfinite(cross_entropy):
        raise Diverged(f"the val cross-entropy became {cross_entropy} in epoch {epoch}")
    measured = Epoch(epoch, loss, error, cross_entropy, time.perf_counter() - began, speed)
    beside = {} if step.heads is None else step.heads.state_dict()
    kept = {} if average is None else average.state(network)
    return measured, Checkpoint(epoch, weights, step.optimizer.state_dict(), beside, kept)


def _steps(training: Training, epoch: int, rng: Chance) -> float:
    """One epoch's steps; the mean loss of the network's own scores."""
    step, recipe = training.step, training.step.recipe
    step.network.train()
    step.total.zero_()
    order = torch.randperm(len(training.data))
    # Batch normalisation cannot train on a single image, so a remainder of one is left out.
    order = order[:-1] if len(order) % recipe.batch == 1 else order
    steps = -(-len(order) // recipe.batch)
    for number, (pixels, labels) in enumerate(_batches(training.data, order, recipe, rng), start=1):
        step(mixed(pixels, labels, recipe, rng), learning_rate(recipe, epoch - 1 + number / steps))
    return float(step.total) / len(order)


def _batches(data: Feed, order: Tensor, recipe: Recipe, rng: Chance) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented batches; on a GPU several are augmented together, which tells it of fewer kernels."""
    size = 4 * data.images[0].numel() * recipe.batch  # bytes, in float32
    together = recipe.batch * (max(TOGETHER // size, 1) if data.mode.device == "cuda" else 1)
    for images, labels in data.batches(torch.split(order, together)):
        pixels = cut_out(data.normalised(cropped(images, recipe, rng)), recipe, rng)
        yield from zip(torch.split(pixels, recipe.batch), torch.split(labels, recipe.batch), strict=True)
