"""What the picture of a space shows: how its costs are spread, which genes drive them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archspace.space.description import share_text, strength_text
from archspace.units import UNITS, shape_text, si

MOST = 12, 3
"""Genes shown of a space, and of each of several families: the strongest."""
ROOM = 0.03
"""Of the axis of cost, left free at each of its ends."""


@dataclass(frozen=True)
class Bar:
    """A gene: how closely cost follows it (0 to 1), in which way, and its figure as text."""

    gene: str
    strength: float
    way: str
    text: str


@dataclass(frozen=True)
class Row:
    """A space, or one of its families: `ends` and `quantiles` (by percent) of cost, its genes, the share in budget."""

    name: str
    ends: tuple[float, float]
    quantiles: Mapping[int, float]
    bars: tuple[Bar, ...]
    share: str


@dataclass(frozen=True)
class SpaceData:
    """One row for a space, or one for each family; `edges` and `shares` (percent) are the histogram of all.

    Costs are in the unit of `measure`. `allowed` are the ends of the budget in this measure, None at an end that is
    open; `budget` is what it says, empty where there is none.
    """

    title: str
    measure: str
    where: str
    rows: tuple[Row, ...]
    families: bool
    edges: tuple[float, ...]
    shares: tuple[float, ...]
    budget: str
    allowed: tuple[float | None, float | None]
    x: tuple[float, float]
    note: str


def space_data(described: Mapping[str, Any]) -> SpaceData:
    """The data of the picture, from what archspace.space.describe.describe gives."""
    families = "families" in described
    measure = described["drivers"]["measure"]
    rows = tuple(_row(own, measure, MOST[families]) for own in described.get("families", [described]))
    held, drawn = described["histogram"], described["drivers"]["n"]
    low, high = _allowed(described, measure)
    shown = [end for row in rows for end in row.ends] + [end for end in (low, high) if end is not None]
    room = (max(shown) / min(shown)) ** ROOM if max(shown) > min(shown) else 1.1
    looked = "all" if described["whole"] else f"{drawn:,} drawn uniformly"
    return SpaceData(
        title=f"{described['name']}: {described['genomes']:,} settings of the genes, of which {looked}",
        measure=measure,
        where=f"{shape_text(tuple(described['input']))}, {described['classes']} classes",
        rows=rows,
        families=families,
        edges=tuple(held["edges"]),
        shares=tuple(100 * count / max(drawn, 1) for count in held["counts"]),
        budget=_budget(described),
        allowed=(low, high),
        x=(min(shown) / room, max(shown) * room),
        note="",
    )
