"""Blueprints: a genome drawn for one input size and number of classes, every integer resolved exactly once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from archspace.blocks.registry import family
from archspace.errors import GenomeError
from archspace.genome import Genome, Shape, Stage, Survival
from archspace.parts.head import HEADS
from archspace.parts.stem import STEMS
from archspace.parts.survival import SURVIVAL
from archspace.plan import Planned, Symbol


@dataclass(frozen=True)
class StagePlan:
    """A stage: its first block, then depth - 1 equal steady ones; `survival` has one p per block, or is empty."""

    block: str
    depth: int
    width: int
    first: Planned
    steady: Planned
    survival: tuple[float, ...] = ()


@dataclass(frozen=True)
class Blueprint:
    """What cost, network and source all read. The stem's `in_channels` and the head's `num_classes` stay symbols."""

    input: Shape
    classes: int
    stem: Planned
    stages: tuple[StagePlan, ...]
    head: Planned
    initialisation: str


def draw(genome: Genome, input: Shape = (3, 224, 224), classes: int = 1000) -> Blueprint:
    """The blueprint of `genome` for inputs of (channels, height, width); raises GenomeError with the stage at fault."""
    if min(input) < 1:
        raise GenomeError(f"input {input}: channels, height and width must be at least 1")
    if classes < 2:
        raise GenomeError(f"classes must be at least 2, not {classes}")
    probabilities = genome.survival.probabilities(sum(stage.depth for stage in genome.stages))
    stages: list[StagePlan] = []
    width, done = genome.stem.width, 0
    for number, stage in enumerate(genome.stages, start=1):
        try:
            kept = probabilities[done : done + stage.depth] if genome.survival.last < 1.0 else ()
            stages.append(_draw_stage(stage, width, genome.survival, kept))
        except GenomeError as error:
            raise GenomeError(f"stage {number}: {error}") from None
        width, done = stage.width, done + stage.depth
    return Blueprint(
        input=input,
        classes=classes,
        stem=STEMS[genome.stem.kind](in_channels=Symbol("in_channels"), width=genome.stem.width),
        stages=tuple(stages),
        head=HEADS[genome.head.kind](width=width, num_classes=Symbol("num_classes")),
        initialisation=genome.initialisation,
    )


def _draw_stage(stage: Stage, in_width: int, survival: Survival, probabilities: tuple[float, ...]) -> StagePlan:
    kind = family(stage.block)
    if not isinstance(stage.genes, kind.genes):
        raise GenomeError(f"block {stage.block!r} takes {kind.genes.__name__}, not {type(stage.genes).__name__}")
    if probabilities and not kind.residual:
        raise GenomeError(f"block {stage.block!r} has no branch to skip: survival must be 1")
    survive: Callable[[Planned], Planned] = _always
    if probabilities:
        survive = lambda branch: SURVIVAL[survival.mode](branch=branch, p=Symbol("p"))  # noqa: E731
    return StagePlan(
        block=stage.block,
        depth=stage.depth,
        width=stage.width,
        first=kind.lay_out(stage.genes, in_width, stage.width, stage.stride, survive),
        steady=kind.lay_out(stage.genes, stage.width, stage.width, 1, survive),
        survival=probabilities,
    )


def _always(branch: Planned) -> Planned:
    return branch
