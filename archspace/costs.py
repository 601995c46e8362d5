"""The closed-form cost of a blueprint, whole and stage by stage."""

from __future__ import annotations

from dataclasses import dataclass

from archspace.blueprint import Blueprint, draw
from archspace.featuremap import FeatureMap
from archspace.genome import Genome, Shape

MEASURES = ("params", "macs", "flops", "acts")
"""What a budget may limit: see Cost for units."""


@dataclass(frozen=True)
class StageCost:
    """One row of a network's table: the map that leaves it (channels, height, width), and what it adds."""

    name: str
    block: str
    depth: int
    output: Shape
    params: int
    macs: int
    flops: int
    acts: int


@dataclass(frozen=True)
class Cost:
    """What a network costs for one image of `input` with `classes` classes.

    `params`: trainable scalars. `macs`: multiply-adds of convolutions and linear layers, without bias. `flops`: the
    total of fvcore's FlopCountAnalysis in eval mode. `acts`: output elements of convolutions. `layers`: weighted
    layers on the longest path.
    """

    input: Shape
    classes: int
    layers: int
    params: int
    macs: int
    flops: int
    acts: int
    stages: tuple[StageCost, ...]


def cost(blueprint: Blueprint) -> Cost:
    """Params, macs, flops, acts and layers of a blueprint; a stage takes its first block + (depth - 1) steady ones."""
    start = FeatureMap(*blueprint.input)
    x = blueprint.stem.cost(start)
    rows = [_row("stem", "", 1, start, x)]
    for number, stage in enumerate(blueprint.stages, start=1):
        before = x
        x = stage.first.cost(x)
        if stage.depth > 1:
            x = x.repeated(stage.steady.cost(x), stage.depth - 1)
        rows.append(_row(f"stage{number}", stage.block, stage.depth, before, x))
    end = blueprint.head.bind(num_classes=blueprint.classes).cost(x)
    rows.append(_row("head", "", 1, x, end))
    return Cost(
        input=blueprint.input,
        classes=blueprint.classes,
        layers=end.layers,
        params=end.params,
        macs=end.macs,
        flops=end.flops,
        acts=end.acts,
        stages=tuple(rows),
    )


def cost_of(genome: Genome, input: Shape = (3, 224, 224), classes: int = 1000) -> Cost:
    """The cost of a genome at an input of (channels, height, width); raises GenomeError."""
    return cost(draw(genome, input, classes))


def _row(name: str, block: str, depth: int, before: FeatureMap, after: FeatureMap) -> StageCost:
    return StageCost(
        name,
        block,
        depth,
        (after.channels, after.height, after.width),
        after.params - before.params,
        after.macs - before.macs,
        after.flops - before.flops,
        after.acts - before.acts,
    )
