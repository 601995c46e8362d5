"""Costs of a genome's pieces by straight-line code, written from their closed form once their kind is met often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, get_type_hints

from archspace.blocks.registry import Family, family, family_of
from archspace.blueprint import check_target, closing, draw_stage, probabilities
from archspace.featuremap import FeatureMap
from archspace.genome import Genome, Head, Probabilities, Shape, Stage, Stem, Survival
from archspace.parts.head import plan_head
from archspace.parts.stem import plan_stem
from archspace.plan import Planned
from archspace.rows import StageCost, add_piece, add_stage
from archspace.straight import Written

PARTING = ("kernel",)
"""Whole genes that belong to the structure: sizes of maps would be polynomials in them."""

FEW = 2
"""Depths up to here belong to the structure: above it, there is more than one block of each kind in a stage."""


class Fields(NamedTuple):
    """The fields of a dataclass: those that belong to the structure, behind its class, and its numbers."""

    words: Callable[[Any], tuple[Any, ...]]
    numbers: Callable[[Any], tuple[Any, ...]]
    names: tuple[str, ...]

    def made(self, words: Sequence[Any], numbers: Sequence[Any]) -> Any:
        """The instance that has these words and numbers."""
        return words[0](**dict(zip(self.names, (*words[2:], *numbers), strict=True)))


@cache
def fields_of(kind: type) -> Fields:
    """What is known of the fields of a dataclass."""
    try:
        hints = get_type_hints(kind)
    except NameError:  # imported for type checkers alone
        hints = {}
    names = [item.name for item in fields(kind) if item.init]
    numbers = [name for name in names if hints.get(name) in (int, float) and name not in PARTING]
    words = [name for name in names if name not in numbers]
    return Fields(_getter("__class__", "__class__", *words), _getter(*numbers), (*words, *numbers))


def _getter(*names: str) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda given: tuple(getattr(given, name) for name in names)


def _found(rows: Sequence[StageCost], width: int, x: FeatureMap) -> tuple[Any, ...]:
    """What a piece adds: rows, layers; and what stands behind it: width, size of the map, expected flops, state."""
    return tuple(rows), x.layers, width, x[:3], x.expected, x.state


def _stem(words: Sequence[Any], name: str, channels: int, height: int, width: int, *numbers: Any) -> tuple[Any, ...]:
    stem, rows = fields_of(Stem).made(words, numbers), list[StageCost]()
    x = add_piece(rows, name, plan_stem(stem, channels), FeatureMap(channels, height, width))
    return _found(rows, stem.width, x)


def _stage(structure: Sequence[Any], name: str, *numbers: Any) -> tuple[Any, ...]:
    kind, few, stride, words, state, of_image, grows, skips = structure
    *size, expected, in_width = numbers[:5]
    *others, more = numbers[5:]
    depth, ps = few or FEW + more, None
    if skips:
        last, blocks, before, *others = others
        ps = Probabilities(Survival(last, *skips), blocks, before, depth)
    width, genes = (None, others) if grows else (others[0], others[1:])
    stage = Stage(kind.name, depth, width, stride, fields_of(words[0]).made(words, genes))
    plan, rows = draw_stage(family_of(1, stage), stage, None if of_image else in_width, ps), list[StageCost]()
    return _found(rows, plan.width, add_stage(rows, name, plan, _begun(size, expected, state)))


def _head(structure: Sequence[Any], name: str, *numbers: Any) -> tuple[Any, ...]:
    words, state = structure
    *size, expected, width, classes = numbers[:6]
    head, rows = fields_of(Head).made(words, numbers[6:]), list[StageCost]()
    return _found(rows, 0, add_piece(rows, name, plan_head(head, width, classes), _begun(size, expected, state)))


def _begun(size: Sequence[int], expected: float, state: tuple[bool, bool]) -> FeatureMap:
    """A map from which on costs are counted, but for expected flops: fractions, whose sums depend on the order."""
    channels, height, width = size
    kept, listed = state
    return FeatureMap(channels, height, width, expected=expected, kept=kept, listed=listed)


STEM, STAGE, HEAD = Written(_stem), Written(_stage), Written(_head)


class Tally:
    """Pieces of a network from its image on: their rows, their layers, and the map behind them."""

    def __init__(self, input: Shape) -> None:
        self.rows: list[StageCost] = []
        self.layers, self.width, self.size = 0, input[0], input
        self.expected: float = 0
        self.state = (False, False)

    def add(self, found: tuple[Any, ...]) -> None:
        """Add a piece."""
        rows, layers, self.width, self.size, self.expected, self.state = found
        self.layers += layers
        self.rows += rows

    def add_stem(self, stem: Stem) -> None:
        """Add the stem."""
        own = fields_of(Stem)
        self.add(STEM(own.words(stem), "stem", *self.size, *own.numbers(stem)))

    def add_stage(self, name: str, kind: Family, stage: Stage, of_image: bool, ps: Probabilities | None) -> None:
        """Add a stage but for what closes it."""
        genes, own, grows = stage.genes, fields_of(type(stage.genes)), stage.width is None
        skips = ps and (ps.survival.decay, ps.survival.mode)
        chances = (ps.survival.last, ps.blocks, ps.before) if ps else ()
        few, more = (stage.depth, 0) if stage.depth <= FEW else (0, stage.depth - FEW)
        structure = kind, few, stage.stride, own.words(genes), self.state, of_image, grows, skips
        others = own.numbers(genes) if grows else (stage.width, *own.numbers(genes))
        self.add(STAGE(structure, name, *self.size, self.expected, self.width, *chances, *others, more))

    def add_exit(self, name: str, planned: Planned) -> None:
        """Add what closes a stage."""
        rows: list[StageCost] = []
        x = add_piece(rows, name, planned, _begun(self.size, self.expected, self.state))
        self.add(_found(rows, self.width, x))

    def add_head(self, head: Head, classes: int) -> None:
        """Add the head."""
        own = fields_of(Head)
        structure = own.words(head), self.state
        self.add(HEAD(structure, "head", *self.size, self.expected, self.width, classes, *own.numbers(head)))


def tally(genome: Genome, input: Shape, classes: int) -> Tally:
    """All pieces of a network; raises GenomeError, without the stage at fault."""
    check_target(input, classes)
    found, stages, before = Tally(input), genome.stages, 0
    kinds = [family(stage.block) for stage in stages]
    kept = probabilities(genome, kinds)
    if genome.stem.kind != "none":
        found.add_stem(genome.stem)
    for number, (kind, stage) in enumerate(zip(kinds, stages, strict=True), 1):
        ps = None
        if kept is not None and kind.residual:
            ps, before = kept.part(before, stage.depth), before + stage.depth
        found.add_stage(f"stage{number}", kind, stage, not found.rows, ps)
        after = closing(kind, stage, found.width, stages[number] if number < len(stages) else None)
        if after is not None:
            found.add_exit(f"stage{number}.exit", after)
    found.add_head(genome.head, classes)
    return found
