"""What a space holds: its genes, how many genomes, what they cost, how many keep a budget."""

from __future__ import annotations

import random
import statistics
from itertools import pairwise
from typing import Any

from archspace.costs import MEASURES
from archspace.space.budget import Budget, combined
from archspace.space.reach import reachable
from archspace.space.sampler import Candidate, candidate, sample
from archspace.space.space import Gene, Space
from archspace.units import UNITS, percent, shape_text, si

DRAWS = 1000
"""Genomes drawn uniformly for quantiles and for the share within budget."""
QUANTILES = (5, 25, 50, 75, 95)


def describe(space: Space, budget: Budget | None, seed: int) -> dict[str, Any]:
    """A space as plain data: size, genes, cost ranges and quantiles, the share within budget with its 95 % interval.

    Raises BudgetError where no genome keeps the budget.
    """
    drawn = _uniform(space, random.Random(seed))
    described: dict[str, Any] = {
        "name": space.name,
        "about": space.about,
        "input": list(space.input),
        "classes": space.classes,
        "genomes": space.size,
        "genes": [{"name": gene.name, "values": list(gene.values), "log": gene.log} for gene in space.genes],
        "limits": list(space.limits.text),
        "cost": {measure: _cost(space, measure, drawn) for measure in MEASURES},
        "draws": len(drawn),
    }
    if budget is not None:
        limits = combined(budget, space.limits)
        sample(space, budget, 1, seed)  # raises where nothing keeps it
        within = sum(limits.allows(item.cost) for item in drawn)
        low, high = _interval(within, len(drawn))
        described["budget"] = {"text": list(limits.text), "share": within / len(drawn), "interval": [low, high]}
    return described


def lines(described: dict[str, Any]) -> list[str]:
    """The description as text for a person."""
    where = f"{shape_text(tuple(described['input']))} and {described['classes']} classes"
    text = [f"{described['name']}: {described['genomes']:,} genomes, cost counted at {where}"]
    text += [described["about"], ""] if described["about"] else [""]
    text += [f"  {gene['name']:<18} {_values(gene)}" for gene in described["genes"]]
    text += ["", f"  {'cost':<8} {'least':>14} {'greatest':>14}   " + " ".join(f"{q:>3}%{'':>9}" for q in QUANTILES)]
    for measure, cost in described["cost"].items():
        ends = f"{si(cost['least'], UNITS[measure]):>14} {si(cost['greatest'], UNITS[measure]):>14}"
        quantiles = " ".join(f"{si(value, UNITS[measure]):>13}" for value in cost["quantiles"].values())
        text.append(f"  {measure:<8} {ends}   {quantiles}")
    text.append(f"  (quantiles of {described['draws']} genomes drawn uniformly over the genes)")
    if described["limits"]:
        text.append(f"  limits: {', '.join(described['limits'])}")
    if "budget" in described:
        within = described["budget"]
        low, high = (percent(end) for end in within["interval"])
        text.append(f"  within {', '.join(within['text'])}: {percent(within['share'])} (95 % interval {low} to {high})")
    return text


def _uniform(space: Space, rng: random.Random) -> list[Candidate]:
    """Genomes drawn uniformly over the genes; of a space of several families, an equal number of each."""
    if space.families:
        each = DRAWS // len(space.families)
        return [found for inner in space.families.values() for found in _uniform(inner, rng)[:each]]
    settings = ({gene.name: rng.choice(gene.values) for gene in space.genes} for _ in range(DRAWS))
    return [found for found in (candidate(space, values) for values in settings) if found is not None]


def _cost(space: Space, measure: str, drawn: list[Candidate]) -> dict[str, Any]:
    least, greatest = reachable(space, measure)
    figures = [getattr(item.cost, measure) for item in drawn]
    cuts = statistics.quantiles(figures, n=100, method="inclusive")
    return {"least": least, "greatest": greatest, "quantiles": {str(q): round(cuts[q - 1]) for q in QUANTILES}}


def _interval(within: int, draws: int) -> tuple[float, float]:
    from scipy.stats import binomtest

    interval = binomtest(within, draws).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def _values(gene: dict[str, Any]) -> str:
    values, scale = gene["values"], ", log scale" if gene["log"] else ""
    shape = Gene(gene["name"], tuple(values))
    if shape.step and len(values) > 2:
        step = "" if shape.step == 1 else f" in steps of {shape.step}"
        return f"{values[0]} to {values[-1]}{step}{scale}"
    steps = {round(b - a, 9) for a, b in pairwise(values)} if shape.ordered else set()
    if len(values) > 8 and len(steps) == 1:
        return f"{values[0]} to {values[-1]} in steps of {steps.pop():g}{scale}"
    return ", ".join(str(value) for value in values) + scale
