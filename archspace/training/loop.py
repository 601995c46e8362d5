"""The training loop: a generator of epochs."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archspace.data.tasks import Task
from archspace.network import Network
from archspace.seeds import derive
from archspace.training.augment import Chance, Mixed, chance, cropped, cut_out, mixed
from archspace.training.auxiliary import AuxiliaryHeads
from archspace.training.average import Average
from archspace.training.checkpoint import Checkpoint
from archspace.training.device import layout_of
from archspace.training.evaluation import evaluate
from archspace.training.feed import Feed, feed
from archspace.training.forward import Forward, forward_of, products_of
from archspace.training.mode import Mode
from archspace.training.norms import estimate_norms
from archspace.training.optimizer import learning_rate, make_optimizer, set_rate
from archspace.training.recipe import Recipe

HOPELESS = 10.0
"""Times the loss of guessing: a mean training loss above it is taken for divergence."""


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
    """What stays as it is while a network trains; a batch goes through in `parts` of it, one after another."""

    network: Network
    heads: AuxiliaryHeads | None
    optimizer: torch.optim.SGD
    average: Average | None
    data: Feed
    recipe: Recipe
    forward: Forward
    parts: int


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
    network.to(mode.device, memory_format=layout_of(mode))  # type: ignore[call-overload]
    if heads is not None:
        heads.to(mode.device)
    whole = network if heads is None else nn.ModuleList([network, heads])
    optimizer = make_optimizer(whole, recipe, mode)
    average = Average(network, recipe.ema) if recipe.ema else None
    if start is not None:
        network.load_state_dict(start.weights)
        optimizer.load_state_dict(start.optimizer)
        if heads is not None:
            heads.load_state_dict(start.auxiliary)
        if average is not None:
            average.resume(network, start.average)
    data, held_out = feed(task.train, task, mode), feed(task.val, task, mode)
    training = Training(network, heads, optimizer, average, data, recipe, forward_of(network, mode), parts)
    for epoch in range(start.epoch + 1 if start else 1, recipe.epochs + 1):
        with products_of(mode):
            yield _one_epoch(training, held_out, seed, epoch, task.classes)


def _one_epoch(training: Training, held_out: Feed, seed: int, epoch: int, classes: int) -> tuple[Epoch, Checkpoint]:
    network, recipe, device = training.network, training.recipe, training.data.mode.device
    began = time.perf_counter()
    with torch.random.fork_rng(devices=[device] if device == "cuda" else []):
        torch.manual_seed(derive(seed, epoch))
        loss = _steps(training, epoch, chance(derive(seed, epoch, "augment"), device))
        speed = len(training.data) / (time.perf_counter() - began)
        if not math.isfinite(loss) or loss > HOPELESS * math.log(classes):
            raise Diverged(f"the training loss became {loss:.4g} in epoch {epoch}")
        with training.average.standing_in(network) if training.average else contextlib.nullcontext():
            estimate_norms(network, training.forward, training.data, recipe)
            error, cross_entropy = evaluate(network, held_out, training.forward)
            weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
    if not math.isfinite(cross_entropy):
        raise Diverged(f"the val cross-entropy became {cross_entropy} in epoch {epoch}")
    measured = Epoch(epoch, loss, error, cross_entropy, time.perf_counter() - began, speed)
    beside = {} if training.heads is None else training.heads.state_dict()
    average = {} if training.average is None else training.average.state(network)
    return measured, Checkpoint(epoch, weights, training.optimizer.state_dict(), beside, average)


def _steps(training: Training, epoch: int, rng: Chance) -> float:
    """One epoch's steps; the mean loss of the network's own scores."""
    network, recipe, data, optimizer = training.network, training.recipe, training.data, training.optimizer
    network.train()
    # Batch normalisation cannot train on a single image, so a remainder of one is left out.
    places = [some for some in torch.randperm(len(data)).split(recipe.batch) if len(some) > 1]  # type: ignore[no-untyped-call]
    total = torch.zeros((), device=data.mode.device)
    for step, (images, labels) in enumerate(data.batches(places)):
        set_rate(optimizer, learning_rate(recipe, epoch - 1 + (step + 1) / len(places)))
        optimizer.zero_grad(set_to_none=True)  # before the forward pass, whose maps would lie beside them
        pixels = cut_out(data.normalised(cropped(images, recipe, rng)), recipe, rng)
        total += _gradients(training, mixed(pixels, labels, recipe, rng))
        if recipe.clip:
            nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], recipe.clip)
        optimizer.step()
        if training.average is not None:
            training.average.update(network)
    return float(total) / len(places)


def _gradients(training: Training, batch: Mixed) -> Tensor:
    """Add up the gradients of a batch, part by part; the loss of the network's own scores."""
    total = torch.zeros((), device=batch.images.device)
    # As equal as can be, and none of a single image, on which batch normalisation cannot train.
    count = max(min(training.parts, len(batch.labels) // 2), 1)
    pieces = (torch.tensor_split(tensor, count) for tensor in (batch.images, batch.labels, batch.others))
    for images, labels, others in zip(*pieces, strict=True):
        part = Mixed(images, labels, others, batch.share)
        weight = len(part.labels) / len(batch.labels)
        loss, whole = _losses(training, part)
        (whole * weight).backward()  # type: ignore[no-untyped-call]
        total += loss.detach() * weight
    return total


def _losses(training: Training, batch: Mixed) -> tuple[Tensor, Tensor]:
    """The loss of the network's own scores, and what is minimised: that loss and the weighted ones of the heads."""
    smoothing = training.recipe.label_smoothing

    def loss_of(scores: Tensor) -> Tensor:
        loss = F.cross_entropy(scores.float(), batch.labels, label_smoothing=smoothing)
        if batch.share == 1.0:
            return loss
        return torch.lerp(F.cross_entropy(scores.float(), batch.others, label_smoothing=smoothing), loss, batch.share)

    if training.heads is None:
        loss = loss_of(training.forward(training.network, batch.images))
        return loss, loss
    with training.forward.autocast():
        scores, *others = training.heads(training.network, batch.images)
    loss = loss_of(scores)
    return loss, loss + training.heads.weight * torch.stack([loss_of(other) for other in others]).sum()
