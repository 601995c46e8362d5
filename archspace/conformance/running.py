"""Checks of what a family's networks do when they run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from archspace.blocks.registry import Family
from archspace.blueprint import Blueprint, draw
from archspace.conformance.cases import (
    WIDTH,
    blueprint_of,
    difference,
    generator,
    images,
    network_of,
    stage_of,
    trained_network_of,
    without_chance,
)
from archspace.errors import GenomeError
from archspace.genome import Genome, Shape, Stem
from archspace.network import build

EDGES: tuple[tuple[Shape, int], ...] = (((1, 1, 1), 1), ((1, 1, 1), 2), ((1, 7, 5), 2), ((3, 2, 1), 3), ((3, 8, 8), 2))
"""Inputs and strides: maps of one pixel, of odd sides, smaller than the stride."""
WIDTHS = (WIDTH, 1, 7, WIDTH + 32)


def gradients(family: Family, genes: Any) -> Iterator[str]:
    """Gradients reach every parameter."""
    network = network_of(family, genes).train()
    scores = network(images(4))
    (scores * torch.randn(scores.shape, generator=generator(3))).sum().backward()
    idle = set(_biases_before_norms(network))
    for name, parameter in network.named_parameters():
        if parameter.grad is None:
            yield f"no gradient reaches {name}"
        elif not torch.isfinite(parameter.grad).all():
            yield f"the gradient of {name} is not finite"
        elif name not in idle and not parameter.grad.abs().max() > 0:
            yield f"the gradient of {name} is zero"


def _biases_before_norms(network: nn.Module) -> Iterator[str]:
    """Biases that the normalisation behind them takes away again: their gradient is rounding."""
    modules = list(network.named_modules())
    for (name, module), (_, following) in pairwise(modules):
        if isinstance(module, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            yield f"{name}.bias"


def company(family: Family, genes: Any) -> Iterator[str]:
    """In eval mode, an image is scored alike whatever else is in its batch."""
    network, x = trained_network_of(family, genes), images(6)
    with torch.no_grad():
        together = network(x)
        alone = torch.cat([network(x[index : index + 1]) for index in range(len(x))])
        turned = network(x.flip(0)).flip(0)
    for what, other in (("alone", alone), ("in another order", turned)):
        if apart := difference(together, other):
            yield f"images are scored differently {what}: {apart}"


def modes(family: Family, genes: Any) -> Iterator[str]:
    """Eval mode is deterministic, and train mode departs from it by batch statistics and dropout alone."""
    network, x = trained_network_of(family, genes), images(4)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = network(x)
        torch.manual_seed(1)
        if not torch.equal(network(x), first):
            yield "in eval mode, the same images are not scored alike twice"
        without_chance(network)
        if apart := difference(network(x), first):
            yield f"with norms frozen and dropout off, train mode departs from eval mode {apart}"


def memory_format(family: Family, genes: Any) -> Iterator[str]:
    """Images and weights laid out channels last give the same scores."""
    network, x = trained_network_of(family, genes), images(4)
    with torch.no_grad():
        usual = network(x)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own stub lacks it
        last = network(x.contiguous(memory_format=torch.channels_last))
    if apart := difference(usual, last):
        yield f"channels last gives other scores: {apart}"


def seeds(family: Family, genes: Any) -> Iterator[str]:
    """The same seed gives the same weights, whatever torch's own generator does, and leaves that one as it was."""
    blueprint = blueprint_of(family, genes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        before = torch.random.get_rng_state()
        one = build(blueprint, generator(0)).state_dict()
        if not torch.equal(torch.random.get_rng_state(), before):
            yield "building with a generator draws from torch's own"
        torch.manual_seed(1)
        other = build(blueprint, generator(0)).state_dict()
    for name in one:
        if not torch.equal(one[name], other[name]):
            yield f"{name} starts at random values that no seed rules; let its class set it to a number"


def edges(family: Family, genes: Any) -> Iterator[str]:
    """Networks of one block, maps of one pixel, odd sides, narrow and wide stages run, or are refused with a reason."""
    cases = [(shape, stride, WIDTH) for shape, stride in EDGES] + [((1, 7, 5), 2, width) for width in WIDTHS[1:]]
    for shape, stride, width in cases:
        genome = Genome((stage_of(family, genes, 1, stride, width),), Stem("cifar", WIDTH))
        where = f"one block of width {width} and stride {stride} on {'x'.join(map(str, shape))}"
        try:
            yield from (f"{where}: {problem}" for problem in _unfit(draw(genome, shape, 2)))
        except GenomeError as error:
            if not str(error).removeprefix("stage 1:").strip():
                yield f"{where}: is refused without a reason"
        except Exception as error:
            yield f"{where}: {type(error).__name__}: {error}"


def _unfit(blueprint: Blueprint) -> Iterator[str]:
    """What is wrong with scores in both modes. One image may be too few for train mode's statistics: two are given."""
    network = build(blueprint, generator(0))
    x = images(2, blueprint.input)
    for training in (True, False):
        scores = network.train(training)(x)
        if list(scores.shape) != [2, blueprint.classes]:
            yield f"scores of two images are of shape {list(scores.shape)}"
        elif not torch.isfinite(scores).all():
            yield "scores are not finite"
