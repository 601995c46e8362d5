"""The optimiser of a recipe, and its learning rate over time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from archspace.training.mode import Mode
from archspace.training.recipe import Recipe

FALL = 0.1
"""What a milestone leaves of the learning rate."""


def learning_rate(recipe: Recipe, done: float) -> float:
    """The rate after `done` epochs: linear warm-up, then half a cosine (1608.03983, without restarts) or steps."""
    if done < recipe.warmup:
        return recipe.peak * done / recipe.warmup
    if recipe.schedule == "steps":
        return recipe.peak * FALL ** sum(done > milestone * recipe.epochs for milestone in recipe.milestones)
    share = (done - recipe.warmup) / (recipe.epochs - recipe.warmup)
    return recipe.peak * 0.5 * (1.0 + math.cos(math.pi * share))


def make_optimizer(network: nn.Module, recipe: Recipe, mode: Mode) -> torch.optim.SGD:
    """SGD; weight decay for convolutions and linear layers alone (1812.01187, Section 3.1) unless for all."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    spared = [p for p in network.parameters() if p.ndim <= 1]
    few = recipe.weight_decay if recipe.decay_all else 0.0
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": spared, "weight_decay": few}]
    nesterov = recipe.nesterov and recipe.momentum > 0
    optimizer = torch.optim.SGD(groups, lr=recipe.peak, momentum=recipe.momentum, nesterov=nesterov, fused=mode.fused)
    if mode.fused and recipe.momentum:
        # The fused kernel wants a momentum of all or none, and blocks that stochastic depth left out have none yet.
        for parameter in network.parameters():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def resume_optimizer(optimizer: torch.optim.SGD, state: Mapping[str, Any]) -> None:
    """Go on from a checkpoint's state.

    Momentum is laid out as its weights are now: a fused step on a CPU goes through the memory of both, whatever their
    strides, and the checkpoint may be of a training in another order of images.
    """
    optimizer.load_state_dict(dict(state))
    for weights, kept in optimizer.state.items():
        momentum = kept.get("momentum_buffer")
        if momentum is not None:
            kept["momentum_buffer"] = torch.empty_like(weights).copy_(momentum)


def set_rate(optimizer: torch.optim.SGD, rate: float | Tensor) -> None:
    """Give all groups this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
