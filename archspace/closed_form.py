"""The closed-form cost of a blueprint, whole and stage by stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from archspace.blueprint import Blueprint, Run, StagePlan, draw
from archspace.errors import GenomeError
from archspace.featuremap import FLOAT, FeatureMap
from archspace.genome import Genome, Shape
from archspace.plan import Planned
from archspace.unknown import larger

MEASURES = ("params", "macs", "flops", "acts")
"""What a budget may limit: see Cost for units."""


BACKWARD = 2
"""Flops of a backward pass in those of a forward pass: gradients of the layers' inputs and of their weights."""


class StageCost(NamedTuple):
    """One row of a network's table: the map that leaves it, `output` (channels, height, width), and what it adds.

    `name` is `stem`, `stage2`, `stage2.entry` (pooling, a transition or a projection before the blocks), `stage4.exit`
    or `head`; `block` is the family's or the part's name. The first of the row's `depth` blocks sees `sees` channels,
    each further one `sees_more` more; the first, or the largest where they grow, has `block_params`. `held` are the
    most bytes that training holds within the row beside what is saved: maps and gradients on their way, of one image.
    """

    name: str
    block: str
    depth: int
    sees: int
    sees_more: int
    output: Shape
    params: int
    block_params: int
    macs: int
    flops: int
    acts: int
    saved: int
    held: int


@dataclass(frozen=True)
class Cost:
    """What a network costs for one image of `input` with `classes` classes.

    `params`: trainable scalars. `macs`: multiply-adds of convolutions and linear layers, without bias. `flops`: the
    total of fvcore's FlopCountAnalysis in eval mode. `acts`: output elements of convolutions. `layers`: weighted
    layers on the longest path. `training_flops`: flops of forward and backward pass on one training image, expected
    where stochastic depth skips branches, with the backward pass at twice the forward one. `saved`: bytes that autograd
    keeps of one training image between forward and backward pass, in float32, the image among them and with no branch
    skipped.
    """

    input: Shape
    classes: int
    layers: int
    params: int
    macs: int
    flops: int
    acts: int
    training_flops: int
    saved: int
    stages: tuple[StageCost, ...]


def cost(blueprint: Blueprint) -> Cost:
    """Params, macs, flops, acts and layers of a blueprint, at once however deep a stage is.

    Raises GenomeError where the input is too small for the network.
    """
    start = x = FeatureMap(*blueprint.input)
    rows: list[StageCost] = []
    if blueprint.stem is not None:
        x = blueprint.stem.bind(in_channels=blueprint.input[0]).cost(start)
        rows.append(_row("stem", blueprint.stem.part.module.__name__, start, x))
    number = 0
    try:
        for number, stage in enumerate(blueprint.stages, start=1):
            x = _add_stage(rows, f"stage{number}", stage, x)
        number = 0
        end = blueprint.head.bind(num_classes=blueprint.classes).cost(x.begun())
    except GenomeError as error:
        raise GenomeError(f"{f'stage {number}' if number else 'head'}: {error}") from None
    rows.append(_row("head", blueprint.head.part.module.__name__, x, end))
    return Cost(
        input=blueprint.input,
        classes=blueprint.classes,
        layers=end.layers,
        params=end.params,
        macs=end.macs,
        flops=end.flops,
        acts=end.acts,
        training_flops=round((1 + BACKWARD) * end.expected),
        saved=end.saved,
        stages=tuple(rows),
    )


def cost_of(genome: Genome, input: Shape = (3, 224, 224), classes: int = 1000) -> Cost:
    """The cost of a genome at an input of (channels, height, width); raises GenomeError."""
    return cost(draw(genome, input, classes))


def unfit(genome: Genome, input: Shape, classes: int) -> str:
    """Why no network of `genome` can be built for this input and these classes; empty where one can."""
    try:
        cost_of(genome, input, classes)
    except GenomeError as error:
        return str(error)
    return ""


def _add_stage(rows: list[StageCost], name: str, stage: StagePlan, x: FeatureMap) -> FeatureMap:
    """The map behind a stage; its rows are added: what comes before its blocks, the blocks, what comes after."""
    before = x = _add_piece(rows, f"{name}.entry", stage.entry, x).begun()
    grown, params = 0, []
    for run in stage.runs:
        x, grown, own = _after_run(run, x)
        params.append(own)
    if stage.container is not None:
        x = stage.container.cost(x)
    rows.append(_row(name, stage.block, before, x, stage.depth, grown, params[0]))
    return _add_piece(rows, f"{name}.exit", stage.exit, x)


def _add_piece(rows: list[StageCost], name: str, piece: Planned | None, x: FeatureMap) -> FeatureMap:
    if piece is None:
        return x
    after = piece.cost(x.begun())
    rows.append(_row(name, piece.part.module.__name__, x, after))
    return after


def _after_run(run: Run, x: FeatureMap) -> tuple[FeatureMap, int, int]:
    """The map behind a run of blocks, by how many channels each block's input exceeds that of the one before, and the
    params of the largest block.
    """
    first = run.block(0).cost(x)
    params = first.params - x.params
    if isinstance(run.count, int) and run.count == 1:  # an unknown count may be none
        return first, 0, params
    apart = int(first.state != x.state)  # the first block finds its input kept, or not, unlike the others
    if apart and run.symbol and run.count == 1:  # what a single one holds is not what the series says
        return first, 0, params
    if apart:
        x, first = first, run.block(1).cost(first)
    if not run.symbol:
        return x.repeated(first, run.count - apart), 0, params
    second = run.block(1 + apart).cost(first)
    params += (run.count - 1) * (second.params + x.params - 2 * first.params)
    return x.series(first, second, run.count - apart), second.channels - first.channels, params


def _row(
    name: str,
    block: str,
    before: FeatureMap,
    after: FeatureMap,
    depth: int = 1,
    sees_more: int = 0,
    block_params: int | None = None,
) -> StageCost:
    params = after.params - before.params
    return StageCost(
        name,
        block,
        depth,
        before.channels,
        sees_more,
        (after.channels, after.height, after.width),
        params,
        params if block_params is None else block_params,
        after.macs - before.macs,
        after.flops - before.flops,
        after.acts - before.acts,
        after.saved - before.saved,
        larger(after.held, 2 * FLOAT * after.elements),  # an activation's two gradients, unless paths join
    )
