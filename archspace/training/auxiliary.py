"""Auxiliary classifiers behind middle stages (Szegedy et al. 2015, 1409.4842, Section 5): a matter of training alone.

They stand beside the network, not in it: its state, cost and export know nothing of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from archspace.blueprint import Blueprint
from archspace.network import Network
from archspace.parts.head import AverageHead
from archspace.parts.initialise import initialise_he
from archspace.seeds import derive


class AuxiliaryHeads(nn.Module):
    """Average pooling and a linear layer behind each stage in `widths` (stage number, from 1, to its channels).

    Their losses count `weight` times. A head reads the map as it leaves the stage: where the next stage begins with
    an activation of its own (dense, full pre-activation), that map is not activated yet.
    """

    def __init__(self, widths: Mapping[int, int], classes: int, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.heads = nn.ModuleDict({str(number): AverageHead(width, classes) for number, width in widths.items()})

    def forward(self, network: Network, images: Tensor) -> tuple[Tensor, ...]:
        """One pass over `network`: its own scores, equal to network(images), then those of each head, (N, classes)."""
        scores: list[Tensor] = []
        x = network.stem(images)
        for number, stage in enumerate(network.stages, start=1):
            x = stage(x)
            if str(number) in self.heads:
                scores.append(self.heads[str(number)](x))
        return network.head(x), *scores


def auxiliary_heads(blueprint: Blueprint, seed: int) -> AuxiliaryHeads | None:
    """The heads that a blueprint asks for, on the CPU, or None where it asks for none.

    Weights are drawn as those of the network's head are, from a generator of their own seeded by (seed, "auxiliary");
    torch's own is left as it was.
    """
    if not blueprint.auxiliary.after:
        return None
    widths = {number: blueprint.stages[number - 1].width for number in blueprint.auxiliary.after}
    # torch's constructors draw from its own generator, whatever is drawn anew below.
    with torch.random.fork_rng(devices=[]):
        heads = AuxiliaryHeads(widths, blueprint.classes, blueprint.auxiliary.weight)
    initialise_he(heads, torch.Generator().manual_seed(derive(seed, "auxiliary")))
    return heads
