"""A design space: the genes a search may change, and the genomes they stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from archspace.blocks.registry import family
from archspace.genome import Genome, Head, Shape, Stage, Stem, Survival
from archspace.space.budget import Budget

Value = int | float | str
Values = Mapping[str, Value]
"""One value for each gene, by the gene's name."""


@dataclass(frozen=True)
class Gene:
    """What one decision may be: `values` in rising order where they are numbers; `log` draws them on a log scale."""

    name: str
    values: tuple[Value, ...]
    log: bool = False

    @property
    def ordered(self) -> bool:
        """Whether the values are numbers, so that cost rises with them."""
        return all(isinstance(value, (int, float)) for value in self.values)

    @property
    def step(self) -> int | None:
        """The distance between neighbours, where it is the same whole number throughout."""
        if not all(isinstance(value, int) for value in self.values):
            return None
        gaps = {int(b) - int(a) for a, b in pairwise(self.values)}
        return gaps.pop() if len(gaps) == 1 else None


@dataclass(frozen=True)
class Slot:
    """Where a value goes: fixed as `value`, or that of the gene named `gene`, times `factor` where it is a number."""

    value: Value | None = None
    gene: str | None = None
    factor: int = 1

    def resolve(self, values: Values) -> Value:
        """The value in a genome whose genes have these values."""
        if self.gene is None:
            assert self.value is not None
            return self.value
        value = values[self.gene]
        return value if isinstance(value, str) else value * self.factor

    def inverse(self, value: Value) -> Value:
        """The gene's value that gives `value`."""
        if isinstance(value, str) or self.factor == 1:
            return value
        return value // self.factor if isinstance(value, int) else value / self.factor


Slots = Mapping[str, Slot]


@dataclass(frozen=True)
class Space:
    """A design space; `input` and `classes` are the target at which cost is counted, `limits` always hold.

    `source` is the content of its YAML file, from which it can be read again.
    """

    name: str
    about: str
    input: Shape
    classes: int
    genes: tuple[Gene, ...]
    stages: tuple[Slots, ...]
    stem: Slots
    head: Slots
    survival: Slots
    initialisation: Slot
    limits: Budget
    source: Mapping[str, Any]

    @property
    def size(self) -> int:
        """How many settings of the genes there are."""
        return math.prod(len(gene.values) for gene in self.genes)


def genome_of(space: Space, values: Values) -> Genome:
    """The genome that these gene values stand for; raises GenomeError where they do not fit together."""
    return Genome(
        stages=tuple(_stage(slots, values) for slots in space.stages),
        stem=Stem(**_resolved(space.stem, values)),
        head=Head(**_resolved(space.head, values)),
        survival=Survival(**_resolved(space.survival, values)),
        initialisation=space.initialisation.resolve(values),  # type: ignore[arg-type]  # checked when the file is read
    )


def values_of(space: Space, genome: Genome) -> dict[str, Value] | None:
    """The gene values that stand for `genome`, or None where it is not in the space."""
    if len(genome.stages) != len(space.stages):
        return None
    found: dict[str, Value] = {}
    for slots, stage in zip(space.stages, genome.stages, strict=True):
        held = {"block": stage.block, "depth": stage.depth, "width": stage.width, "stride": stage.stride}
        _collect(slots, {**vars(stage.genes), **family(stage.block).rules_of(stage.genes, stage.width), **held}, found)
    _collect(space.stem, vars(genome.stem), found)
    _collect(space.head, vars(genome.head), found)
    _collect(space.survival, vars(genome.survival), found)
    _collect({"initialisation": space.initialisation}, {"initialisation": genome.initialisation}, found)
    if any(gene.name not in found or found[gene.name] not in gene.values for gene in space.genes):
        return None
    return found if genome_of(space, found) == genome else None


def _stage(slots: Slots, values: Values) -> Stage:
    fields: dict[str, Any] = _resolved(slots, values)
    block, depth, width, stride = (fields.pop(name) for name in ("block", "depth", "width", "stride"))
    kind = family(block)
    return Stage(block, depth, width, stride, kind.genes(**kind.resolve(fields, width)))


def _resolved(slots: Slots, values: Values) -> dict[str, Any]:
    return {name: slot.resolve(values) for name, slot in slots.items()}


def _collect(slots: Slots, held: Mapping[str, Any], found: dict[str, Value]) -> None:
    for name, slot in slots.items():
        if slot.gene is not None and name in held:
            found.setdefault(slot.gene, slot.inverse(held[name]))
