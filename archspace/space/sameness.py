"""Whether different settings of a space's genes may give the same genome."""

from __future__ import annotations

from itertools import product

from archspace.blocks.registry import Family, family
from archspace.errors import GenomeError
from archspace.space.solver import count
from archspace.space.space import Slots, Space

MOST = 20_000
"""Settings of one stage that are tried."""


def one_to_one(space: Space) -> bool:
    """Whether each setting is a genome of its own, as far as that is known; false for RegNet's rule.

    A gene that stands in the genome as it is tells settings apart. One that a block makes something of (a share of the
    width, rounded) does so where all settings of some stage differ. Families that share no block share no genome.
    """
    if space.families:
        blocks = [{_kind(slots).name for slots in inner.stages} for inner in space.families.values()]
        return sum(map(len, blocks)) == len(set().union(*blocks)) and all(map(one_to_one, space.families.values()))
    if space.rule is not None:
        return False
    parts = (space.stem, space.head, space.survival, space.auxiliary, {"initialisation": space.initialisation})
    stages = [{name: slot for name, slot in slots.items() if name not in _kind(slots).rules} for slots in space.stages]
    told = {slot.gene for slots in (*parts, *stages) for slot in slots.values()}
    for slots in space.stages:
        genes = {slot.gene for slot in slots.values()}
        if not genes <= told and _all_differ(space, slots):
            told |= genes
    return all(gene.name in told for gene in space.genes)


def _kind(slots: Slots) -> Family:
    return family(str(slots["block"].value))


def _all_differ(space: Space, slots: Slots) -> bool:
    """Whether no two settings of a stage's genes, but for depth and stride, give its block the same genes."""
    used = {name: slot for name, slot in slots.items() if name not in ("block", "depth", "stride")}
    genes = [gene for gene in space.genes if gene.name in {slot.gene for slot in used.values()}]
    if count(genes) > MOST:
        return False
    seen = set()
    for row in product(*(gene.values for gene in genes)):
        values = {gene.name: value for gene, value in zip(genes, row, strict=True)}
        fields = {name: slot.resolve(values) for name, slot in used.items()}
        width = int(fields.pop("width", 0))
        try:
            found = (width, *sorted(_kind(slots).resolve(fields, width).items()))
        except GenomeError:
            continue
        if found in seen:
            return False
        seen.add(found)
    return True
