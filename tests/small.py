"""Small networks in float64, and images for them, on which what papers say of blocks is tried."""

import torch
from torch import Tensor

from archspace.blueprint import draw
from archspace.genome import Genome, Stage, Stem, Survival
from archspace.network import Network, build

INPUT, CLASSES = (2, 8, 8), 5


def network_of(*stages: Stage, stem: Stem | None = None, survival: Survival | None = None) -> Network:
    genome = Genome(stages, stem or Stem("cifar", 8), survival=survival or Survival(), initialisation="he")
    return build(draw(genome, INPUT, CLASSES), torch.Generator().manual_seed(0)).double()


def images(count: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, *(shape or INPUT), generator=generator, dtype=torch.float64)


def used(network: Network) -> Network:
    """The network with norms that differ from channel to channel."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        network.train()(images(8))
    return network
