"""Batch-norm statistics, taken anew from whole mini-batches."""

from __future__ import annotations

import torch
from torch import nn

from archspace.training.feed import Feed
from archspace.training.forward import Forward
from archspace.training.recipe import Recipe


def estimate_norms(network: nn.Module, forward: Forward, data: Feed, recipe: Recipe) -> None:
    """Averages over `norm_batches` mini-batches (Wu & Johnson 2021, 2105.07576, Section 3).

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
    order = torch.randperm(len(data))[: recipe.norm_batches * recipe.batch]
    with torch.no_grad():
        # Each counts alike, so that one of a few images would count for more than it knows.
        whole = len(order) - len(order) % recipe.batch
        places = torch.split(order[:whole] if whole else order, recipe.batch)
        for images, _ in data.batches(places):
            forward(network, data.normalised(images))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
