"""Networks: a blueprint as a torch module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archspace.blueprint import Blueprint, StagePlan
from archspace.closed_form import cost
from archspace.parts.initialise import INITIALISATIONS


class Network(nn.Module):
    """Stem, stages, head: images (N, channels, height, width) to class scores (N, classes)."""

    def __init__(self, stem: nn.Module, stages: nn.Sequential, head: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.stages = stages
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.stages(self.stem(x)))
        return scores


def build(blueprint: Blueprint, generator: torch.Generator | None = None) -> Network:
    """The network of a blueprint, on the CPU in float32, its weights drawn from `generator` (torch's own if None).

    With a `generator`, torch's own is left as it was. Raises GenomeError where the input is too small for the network.
    """
    cost(blueprint)  # raises before a network is built that no image can pass
    # torch's constructors draw from its own generator, whatever is drawn anew below.
    with torch.random.fork_rng(devices=[], enabled=generator is not None):
        network = Network(
            blueprint.stem.bind(in_channels=blueprint.input[0]).build() if blueprint.stem else nn.Identity(),
            nn.Sequential(*(_build_stage(stage, blueprint.input[0]) for stage in blueprint.stages)),
            blueprint.head.bind(num_classes=blueprint.classes).build(),
        )
    INITIALISATIONS[blueprint.initialisation][0](network, generator)
    return network


def _build_stage(stage: StagePlan, in_channels: int) -> nn.Module:
    blocks = [plan.bind(in_channels=in_channels).build() for run in stage.runs for plan in run.blocks()]
    if stage.container is not None:
        blocks = [stage.container.module(*blocks)]
        if stage.entry is None and stage.exit is None:
            return blocks[0]
    around = [None if plan is None else plan.build() for plan in (stage.entry, stage.exit)]
    return nn.Sequential(*(module for module in (around[0], *blocks, around[1]) if module is not None))
