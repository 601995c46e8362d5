"""Rows of a network's cost: what each of its pieces adds."""

from __future__ import annotations

from typing import NamedTuple

from archspace.blueprint import Run, StagePlan
from archspace.featuremap import FLOAT, FeatureMap
from archspace.genome import Shape
from archspace.plan import Planned
from archspace.unknown import larger


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


def add_stage(rows: list[StageCost], name: str, stage: StagePlan, x: FeatureMap) -> FeatureMap:
    """The map behind a stage; its rows are added: what comes before its blocks, the blocks, what comes after."""
    before = x = add_piece(rows, f"{name}.entry", stage.entry, x).begun()
    grown, params = 0, []
    for run in stage.runs:
        x, grown, own = _after_run(run, x)
        params.append(own)
    if stage.container is not None:
        x = stage.container.cost(x)
    rows.append(row_of(name, stage.block, before, x, stage.depth, grown, params[0]))
    return add_piece(rows, f"{name}.exit", stage.exit, x)


def add_piece(rows: list[StageCost], name: str, piece: Planned | None, x: FeatureMap) -> FeatureMap:
    if piece is None:
        return x
    after = piece.cost(x.begun())
    rows.append(row_of(name, piece.part.module.__name__, x, after))
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


def row_of(
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
