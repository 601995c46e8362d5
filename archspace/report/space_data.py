"""What the picture of a space shows: how its costs are spread, which genes drive them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archspace.space.description import counted, strength_text, told_share
from archspace.units import UNITS, shape_text

MOST = 12, 3
"""Genes shown of a space, and of each of several families: the strongest."""
ROOM = 0.03
"""Of the axis of cost, left free at each of its ends."""


@dataclass(frozen=True)
class Bar:
    """A gene: how closely cost follows it, from 0 to 1; in which way (`rises`, `falls`, `words`); its label."""

    gene: str
    strength: float
    way: str
    label: str


@dataclass(frozen=True)
class Row:
    """A space or a family: least and greatest cost, quantiles of it by percent, its genes, its share in the budget."""

    name: str
    ends: tuple[float, float]
    quantiles: Mapping[int, float]
    bars: tuple[Bar, ...]
    share: str


@dataclass(frozen=True)
class SpaceData:
    """One row for a space, or one for each family; `edges` and `shares` (percent) are the histogram of all.

    Costs are in `unit`. `low` and `high` are the ends of the budget in this measure, None where it has
    none; `budget` is what it says, and how much is within it; `cut` tells how many genes are shown.
    """

    title: str
    about: str
    measure: str
    unit: str
    where: str
    rows: tuple[Row, ...]
    cut: str
    edges: tuple[float, ...]
    shares: tuple[float, ...]
    budget: str
    low: float | None
    high: float | None
    x: tuple[float, float]


def space_data(described: Mapping[str, Any]) -> SpaceData:
    """The data of the picture, from what archspace.space.describe.describe gives."""
    several = "families" in described
    drivers, held = described["drivers"], described["histogram"]
    rows = tuple(_row(own, drivers["measure"], MOST[several]) for own in described.get("families", [described]))
    low, high = _budget_ends(described)
    shown = [*(end for row in rows for end in row.ends), *(end for end in (low, high) if end is not None)]
    room = (max(shown) / min(shown)) ** ROOM if max(shown) > min(shown) else 1.1
    looked = "all of them" if described["whole"] else f"{described['draws']:,} of them, drawn uniformly"
    genes = 0 if several else len(drivers["genes"])
    return SpaceData(
        title=f"{described['name']}: what networks cost, and the genes that drive it",
        about=f"{counted(described['genomes'], 'setting')} of the genes; shown are {looked}"
        + (", each family alike" if several else ""),
        measure=drivers["measure"].replace("_", " "),
        unit=UNITS[drivers["measure"]],
        where=_where(described, described["cost"][drivers["measure"]]),
        rows=rows,
        cut=f" ({MOST[0]} of {genes} genes)" if genes > MOST[0] else "",
        edges=tuple(held["edges"]),
        shares=tuple(100 * count / drivers["n"] for count in held["counts"]),
        budget=_budget(described["budget"]) if "budget" in described else "",
        low=low,
        high=high,
        x=(min(shown) / room, max(shown) * room),
    )


def _where(described: Mapping[str, Any], cost: Mapping[str, Any]) -> str:
    """What a cost holds for: the target, and for memory and latency the images at once and the device."""
    where = [shape_text(tuple(described["input"])), f"{described['classes']} classes"]
    where += [f"batch {cost['batch']}"] if "batch" in cost else []
    where += [cost["device"]] if "device" in cost else []
    return ", ".join(where)


def _row(described: Mapping[str, Any], measure: str, most: int) -> Row:
    cost = described["cost"][measure]
    return Row(
        name=described["name"],
        ends=(cost["least"], cost["greatest"]),
        quantiles={int(share): value for share, value in cost["quantiles"].items()},
        bars=tuple(_bar(gene) for gene in described["drivers"]["genes"][:most]),
        share=told_share(described["budget"]) if "budget" in described else "",
    )


def _bar(gene: Mapping[str, Any]) -> Bar:
    value = gene["correlation"]
    way = "words" if not gene["signed"] else "falls" if value < 0 else "rises"
    return Bar(gene["name"], 0.0 if value != value else abs(value), way, strength_text(gene))


def _budget_ends(described: Mapping[str, Any]) -> tuple[float | None, float | None]:
    limits = described["budget"]["limits"] if "budget" in described else []
    for limit in limits:
        if limit["measure"] == described["drivers"]["measure"]:
            return limit["low"] or None, limit["high"]
    return None, None


def _budget(share: dict[str, Any]) -> str:
    return f"within {', '.join(share['text'])}: {told_share(share)}"
