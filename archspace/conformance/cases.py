"""The small networks and images on which families are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archspace.blocks.registry import Family
from archspace.blueprint import Blueprint, draw
from archspace.genome import Genome, Shape, Stage, Stem, Survival

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from archspace.network import Network

WIDTH = 64
"""The width at which a family's sample genes are valid."""
INPUT: Shape = (1, 9, 7)
"""One channel, odd sides of different length."""
CLASSES = 5


def stage_of(family: Family, genes: Any, depth: int = 2, stride: int = 1, width: int = WIDTH) -> Stage:
    """A stage of the family, without a width where it follows from the genes."""
    return Stage(family.name, depth, None if family.growth else width, stride, genes)


def genome_of(family: Family, genes: Any, depth: int = 2, survival: Survival | None = None) -> Genome:
    """Two stages of `depth` blocks, the second with stride 2."""
    stages = tuple(stage_of(family, genes, depth, stride) for stride in (1, 2))
    return Genome(stages, Stem("cifar", WIDTH), survival=survival or Survival(), initialisation="he")


def blueprint_of(family: Family, genes: Any, survival: Survival | None = None) -> Blueprint:
    """The network that most checks run."""
    return draw(genome_of(family, genes, survival=survival), INPUT, CLASSES)


def network_of(family: Family, genes: Any, survival: Survival | None = None) -> Network:
    """The network that most checks run, its weights drawn from seed 0."""
    from archspace.network import build

    return build(blueprint_of(family, genes, survival), generator(0))


def trained_network_of(family: Family, genes: Any) -> Network:
    """As network_of, with running statistics that its norms took from images, in eval mode."""
    import torch

    network = network_of(family, genes)
    with torch.no_grad():
        network.train()(images(8, seed=2))
    return network.eval()


def images(count: int, input: Shape = INPUT, seed: int = 1) -> Tensor:
    """Normal noise."""
    import torch

    return torch.randn(count, *input, generator=generator(seed))


def generator(seed: int) -> torch.Generator:
    """A generator of this seed."""
    import torch

    return torch.Generator().manual_seed(seed)


def difference(one: Tensor, other: Tensor) -> str:
    """How far two outputs are apart where that is more than rounding makes of them, else nothing."""
    import torch

    if one.shape != other.shape:
        return f"shapes {list(one.shape)} and {list(other.shape)}"
    if torch.allclose(one, other, rtol=1e-3, atol=1e-5):
        return ""
    return f"by up to {float((one - other).abs().max()):.3g}"


def without_chance(network: nn.Module) -> None:
    """Put the network into train mode with its norms frozen and its dropout modules off."""
    from torch import nn
    from torch.nn.modules.batchnorm import _BatchNorm
    from torch.nn.modules.dropout import _DropoutNd

    network.train()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
        elif isinstance(module, _DropoutNd | nn.AlphaDropout):
            module.p = 0.0
