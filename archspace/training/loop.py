"""The training loop: a generator of epochs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archspace.data.tasks import Split, Task
from archspace.network import Network
from archspace.seeds import derive
from archspace.training.auxiliary import AuxiliaryHeads
from archspace.training.checkpoint import Checkpoint
from archspace.training.device import Mode
from archspace.training.recipe import Recipe

EVAL_BATCH = 256


class Diverged(Exception):  # noqa: N818
    """Training left the finite numbers."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave: mean train loss, error (a fraction) and cross-entropy on val, seconds it took.

    The train loss is that of the network's own scores, without those of auxiliary heads, so that it can be compared
    between trainings with and without them.
    """

    epoch: int
    train_loss: float
    error: float
    cross_entropy: float
    seconds: float


def learning_rate(recipe: Recipe, done: float) -> float:
    """The rate after `done` epochs: linear warm-up, then half a cosine to zero (1608.03983, without restarts)."""
    if done < recipe.warmup:
        return recipe.lr * done / recipe.warmup
    share = (done - recipe.warmup) / (recipe.epochs - recipe.warmup)
    return recipe.lr * 0.5 * (1.0 + math.cos(math.pi * share))


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD with Nesterov momentum; weight decay for convolutions and linear layers alone (1812.01187, Section 3.1)."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    spared = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def train(
    network: Network,
    task: Task,
    recipe: Recipe,
    mode: Mode,
    seed: int,
    start: Checkpoint | None = None,
    heads: AuxiliaryHeads | None = None,
) -> Iterator[tuple[Epoch, Checkpoint]]:
    """Train `network` on the task's train split and measure it on val, epoch by epoch, from `start` on.

    Each epoch's randomness is seeded by (seed, epoch) alone, so an interrupted training goes on as it would have.
    With auxiliary `heads` the loss is CE(network) + weight x sum of CE(head); measured is the network alone.
    Raises Diverged where the loss is not finite.
    """
    network.to(mode.device, memory_format=_layout(mode))  # type: ignore[call-overload]
    if heads is not None:
        heads.to(mode.device)
    optimizer = make_optimizer(network if heads is None else nn.ModuleList([network, heads]), recipe)
    if start is not None:
        network.load_state_dict(start.weights)
        optimizer.load_state_dict(start.optimizer)
        if heads is not None:
            heads.load_state_dict(start.auxiliary)
    data, held_out = (resident(split, task, mode) for split in (task.train, task.val))
    for epoch in range(start.epoch + 1 if start else 1, recipe.epochs + 1):
        began = time.perf_counter()
        with torch.random.fork_rng(devices=[mode.device] if mode.device == "cuda" else []):
            torch.manual_seed(derive(seed, epoch))
            loss = _train_epoch(network, heads, optimizer, data, recipe, mode, epoch)
            _estimate_norms(network, data, recipe, mode)
        if not math.isfinite(loss):
            raise Diverged(f"the training loss became {loss} in epoch {epoch}")
        error, cross_entropy = evaluate(network, held_out, mode)
        if not math.isfinite(cross_entropy):
            raise Diverged(f"the val cross-entropy became {cross_entropy} in epoch {epoch}")
        measured = Epoch(epoch, loss, error, cross_entropy, time.perf_counter() - began)
        beside = {} if heads is None else heads.state_dict()
        yield measured, Checkpoint(epoch, network.state_dict(), optimizer.state_dict(), beside)


def evaluate(network: nn.Module, split: Split, mode: Mode) -> tuple[float, float]:
    """Error (a fraction) and cross-entropy (nats) of a network on a split, in eval mode."""
    network.eval()
    wrong, nats = 0.0, 0.0
    with torch.inference_mode():
        for start in range(0, len(split.labels), EVAL_BATCH):
            labels = split.labels[start : start + EVAL_BATCH]
            scores = _forward(network, split.images[start : start + EVAL_BATCH], mode)
            wrong += float((scores.argmax(1) != labels).sum())
            nats += float(F.cross_entropy(scores, labels, reduction="sum"))
    return wrong / len(split.labels), nats / len(split.labels)


def resident(split: Split, task: Task, mode: Mode) -> Split:
    """A split on the device, normalised."""
    mean, std = (torch.tensor(numbers).view(-1, 1, 1) for numbers in (task.mean, task.std))
    return Split(((split.images.float() - mean) / std).to(mode.device), split.labels.to(mode.device))


def _train_epoch(
    network: Network,
    heads: AuxiliaryHeads | None,
    optimizer: torch.optim.SGD,
    data: Split,
    recipe: Recipe,
    mode: Mode,
    epoch: int,
) -> float:
    """Mean loss of the network's own scores."""
    network.train()
    order = torch.randperm(len(data.labels))
    # Batch normalisation cannot train on a single image, so a remainder of one is left out.
    batches = [batch.to(mode.device) for batch in _batches(order, recipe) if len(batch) > 1]
    total = torch.zeros((), device=mode.device)
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, epoch - 1 + (step + 1) / len(batches))
        optimizer.zero_grad(set_to_none=True)  # before the forward pass, whose maps would lie beside them
        loss, whole = _losses(network, heads, data.images[batch], data.labels[batch], recipe, mode)
        whole.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += loss.detach()
    return float(total) / len(batches)


def _losses(
    network: Network, heads: AuxiliaryHeads | None, images: Tensor, labels: Tensor, recipe: Recipe, mode: Mode
) -> tuple[Tensor, Tensor]:
    """The loss of the network's own scores, and what is minimised: that loss and the weighted ones of `heads`."""

    def loss_of(scores: Tensor) -> Tensor:
        return F.cross_entropy(scores.float(), labels, label_smoothing=recipe.label_smoothing)

    if heads is None:
        loss = loss_of(_forward(network, images, mode))
        return loss, loss
    images = images.contiguous(memory_format=_layout(mode))
    with torch.autocast(mode.device, torch.bfloat16, enabled=mode.bf16):
        scores, *others = heads(network, images)
    loss = loss_of(scores)
    return loss, loss + heads.weight * torch.stack([loss_of(other) for other in others]).sum()


def _estimate_norms(network: nn.Module, data: Split, recipe: Recipe, mode: Mode) -> None:
    """Batch-norm statistics anew, averaged over `norm_batches` mini-batches (Wu & Johnson 2021, 2105.07576, Section 3).

    The running averages of training lag behind weights that still move fast, which after one epoch hides what a
    network has learned.
    """
    network.eval()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average
        norm.train()
    order = torch.randperm(len(data.labels))[: recipe.norm_batches * recipe.batch]
    with torch.no_grad():
        for batch in _batches(order, recipe):
            if len(batch) > 1:
                _forward(network, data.images[batch.to(mode.device)], mode)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _batches(order: Tensor, recipe: Recipe) -> tuple[Tensor, ...]:
    batches: tuple[Tensor, ...] = order.split(recipe.batch)  # type: ignore[no-untyped-call]
    return batches


def _forward(network: nn.Module, images: Tensor, mode: Mode) -> Tensor:
    images = images.contiguous(memory_format=_layout(mode))
    with torch.autocast(mode.device, torch.bfloat16, enabled=mode.bf16):
        scores: Tensor = network(images)
    return scores.float()


def _layout(mode: Mode) -> torch.memory_format:
    return torch.channels_last if mode.channels_last else torch.contiguous_format
