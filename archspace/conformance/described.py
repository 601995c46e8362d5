"""Checks of what a family says of itself: its genes, its costs, its flags. No network is trained or run to its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

from archspace.blocks.registry import Family
from archspace.blueprint import Blueprint, draw
from archspace.closed_form import cost as blueprint_cost
from archspace.conformance.cases import INPUT, WIDTH, genome_of, network_of, stage_of
from archspace.errors import GenomeError
from archspace.genome import Genome, Shape, Stem, Survival, genome_data
from archspace.genomefile import genome_from_data
from archspace.measure.count import differences
from archspace.measure.memory import saved_bytes
from archspace.network import build
from archspace.units import shape_text

COUNTED: tuple[tuple[int, Shape, int], ...] = ((2, (3, 19, 17), 7), (5, (1, 9, 11), 2))
"""Blocks in a stage, input and classes. Five blocks, as a stage's cost is carried on from its first two."""


def cost(family: Family, genes: Any) -> Iterator[str]:
    """The closed form is what is built (params), what runs (macs, acts) and what fvcore counts (flops)."""
    for where, blueprint in _counted(family, genes):
        for item in differences(blueprint):
            yield f"{where}: {item.figure}: closed form {item.closed_form:,}, counted {item.counted:,}"


def memory(family: Family, genes: Any) -> Iterator[str]:
    """What autograd saves of an image for the backward pass is what the closed form says, to the byte."""
    for where, blueprint in _counted(family, genes):
        closed, seen = blueprint_cost(blueprint).saved, saved_bytes(blueprint, 1)
        if closed != seen:
            yield f"{where}: closed form {closed:,}, saved {seen:,} bytes, {seen - closed:+,}"


def _counted(family: Family, genes: Any) -> Iterator[tuple[str, Blueprint]]:
    """The networks that costs are held to, a shallow and a deep one, each with what it is."""
    for depth, shape, classes in COUNTED:
        survival = Survival(0.5) if family.residual and depth == 2 else None
        where = f"{depth} blocks a stage, {shape_text(shape)}, {classes} classes"
        yield where, draw(genome_of(family, genes, depth, survival), shape, classes)


def genes(family: Family, genes: Any) -> Iterator[str]:
    """Every gene changes the network of a stage that strides, or is refused with a GenomeError."""
    drawn = draw(genome_of(family, genes))
    if draw(genome_of(family, genes)) != drawn:
        yield "drawn twice, it gives two different blueprints; make its Parts once, at the top of the module"
        return
    for name, value in _alternatives(family, genes):
        try:
            other = draw(genome_of(family, dataclasses.replace(genes, **{name: value})))
        except GenomeError:
            continue
        if other == drawn:
            yield f"{name} = {value!r} instead of {getattr(genes, name)!r} changes nothing and is not refused"


def _alternatives(family: Family, genes: Any) -> Iterator[tuple[str, Any]]:
    """Each gene's name with other values that its type allows."""
    hints = get_type_hints(family.genes)
    for item in dataclasses.fields(family.genes):
        value = getattr(genes, item.name)
        for other in _other_values(hints[item.name], value):
            if other != value:
                yield item.name, other


def _other_values(hint: Any, value: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return value - 2, value - 1, value + 1, value + 2, 2 * value
    if isinstance(value, float):
        return 0.5 * value, 1.5 * value, value - 0.25, value + 0.25
    return ()


def file(family: Family, genes: Any) -> Iterator[str]:
    """Genes come back from a genome file as they were, and the rules of a space lead back to them."""
    genome = genome_of(family, genes)
    if genome_from_data(genome_data(genome)) != genome:
        yield f"comes back from a file as {genome_from_data(genome_data(genome)).stages[0].genes}"
    rules = family.rules_of(genes, WIDTH)
    if set(rules) != set(family.rules):
        yield f"rules_of gives {sorted(rules)}, and rules names {sorted(family.rules)}"
    given = {item.name: getattr(genes, item.name) for item in dataclasses.fields(genes)}
    again = family.genes(**family.resolve({**given, **rules}, WIDTH))
    if again != genes:
        yield f"its rules at a width of {WIDTH}, {dict(rules)}, resolve to {again}"


def flags(family: Family, genes: Any) -> Iterator[str]:
    """A branch's Part has `ends_in_norm` where the last module of its class is a normalisation, and only there."""
    from archspace.parts.initialise import last_norms

    for stride in (1, 2):
        one = Genome((stage_of(family, genes, 1, stride),), Stem("cifar", WIDTH))
        blueprint = draw(one, INPUT)
        ends = bool(last_norms(build(blueprint)))
        if ends != blueprint.has_last_norms:
            yield (
                f"stride {stride}: its branch {'ends' if ends else 'does not end'} in a normalisation, "
                f"and its Part says ends_in_norm={not ends}"
            )


def padding(family: Family, genes: Any) -> Iterator[str]:
    """Every convolution is padded by a number: of padding="same" fvcore counts nothing."""
    from torch import nn

    for name, module in network_of(family, genes).named_modules():
        if isinstance(module, nn.modules.conv._ConvNd) and isinstance(module.padding, str):
            yield f'{name} has padding="{module.padding}"; pad by kernel // 2'
