"""The `stages` section of a space file: how many there are, and what their blocks may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from itertools import product
from typing import Any, get_type_hints

from archspace.blocks.registry import Family, family
from archspace.document import Mistakes, unknown_key
from archspace.errors import GenomeError
from archspace.plainwords import found
from archspace.space.space import Gene, Slot, Slots
from archspace.space.values import read_stage_values

COMMON = {"block": str, "depth": int, "width": int, "stride": int}
MOST_STAGES = 16
MOST_SETTINGS = 20_000
"""Settings of one stage that are tried for genes that do not fit together."""


def read_stages(section: dict[str, Any], mistakes: Mistakes, genes: list[Gene]) -> tuple[Slots, ...]:
    """One mapping of slots per stage; what varies is added to `genes`, what is wrong to `mistakes`."""
    number = section.get("number")
    if "number" not in section:
        mistakes.add(("stages",), f"missing key 'number': how many stages, 1 to {MOST_STAGES}")
        return ()
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MOST_STAGES:
        mistakes.add(("stages", "number"), f"expected how many stages, 1 to {MOST_STAGES}, found {found(number)}")
        return ()
    before = len(mistakes)
    kinds = _families(section, number, mistakes)
    if len(kinds) != number:
        return ()
    hints = {name: COMMON[name] for kind in kinds for name in _common(kind)}
    hints |= {name: hint for kind in kinds for name, hint in _hints(kind).items()}
    given = {"stride": [1] + [2] * (number - 1)} | {name: spec for name, spec in section.items() if name != "number"}
    columns: dict[str, list[Slot]] = {}
    for name, spec in given.items():
        if name not in hints:
            own = name == "width" and all(kind.growth for kind in kinds)
            why = f"follows from the genes of block {kinds[0].name!r}; leave it out" if own else ""
            mistakes.add(("stages", name), why or unknown_key(name, ["number", *hints]))
            continue
        columns[name] = read_stage_values(spec, hints[name], ("stages", name), name, number, mistakes, genes)
    _check_complete(kinds, columns, mistakes)
    if len(mistakes) > before:
        return ()
    stages = tuple(
        {name: column[index] for name, column in columns.items() if name in _common(kind) or name in _hints(kind)}
        for index, kind in enumerate(kinds)
    )
    _check_fit(stages, kinds, genes, mistakes)
    return stages


def _families(section: dict[str, Any], number: int, mistakes: Mistakes) -> list[Family]:
    blocks = section.get("block")
    if blocks is None:
        mistakes.add(("stages",), "missing key 'block'")
        return []
    listed = isinstance(blocks, list)
    names = blocks if listed else [blocks] * number
    kinds: list[Family] = []
    for index, name in enumerate(names):
        place = ("stages", "block", index) if listed else ("stages", "block")
        try:
            if not isinstance(name, str):
                raise GenomeError("expected the name of a block, or a list with one name per stage")
            kinds.append(family(name))
        except GenomeError as error:
            mistakes.add(place, str(error))
    if listed and len(names) != number:
        mistakes.add(("stages", "block"), f"expected one block per stage ({number}), found {len(names)}")
    return kinds


def _common(kind: Family) -> list[str]:
    """The keys of every stage; a family whose blocks append channels has no width."""
    return [name for name in COMMON if name != "width" or not kind.growth]


def _hints(kind: Family) -> dict[str, Any]:
    return get_type_hints(kind.genes) | dict.fromkeys(kind.rules, float)


def _check_complete(kinds: Iterable[Family], columns: dict[str, list[Slot]], mistakes: Mistakes) -> None:
    """Every stage needs the common keys, and genes without a default: each as such or by a rule, not both."""
    missing: dict[str, str] = {}
    for kind in kinds:
        missing |= {name: "" for name in _common(kind) if name not in ("block", "stride", *columns)}
        needed = [item.name for item in dataclasses.fields(kind.genes) if item.default is dataclasses.MISSING]
        stands_for = dict(kind.rules)
        for rule, gene in stands_for.items():
            if rule in columns and gene in columns:
                mistakes.add(("stages", rule), f"stands for {gene}; keep one of the two")
        for gene in needed:
            rules = [rule for rule, stood_for in stands_for.items() if stood_for == gene]
            if gene not in columns and not any(rule in columns for rule in rules):
                missing[gene] = f" (or {' or '.join(map(repr, rules))})" if rules else ""
    for name, instead in missing.items():
        mistakes.add(("stages",), f"missing key {name!r}{instead}")


def _check_fit(stages: tuple[Slots, ...], kinds: list[Family], genes: list[Gene], mistakes: Mistakes) -> None:
    """Try the genes of every stage together, so that a space holds no genome that cannot be built."""
    options = {gene.name: gene.values for gene in genes}
    for number, (slots, kind) in enumerate(zip(stages, kinds, strict=True), start=1):
        names = [name for name in slots if name == "width" or name not in COMMON]
        used = list(dict.fromkeys(slots[name].gene for name in names if slots[name].gene is not None))
        for count, setting in enumerate(product(*(options[str(gene)] for gene in used))):
            values = {str(gene): value for gene, value in zip(used, setting, strict=True)}
            fields = {name: slots[name].resolve(values) for name in names}
            width = fields.pop("width", 0)
            try:
                kind.genes(**kind.resolve(fields, int(width)))
            except GenomeError as error:
                mistakes.add(("stages", "width"), f"stage {number}: {error}")
                break
            if count > MOST_SETTINGS:
                break
