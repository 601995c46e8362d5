"""The description of a space as text for a person, 100 columns wide."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from archspace.space.space import FAMILY, Gene
from archspace.units import UNITS, shape_text, si

COLUMNS = 100
SHOWN = 6
"""Genes that are named for each of several families."""


def lines(described: dict[str, Any]) -> list[str]:
    """What `describe` gives, line by line."""
    where = f"{shape_text(tuple(described['input']))} and {described['classes']} classes"
    text = [f"{described['name']}: {_size(described)}, cost counted at {where}"]
    text += textwrap.wrap(described["about"], COLUMNS)
    text += ["", *_indented(f"{_sameness(described)}; {_buildable(described)}"), ""]
    width = max((len(gene["name"]) for gene in described["genes"]), default=0)
    for gene in described["genes"]:
        text += _wrapped(f"  {gene['name']:<{width}}  ", _values(gene))
    text += ["", *_costs(described)]
    if described["limits"]:
        text += _indented(f"limits of the space: {', '.join(described['limits'])} (costs above are of all settings)")
    if "families" in described:
        text += ["", *_families(described)]
    if "budget" in described:
        text += ["", *_budget(described)]
    return [*text, "", *_drivers(described)]


def share_text(share: float) -> str:
    """A share in percent with two significant digits from whichever end it is nearer to: 7.62%, 0.0059%, 99.994%."""
    near = 100 * min(share, 1 - share)
    decimals = 0 if near <= 0 else max(2, 1 - math.floor(math.log10(near)))
    return f"{100 * share:.{decimals}f}%"


def told_share(share: dict[str, Any]) -> str:
    """A share as text; where none was seen, the end of its interval that it lies below."""
    known = share["share"] or share["settings"] is not None
    return share_text(share["share"]) if known else f"<{share_text(share['interval'][1])}"


def interval_text(share: dict[str, Any]) -> str:
    """The interval of a share as text."""
    return " to ".join(share_text(end) for end in share["interval"])


def strength_text(gene: Mapping[str, Any]) -> str:
    """How closely cost follows a gene: with a sign where its values are numbers."""
    value = gene["correlation"]
    if value != value:
        return "–"
    return f"{value:+.2f}" if gene["signed"] and abs(value) >= 0.005 else f"{abs(value):.2f}"


def _size(described: dict[str, Any]) -> str:
    settings, distinct = counted(described["genomes"], "setting"), described["distinct"]
    if distinct is not None and distinct < described["genomes"]:
        return f"{counted(distinct, 'genome')} from {settings} of the genes"
    whole = described["one_to_one"] and described["buildable"]["share"] == 1
    return counted(described["genomes"], "genome") if whole else f"{settings} of the genes"


def counted(count: int, noun: str) -> str:
    """A number with a noun in the singular or the plural: 1 genome, 1,200 genomes."""
    return f"{count:,} {noun}{'s' if count != 1 else ''}"


def _sameness(described: dict[str, Any]) -> str:
    if described["one_to_one"]:
        return "each setting of the genes is a genome of its own"
    if described["distinct"] is not None:
        return "some settings of the genes give the same genome"
    return "several settings of the genes may give the same genome"


def _buildable(described: dict[str, Any]) -> str:
    share = described["buildable"]
    if share["settings"] is not None:
        some = f"{share['settings']:,} of {described['genomes']:,}"
        return f"{'all' if share['share'] == 1 else some} can be built"
    some = "all" if share["share"] == 1 else f"{share_text(share['share'])} of"
    return f"{some} {share['draws']:,} drawn can be built (95 % interval {interval_text(share)})"


def _looked_at(described: dict[str, Any]) -> str:
    if described["whole"]:
        return "all settings of the genes"
    each = ", an equal number of each family" if "families" in described else ""
    return f"{described['draws']:,} settings drawn uniformly over the genes' values{each}"


def _costs(described: dict[str, Any]) -> Iterator[str]:
    """A column for each measure; rows from the least to the greatest."""
    columns = []
    for measure, cost in described["cost"].items():
        figures = [cost["least"], *cost["quantiles"].values(), cost["greatest"]]
        column = [measure.replace("_", " "), *(_figure(measure, value) for value in figures)]
        columns.append([f"{cell:>{max(14, len(column[0]) + 2)}}" for cell in column])
    names = ["cost", "least", *(f"{share}%" for share in described["cost"]["flops"]["quantiles"]), "greatest"]
    yield from (f"  {name:<9}" + "".join(cells) for name, *cells in zip(names, *columns, strict=True))
    yield from _indented(f"(quantiles of {_looked_at(described)})")


def _figure(measure: str, value: float) -> str:
    return "–" if value != value else si(value, UNITS[measure])


def _families(described: dict[str, Any]) -> Iterator[str]:
    """A row for each family: its size, what it costs, how much of it keeps the budget."""
    measure, width = described["drivers"]["measure"], _widest(described)
    yield (
        f"  {FAMILY:<{width}} {'settings':>14}"
        + "".join(f"{name:>15}" for name in ("least", "50%", "greatest"))
        + ("   within (95 %)" if "budget" in described else "")
    )
    for family in described["families"]:
        cost = family["cost"][measure]
        figures = (cost["least"], cost["quantiles"]["50"], cost["greatest"])
        yield (
            f"  {family['name']:<{width}} {family['genomes']:>14,}"
            + "".join(f"{_figure(measure, value):>15}" for value in figures)
            + (f"   {_short(family['budget'])}" if "budget" in family else "")
        )


def _short(share: dict[str, Any]) -> str:
    return share_text(share["share"]) if share["settings"] is not None else interval_text(share)


def _budget(described: dict[str, Any]) -> list[str]:
    """How much of the space keeps the budget."""
    share = described["budget"]
    told = f"within {', '.join(share['text'])}: {told_share(share)} of the settings"
    told += ", each family counting alike" if "families" in described else ""
    if share["settings"] is not None:
        return _indented(f"{told}, exactly {share['settings']:,} of {described['genomes']:,}")
    seen = f"{share['draws']:,} drawn" if share["share"] else f"none of {share['draws']:,} drawn keeps it, but some do"
    return _indented(f"{told} (95 % interval {interval_text(share)}, {seen})")


def _drivers(described: dict[str, Any]) -> Iterator[str]:
    """The genes that drive cost, the strongest first."""
    drivers = described["drivers"]
    measure = drivers["measure"].replace("_", " ")
    if not drivers["genes"]:
        return
    yield from _indented(f"what drives {measure}: the rank correlation of each gene with it")
    if "families" not in described:
        width = max((len(gene["name"]) for gene in drivers["genes"]), default=0)
        yield from (f"    {gene['name']:<{width}}  {strength_text(gene)}" for gene in drivers["genes"])
    else:
        yield from _drivers_of_families(described)
    every = [own["drivers"] for own in described.get("families", [described])]
    good, least = max(own["chance"] for own in every), min(own["n"] for own in every)
    of = " or more of each family" if "families" in described else ""
    yield from _indented(
        f"(n = {least:,}{of}: good to ±{good:.1g}, 95 % interval)" if good else "(of all settings: exact)"
    )
    if not all(gene["signed"] for own in (drivers, *every) for gene in own["genes"]):
        yield from _indented("(words have no order and so no sign: theirs is the correlation ratio of the ranks)")


def _drivers_of_families(described: dict[str, Any]) -> Iterator[str]:
    """How much the family says of cost, then the strongest genes of each."""
    width = _widest(described)
    yield f"    {FAMILY:<{width}}  {strength_text(described['drivers']['genes'][0])}"
    for family in described["families"]:
        first = family["drivers"]["genes"][:SHOWN]
        told = ", ".join(f"{gene['name']} {strength_text(gene)}" for gene in first)
        yield from _wrapped(f"    {family['name']:<{width}}  ", told)


def _widest(described: dict[str, Any]) -> int:
    return max(len(name) for name in (FAMILY, *(family["name"] for family in described["families"])))


def _indented(sentence: str) -> list[str]:
    return textwrap.wrap(sentence, COLUMNS, initial_indent="  ", subsequent_indent="  ")


def _wrapped(start: str, listed: str) -> list[str]:
    """A list with commas behind a start, broken behind the commas."""
    kept = textwrap.TextWrapper(
        COLUMNS,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [line.replace("\xa0", " ") for line in kept.wrap(listed.replace(" ", "\xa0").replace(",\xa0", ", "))]


def _values(gene: dict[str, Any]) -> str:
    """What a gene may be, in words."""
    values, scale = gene["values"], ", log scale" if gene["log"] else ""
    shape = Gene(gene["name"], tuple(values))
    if shape.step and len(values) > 2:
        step = "" if shape.step == 1 else f" in steps of {shape.step}"
        return f"{values[0]} to {values[-1]}{step}{scale}"
    steps = {round(b - a, 9) for a, b in pairwise(values)} if shape.ordered else set()
    if len(values) > 8 and len(steps) == 1:
        return f"{values[0]} to {values[-1]} in steps of {steps.pop():g}{scale}"
    return ", ".join(str(value) for value in values) + scale
