"""The closed-form cost of a blueprint, whole and stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archspace.blueprint import Blueprint, draw
from archspace.errors import GenomeError
from archspace.featuremap import FeatureMap
from archspace.genome import Genome, Shape
from archspace.pieces import tally
from archspace.rows import StageCost, add_piece, add_stage

MEASURES = ("params", "macs", "flops", "acts")
"""What a budget may limit: see Cost for units."""


BACKWARD = 2
"""Flops of a backward pass in those of a forward pass: gradients of the layers' inputs and of their weights."""


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
    rows: list[StageCost] = []
    stem = blueprint.stem and blueprint.stem.bind(in_channels=blueprint.input[0])
    x = add_piece(rows, "stem", stem, FeatureMap(*blueprint.input))
    number = 0
    try:
        for number, stage in enumerate(blueprint.stages, start=1):
            x = add_stage(rows, f"stage{number}", stage, x)
        number = 0
        end = add_piece(rows, "head", blueprint.head.bind(num_classes=blueprint.classes), x)
    except GenomeError as error:
        raise GenomeError(f"{f'stage {number}' if number else 'head'}: {error}") from None
    return _total(blueprint.input, blueprint.classes, rows, end.layers, end.expected)


def cost_of(genome: Genome, input: Shape = (3, 224, 224), classes: int = 1000) -> Cost:
    """The cost of a genome at an input of (channels, height, width); raises GenomeError."""
    if genome.initialisation == "he-zero-last-norm":  # not for every genome, which its branches decide
        return cost(draw(genome, input, classes))
    try:
        pieces = tally(genome, input, classes)
    except GenomeError:
        return cost(draw(genome, input, classes))  # raises it again, with the stage at fault
    return _total(input, classes, pieces.rows, pieces.layers, pieces.expected)


def _total(input: Shape, classes: int, rows: Sequence[StageCost], layers: int, expected: float) -> Cost:
    """The cost of the network that has these rows."""
    *_, params, _, macs, flops, acts, saved, _ = zip(*rows, strict=True)
    return Cost(
        input=input,
        classes=classes,
        layers=layers,
        params=sum(params),
        macs=sum(macs),
        flops=sum(flops),
        acts=sum(acts),
        training_flops=round((1 + BACKWARD) * expected),
        saved=sum(saved),
        stages=tuple(rows),
    )


def unfit(genome: Genome, input: Shape, classes: int) -> str:
    """Why no network of `genome` can be built for this input and these classes; empty where one can."""
    try:
        cost_of(genome, input, classes)
    except GenomeError as error:
        return str(error)
    return ""
