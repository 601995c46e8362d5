"""Networks: a blueprint as a torch module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archspace.blueprint import Blueprint, StagePlan
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

    With a `generator`, torch's own is left as it was.
    """
    # torch's constructors draw from its own generator, whatever is drawn anew below.
    with torch.random.fork_rng(devices=[], enabled=generator is not None):
        network = Network(
            blueprint.stem.bind(in_channels=blueprint.input[0]).build(),
            nn.Sequential(*(_build_stage(stage) for stage in blueprint.stages)),
            blueprint.head.bind(num_classes=blueprint.classes).build(),
        )
    INITIALISATIONS[blueprint.initialisation][0](network, generator)
    return network


def _build_stage(stage: StagePlan) -> nn.Sequential:
    plans = [stage.first] + [stage.steady] * (stage.depth - 1)
    if stage.survival:
        plans = [plan.bind(p=p) for plan, p in zip(plans, stage.survival, strict=True)]
    return nn.Sequential(*(plan.build() for plan in plans))
