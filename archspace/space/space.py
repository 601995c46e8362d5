"""A design space: the genes a search may change, and the genomes they stand for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from archspace.blocks.registry import family
from archspace.genome import Auxiliary, Genome, Head, Shape, Stage, Stem, Survival
from archspace.regnet import RegNetRule, regnet_stages
from archspace.space.budget import Budget

Value = int | float | str
Values = Mapping[str, Value]
"""One value for each gene, by the gene's name."""
FAMILY = "family"
"""The gene of a space of several families that says which."""


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
    def role(self) -> str:
        """What the gene stands for, such as `width`, without the section and the stage in its name."""
        return self.name.removeprefix("stages.").split(".")[0]

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

    Its stages are `stages`, or what RegNet's rule makes of `rule`. A space of several families has neither: it is the
    union of the spaces in `families`, and the gene `family` says which; the genes of the others do not exist then.
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
    auxiliary: Slots
    limits: Budget
    source: Mapping[str, Any]
    rule: Slots | None = None
    families: Mapping[str, Space] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.name, self.genes))

    @property
    def size(self) -> int:
        """How many settings of the genes there are."""
        if self.families:
            return sum(space.size for space in self.families.values())
        return math.prod(len(gene.values) for gene in self.genes)


def at(space: Space, shape: Shape, classes: int) -> Space:
    """The space with its costs counted at another input and number of classes, those of its families too."""
    families = {name: at(inner, shape, classes) for name, inner in space.families.items()}
    return replace(space, input=shape, classes=classes, families=families)


def genome_of(space: Space, values: Values) -> Genome:
    """The genome that these gene values stand for; raises GenomeError where they do not fit together."""
    if space.families:
        return genome_of(*family_of(space, values))
    return Genome(
        stages=_stages(space, values),
        stem=Stem(**_resolved(space.stem, values)),
        head=Head(**_resolved(space.head, values)),
        survival=Survival(**_resolved(space.survival, values)),
        initialisation=space.initialisation.resolve(values),  # type: ignore[arg-type]  # checked when the file is read
        auxiliary=Auxiliary(**_resolved(space.auxiliary, values)),
    )


def family_of(space: Space, values: Values) -> tuple[Space, dict[str, Value]]:
    """The family's space that these values of a union belong to, and their values there."""
    name = str(values[FAMILY])
    return space.families[name], {key.removeprefix(f"{name}."): v for key, v in values.items() if key != FAMILY}


def of_family(name: str, values: Values) -> dict[str, Value]:
    """The values of a union that stand for values of its family `name`: the inverse of family_of."""
    return {FAMILY: name} | {f"{name}.{key}": value for key, value in values.items()}


def values_of(space: Space, genome: Genome) -> dict[str, Value] | None:
    """The gene values that stand for `genome`, or None where it is not in the space.

    None also where they cannot be told from a genome: for the five numbers of RegNet's rule, and shares of a width that
    were rounded.
    """
    for name, inner in space.families.items():
        values = values_of(inner, genome)
        if values is not None:
            return of_family(name, values)
    if len(genome.stages) != len(space.stages):
        return None
    found: dict[str, Value] = {}
    for slots, stage in zip(space.stages, genome.stages, strict=True):
        held = {"block": stage.block, "depth": stage.depth, "width": stage.width, "stride": stage.stride}
        rules = family(stage.block).rules_of(stage.genes, stage.width or 0)
        _collect(slots, {**vars(stage.genes), **rules, **held}, found)
    _collect(space.stem, vars(genome.stem), found)
    _collect(space.head, vars(genome.head), found)
    _collect(space.survival, vars(genome.survival), found)
    _collect(space.auxiliary, vars(genome.auxiliary), found)
    _collect({"initialisation": space.initialisation}, {"initialisation": genome.initialisation}, found)
    if any(gene.name not in found or found[gene.name] not in gene.values for gene in space.genes):
        return None
    return found if genome_of(space, found) == genome else None


def _stages(space: Space, values: Values) -> tuple[Stage, ...]:
    if space.rule is not None:
        return regnet_stages(RegNetRule(**_resolved(space.rule, values)))
    return tuple(_stage(slots, values) for slots in space.stages)


def _stage(slots: Slots, values: Values) -> Stage:
    fields: dict[str, Any] = _resolved(slots, values)
    block, depth, stride = (fields.pop(name) for name in ("block", "depth", "stride"))
    width = fields.pop("width", None)
    kind = family(block)
    return Stage(block, depth, width, stride, kind.genes(**kind.resolve(fields, width or 0)))


def _resolved(slots: Slots, values: Values) -> dict[str, Any]:
    return {name: slot.resolve(values) for name, slot in slots.items()}


def _collect(slots: Slots, held: Mapping[str, Any], found: dict[str, Value]) -> None:
    for name, slot in slots.items():
        if slot.gene is not None and held.get(name) is not None:
            found.setdefault(slot.gene, slot.inverse(held[name]))
