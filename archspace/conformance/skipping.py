"""The check of stochastic depth: every block's branch can be skipped, and counts by its survival."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from archspace.blocks.registry import Family
from archspace.conformance.cases import blueprint_of, difference, images, network_of, without_chance
from archspace.genome import Survival
from archspace.network import Network
from archspace.parts.survival import BatchSurvival, SampleSurvival

MODES: tuple[Literal["batch", "sample"], ...] = ("batch", "sample")
KEPT = 0.3
BLOCKS = 4
"""Blocks of network_of's two stages."""

Wrapped = dict[str, BatchSurvival | SampleSurvival]


def survival(family: Family, genes: Any) -> Iterator[str]:
    """Every branch can be skipped, counts by its survival in eval mode, and with a survival of 1 is as without."""
    if not family.residual:
        return
    if blueprint_of(family, genes, Survival(1.0, "uniform", "sample")) != blueprint_of(family, genes):
        yield "a survival of 1 is drawn otherwise than none"
    with torch.random.fork_rng(devices=[]):
        for mode in MODES:
            yield from (f"mode {mode}: {problem}" for problem in _skipping(family, genes, mode))


def _skipping(family: Family, genes: Any, mode: Literal["batch", "sample"]) -> Iterator[str]:
    network = network_of(family, genes, Survival(KEPT, "uniform", mode))
    wrapped = {name: m for name, m in network.named_modules() if isinstance(m, BatchSurvival | SampleSurvival)}
    if len(wrapped) != BLOCKS:
        yield f"of {BLOCKS} blocks, {len(wrapped)} hand a branch to `survive`; each has one to hand"
        return
    if apart := _apart(network_of(family, genes), network, wrapped, KEPT):
        yield f"in eval mode, branches do not count by their survival: {apart}"
    if apart := _apart(network_of(family, genes), network, wrapped, 1.0):
        yield f"a survival of 1 is not what is without stochastic depth: {apart}"
    for module in wrapped.values():
        module.p = 0.0
    try:
        scores = network.train()(images(4))
    except Exception as error:
        yield f"with every branch skipped, {type(error).__name__}: {error}"
        return
    if not torch.isfinite(scores).all():
        yield "with every branch skipped, scores are not finite"


def _apart(plain: Network, network: Network, wrapped: Wrapped, p: float) -> str:
    """How far a network whose branches survive with `p` is from the one without, its branches scaled by hand.

    Compared is train mode where p is 1, so that every branch is kept, else eval mode.
    """

    def scale(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return p * output

    for name, module in wrapped.items():
        module.p = p
        plain.get_submodule(name).register_forward_hook(scale)
    for each in (plain, network):
        if p == 1.0:
            without_chance(each)
        else:
            each.eval()
    with torch.no_grad():
        return difference(plain(images(4)), network(images(4)))
