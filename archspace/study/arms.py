"""Arms: a genome changed along an axis."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archspace.errors import GenomeError, UserError
from archspace.genome import Genome, genome_data
from archspace.genomefile import genome_from_data

WIDE = ("width", "group_width", "growth_rate", "reduce_small", "small", "reduce_large", "large", "project")
"""The genes of the axis `width`: output and inner widths, and what stands for them in dense and inception blocks."""
TOP = ("stem", "head", "survival", "initialisation")
"""What of a genome is no stage's."""


@dataclass(frozen=True)
class Knob:
    """A whole number of a genome that an axis moves: that of stage number `stage`, or of the stem where it is None."""

    stage: int | None
    name: str


def knobs_of(axis: str, genome: Genome) -> tuple[Knob, ...]:
    """The numbers that an axis moves together; raises UserError where a genome has none.

    `depth`: blocks of each stage; `width`: all widths, inner ones and the stem's included; `cardinality`: groups of the
    3x3 at their own width, so that the inner width follows (Xie et al. 2017, Table 4); else the gene of this name.
    """
    names = WIDE if axis == "width" else (axis,)
    found = [Knob(number, name) for number in range(len(genome.stages)) for name in names if _has(genome, number, name)]
    if axis == "width" and genome.stem.kind != "none":
        found.insert(0, Knob(None, "width"))
    if not found:
        blocks = ", ".join(sorted({stage.block for stage in genome.stages}))
        raise UserError(f"axis {axis!r}: a network of {blocks} blocks has no such whole number")
    return tuple(found)


def value_of(genome: Genome, knob: Knob) -> int:
    """The number that a knob stands at."""
    if knob.stage is None:
        return genome.stem.width
    stage = genome.stages[knob.stage]
    return int(getattr(stage if knob.name in ("depth", "width") else stage.genes, knob.name))


def turned(genome: Genome, knobs: Sequence[Knob], values: Sequence[int]) -> Genome:
    """The genome with its knobs at these values; raises GenomeError."""
    stages = list(genome.stages)
    stem = genome.stem
    for knob, value in zip(knobs, values, strict=True):
        if knob.stage is None:
            stem = dataclasses.replace(stem, width=value)
        elif knob.name in ("depth", "width"):
            own: Any = {knob.name: value}
            stages[knob.stage] = dataclasses.replace(stages[knob.stage], **own)
        else:
            genes = dataclasses.replace(stages[knob.stage].genes, **{knob.name: value})
            stages[knob.stage] = dataclasses.replace(stages[knob.stage], genes=genes)
    return dataclasses.replace(genome, stages=tuple(stages), stem=stem)


def with_values(genome: Genome, values: Mapping[str, Any]) -> Genome:
    """The genome with genes set: of the sections stem, head, survival, or of every stage; raises GenomeError.

    A stage that is given another block keeps those genes that the block has as well.
    """
    if not values:
        return genome
    data = genome_data(genome)
    for name, value in values.items():
        if name in TOP:
            data[name] = {**data.get(name, {}), **value} if isinstance(value, dict) else value
        else:
            for stage in data["stages"]:
                stage[name] = value
    if "block" in values:
        _keep_genes_of(str(values["block"]), data, values)
    try:
        return genome_from_data(data)
    except UserError as error:
        raise GenomeError("; ".join(error.messages)) from None


def _keep_genes_of(block: str, data: dict[str, Any], values: Mapping[str, Any]) -> None:
    from archspace.blocks.registry import family

    known = {item.name for item in dataclasses.fields(family(block).genes)} | {"block", "depth", "width", "stride"}
    data["stages"] = [
        {name: value for name, value in stage.items() if name in known or name in values} for stage in data["stages"]
    ]


def _has(genome: Genome, number: int, name: str) -> bool:
    stage = genome.stages[number]
    value = getattr(stage, name, None) if name in ("depth", "width") else getattr(stage.genes, name, None)
    return isinstance(value, int) and not isinstance(value, bool)
