"""What a space holds, as plain data: its size, its genes, what they cost, how much of it keeps a budget."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import numpy as np

from archspace.errors import BudgetError
from archspace.seeds import derive
from archspace.space.budget import Budget, Limit, combined
from archspace.space.description import lines
from archspace.space.estimates import chance, correlation, correlation_ratio, histogram, quantile, ranks, wilson
from archspace.space.reach import ends_of, out_of_reach, reachable
from archspace.space.sameness import one_to_one
from archspace.space.sampler import candidate, draws
from archspace.space.space import Space, genome_of
from archspace.space.survey import WHOLE, Survey, draws_of_each, measured, pooled, settings_within, surveyed

__all__ = ["describe", "lines"]

QUANTILES = (5, 25, 50, 75, 95)
NAMED = 2**14
"""Settings whose genomes are told apart one by one, at most."""


def describe(space: Space, budget: Budget | None, seed: int) -> dict[str, Any]:
    """A space as plain data: size, genes, costs, the share within budget with its 95 % interval, what drives cost.

    `genomes` counts the settings of the genes; shares are of these. `draws` of them were looked at: all where `whole`,
    else drawn uniformly over the genes, an equal number of each family. `drivers` and `histogram` are of the budget's
    first measure, else of flops. Raises BudgetError where no genome keeps the budget.
    """
    limits = combined(budget or Budget(), space.limits)
    measures = measured(limits, *(inner.limits for inner in space.families.values()))
    described: dict[str, Any] = {
        "name": space.name,
        "about": space.about,
        "input": list(space.input),
        "classes": space.classes,
        "genomes": space.size,
        "genes": [{"name": gene.name, "values": list(gene.values), "log": gene.log} for gene in space.genes],
        "limits": list(space.limits.text),
    }
    if space.families:
        described |= _several(space, limits, measures, seed)
    else:
        described |= _one(space, limits, surveyed(space, measures, seed), measures, WHOLE)
    if limits.limits:
        ends = [{"measure": limit.measure, "low": limit.low, "high": limit.high} for limit in limits.limits]
        described["budget"] |= {"text": list(limits.text), "limits": ends}
        _check_reach(space, limits, described["budget"], seed)
    return described


def _one(space: Space, limits: Budget, survey: Survey, measures: tuple[Limit, ...], most: int) -> dict[str, Any]:
    """What a survey of a space of one family tells; `most` settings are costed for an exact share."""
    built, alone = int(survey.built.sum()), one_to_one(space)
    known = built if survey.whole else None
    described = {
        "buildable": _share(built, survey.size, known, space.size),
        "one_to_one": alone,
        "distinct": known if alone else _distinct(space, survey),
        "cost": {limit.measure: _cost(limit, survey, *_ends(space, limit, survey)) for limit in measures},
        **_spread(survey, limits),
    }
    if limits.limits:
        described["budget"] = _within(space, limits, survey, most)
    return described


def _several(space: Space, limits: Budget, measures: tuple[Limit, ...], seed: int) -> dict[str, Any]:
    """What surveys of all families tell together, then each for itself."""
    surveys: list[Survey] = []
    families: list[dict[str, Any]] = []
    most = WHOLE // len(space.families)
    for name, inner in space.families.items():
        survey = surveyed(inner, measures, derive(seed, name), draws_of_each(len(space.families)), most)
        surveys.append(survey)
        families.append({"name": name, "genomes": inner.size} | _one(inner, limits, survey, measures, most))
    survey = pooled(space.genes[0], surveys, seed)
    costs = {}
    for limit in measures:
        known = [family["cost"][limit.measure] for family in families]
        ends = min(cost["least"] for cost in known), max(cost["greatest"] for cost in known)
        costs[limit.measure] = _cost(limit, survey, *ends)
    described = {
        "buildable": _mean_share([family["buildable"] for family in families]),
        "one_to_one": one_to_one(space),
        "distinct": None,
        "cost": costs,
        **_spread(survey, limits),
        "families": families,
    }
    if limits.limits:
        described["budget"] = _mean_share([family["budget"] for family in families])
    return described


def _share(seen: int, of: int, known: int | None, size: int) -> dict[str, Any]:
    """A share of `size` settings: exact where their number is `known`, else as `seen` in so many draws."""
    share, interval = (seen / of, list(wilson(seen, of))) if known is None else (known / size, [known / size] * 2)
    return {"share": share, "interval": interval, "settings": known, "draws": of}


def _mean_share(shares: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean of the families' shares.

    The interval is that of as many draws from all of them at once: at least as wide as one that knows the families.
    """
    share, draws = sum(own["share"] for own in shares) / len(shares), draws_of_each(len(shares)) * len(shares)
    if all(own["settings"] is not None for own in shares):
        return {
            "share": share,
            "interval": [share] * 2,
            "settings": sum(own["settings"] for own in shares),
            "draws": draws,
        }
    low, high = wilson(round(share * draws), draws)
    return {"share": share, "interval": [min(low, share), max(high, share)], "settings": None, "draws": draws}


def _within(space: Space, limits: Budget, survey: Survey, most: int) -> dict[str, Any]:
    """The share of a space that keeps the budget, and what the space itself asks for."""
    try:
        both = combined(limits, space.limits)
    except BudgetError:  # they exclude each other
        return _share(0, survey.size, 0, space.size)
    seen = survey.within(both)
    return _share(seen, survey.size, seen if survey.whole else settings_within(space, both, most), space.size)


def _check_reach(space: Space, limits: Budget, share: dict[str, Any], seed: int) -> None:
    """Raise BudgetError where none was seen that keeps the budget, none lies at an end, and none can be drawn."""
    if share["settings"] == 0:
        raise BudgetError(out_of_reach(space, limits))
    if share["share"]:
        return
    ends = [end for limit in limits.limits for end in ends_of(space, replace(limit, low=0, high=math.inf))]
    known = (candidate(space, end.values) for end in ends)
    if not any(found is not None and limits.allows(found.cost) for found in known):
        next(draws(space, limits, random.Random(seed)))


def _distinct(space: Space, survey: Survey) -> int | None:
    """How many genomes a space has, whose settings may give the same; None where that would take too long."""
    if not survey.whole or survey.size > NAMED:
        return None
    found = set()
    for setting in survey.numbers[:, survey.built].T:
        values = {gene.name: gene.values[number] for gene, number in zip(survey.genes, setting, strict=True)}
        found.add(genome_of(space, values).id)
    return len(found)


def _ends(space: Space, limit: Limit, survey: Survey) -> tuple[float, float]:
    """The least and the greatest of a measure that were found."""
    figures = survey.figures[limit.measure][survey.built]
    ends = [figures.min(), figures.max()] if len(figures) else []
    ends += [] if survey.whole else reachable(space, limit)
    return min(ends), max(ends)


def _cost(limit: Limit, survey: Survey, least: float, greatest: float) -> dict[str, Any]:
    ordered = np.sort(survey.figures[limit.measure][survey.built])
    found = [float(least), float(greatest), *(quantile(ordered, q / 100) for q in QUANTILES)]
    least, greatest, *cuts = (value if limit.inexact or math.isnan(value) else round(value) for value in found)
    quantiles = {str(q): cut for q, cut in zip(QUANTILES, cuts, strict=True)}
    conditions: dict[str, Any] = {"batch": limit.batch} if limit.batch else {}
    if limit.predicted is not None:
        conditions = {"device": limit.predicted.device, "batch": limit.predicted.batch}
    return {"least": least, "greatest": greatest, "quantiles": quantiles, **conditions}


def _spread(survey: Survey, limits: Budget) -> dict[str, Any]:
    """How a measure is spread, and which genes drive it: the strongest first, by rank correlation."""
    measure = limits.limits[0].measure if limits.limits else "flops"
    figures, numbers = survey.figures[measure][survey.built], survey.numbers[:, survey.built]
    ranked = ranks(figures)
    genes: list[dict[str, Any]] = []
    for gene, own in zip(survey.genes, numbers, strict=True):
        if len(gene.values) > 1:
            strength = correlation(ranks(own), ranked) if gene.ordered else correlation_ratio(own, ranked)
            genes.append({"name": gene.name, "correlation": strength, "signed": gene.ordered})
    genes.sort(key=lambda gene: -abs(np.nan_to_num(gene["correlation"])))
    edges, counts = histogram(figures)
    return {
        "draws": survey.size,
        "whole": survey.whole,
        "drivers": {
            "measure": measure,
            "n": len(figures),
            "chance": 0.0 if survey.whole else chance(len(figures)),
            "genes": genes,
        },
        "histogram": {"measure": measure, "edges": edges, "counts": counts},
    }
