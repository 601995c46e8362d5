"""The sections of a space file that describe networks: each field a slot, what varies a gene."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, Field

from archspace.document import Mistakes, unknown_key
from archspace.errors import GenomeError
from archspace.genome import Auxiliary, Genome, Head, Stem, Survival
from archspace.plainwords import found
from archspace.regnet import RegNetRule
from archspace.space.space import Gene, Slot, Slots, Value
from archspace.space.stages import read_stages
from archspace.space.values import read_value

Section = type[Stem | Head | Survival | Auxiliary | RegNetRule | Genome]
PARTS: Mapping[str, Section] = {"stem": Stem, "head": Head, "survival": Survival, "auxiliary": Auxiliary}


class Sections(BaseModel):
    """The sections as a file may have them."""

    stem: dict[str, Any] = Field(default_factory=dict)
    stages: dict[str, Any]
    head: dict[str, Any] = Field(default_factory=dict)
    survival: dict[str, Any] = Field(default_factory=dict)
    auxiliary: dict[str, Any] = Field(default_factory=dict)
    initialisation: Any = None


def read_sections(mistakes: Mistakes, genes: list[Gene]) -> dict[str, Any]:
    """The fields of a Space that its sections fill; what varies is added to `genes`, what is wrong to `mistakes`."""
    section = mistakes.document.at(("stages",))
    read: dict[str, Any] = {"stages": (), "rule": None}
    if isinstance(section, dict) and "rule" in section:
        read["rule"] = _rule(section, mistakes, genes)
    elif isinstance(section, dict):
        read["stages"] = read_stages(section, mistakes, genes)
    for name, kind in PARTS.items():
        given = mistakes.document.at((name,))
        read[name] = _slots(name, kind, given if isinstance(given, dict) else {}, mistakes, genes)
    top = mistakes.document.at(())
    initialisation = {"initialisation": top["initialisation"]} if "initialisation" in (top or {}) else {}
    read["initialisation"] = _slots("", Genome, initialisation, mistakes, genes)["initialisation"]
    return read


def _rule(section: Mapping[str, Any], mistakes: Mistakes, genes: list[Gene]) -> Slots:
    """The slots of RegNet's rule, the one rule there is."""
    if section["rule"] != "regnet":
        mistakes.add(("stages", "rule"), f"expected 'regnet', found {found(section['rule'])}")
        return {}
    given = {name: spec for name, spec in section.items() if name != "rule"}
    for item in dataclasses.fields(RegNetRule):
        if item.default is dataclasses.MISSING and item.name not in given:
            mistakes.add(("stages",), f"missing key {item.name!r}")
    return _slots("stages", RegNetRule, given, mistakes, genes)


def _slots(name: str, kind: Section, given: Mapping[str, Any], mistakes: Mistakes, genes: list[Gene]) -> Slots:
    """Slots for the fields of `kind`: those given in the section `name`, the defaults for the rest."""
    hints = get_type_hints(kind)
    fields = [item for item in dataclasses.fields(kind) if item.default_factory is dataclasses.MISSING]
    before = len(mistakes)
    slots: dict[str, Slot] = {}
    for item in fields:
        place = (name, item.name) if name else (item.name,)
        if item.name in given:
            slots[item.name] = read_value(given[item.name], hints[item.name], place, ".".join(place), mistakes, genes)
        elif item.default is not dataclasses.MISSING:
            slots[item.name] = Slot(item.default)
    for key in given:
        if key not in [item.name for item in fields]:
            mistakes.add((name, key), unknown_key(key, [item.name for item in fields]))
    if len(mistakes) == before and len(slots) == len(fields) and kind is not Genome:
        _check_values(name, kind, given, slots, mistakes, {gene.name: gene.values for gene in genes})
    return slots


def _check_values(
    name: str,
    kind: Section,
    given: Mapping[str, Any],
    slots: Slots,
    mistakes: Mistakes,
    values: Mapping[str, tuple[Value, ...]],
) -> None:
    """Refuse what a part of the genome does not take, such as a survival above 1: each field's values in turn."""

    def options(slot: Slot) -> Iterator[Any]:
        yield from values[slot.gene] if slot.gene else (slot.value,)

    first = {field: next(options(slot)) for field, slot in slots.items()}
    for field in given:
        for value in options(slots[field]):
            try:
                kind(**{**first, field: value})
            except GenomeError as error:
                mistakes.add((name, field), str(error))
                return
