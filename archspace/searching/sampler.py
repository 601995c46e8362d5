"""Proposals: Optuna's tree-structured Parzen estimator over a space's genes, kept within the budget."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import create_trial

from archspace.errors import BudgetError
from archspace.searching.rungs import Standing, goes_on
from archspace.seeds import derive
from archspace.space.budget import Budget, combined
from archspace.space.reach import reachable
from archspace.space.sampler import Candidate, draws, fit
from archspace.space.space import FAMILY, Gene, Space, Value, Values, family_of, of_family

STARTUP = 8
"""Trials drawn at random within the budget before the estimator is asked, and results that it needs."""
REPEATS = 1000
"""Random draws in search of a genome that was not tried yet."""


@dataclass(frozen=True)
class Result:
    """What the estimator learns from: a trial's gene values, its val error (a fraction) and its cost."""

    values: Values
    error: float
    cost: float


def propose(
    space: Space, budget: Budget, results: Sequence[Result], tried: Container[str], number: int, seed: int
) -> Candidate | None:
    """The next genome to try, or None where no untried one turns up; the same history gives the same genome.

    `results` are all of one rung. A proposal over the budget is moved to the nearest genome that keeps it. The first
    STARTUP genomes are random, one from each of as many parts of the cost range: a front needs cheap networks too.
    """
    if number >= STARTUP and len(results) >= STARTUP:
        proposed = fit(space, _ask_any(space, results, derive(seed, "ask", number)), budget)
        if proposed is not None and proposed.genome.id not in tried:
            return proposed
    rng = random.Random(derive(seed, "draw", number))
    parts = [_part(space, budget, number, seed), budget] if number < STARTUP else [budget]
    for part in parts:
        try:
            return next(found for found in islice(draws(space, part, rng), REPEATS) if found.genome.id not in tried)
        except (StopIteration, BudgetError):
            continue
    return None


def _part(space: Space, budget: Budget, number: int, seed: int) -> Budget:
    """One of STARTUP parts, equal in the logarithm, of the range that the cost objective can take within the budget."""
    limit = budget.limits[0]
    least, greatest = reachable(space, limit)
    low, high = max(limit.low, min(least, limit.high)), min(limit.high, greatest)
    index = random.Random(derive(seed, "parts")).sample(range(STARTUP), STARTUP)[number]
    ends = [low * (high / low) ** (share / STARTUP) for share in (index, index + 1)]
    if not limit.inexact:
        ends = [math.ceil(end) for end in ends]
    return combined(budget, Budget((replace(limit, low=ends[0], high=max(ends)),)))


def _ask_any(space: Space, results: Sequence[Result], seed: int) -> dict[str, Value]:
    """One suggestion; in a space of several families for the family first, then for its genes alone.

    The genes are drawn uniformly while the family has too few results.
    """
    if not space.families:
        return _ask(space.genes, results, seed)
    rng = random.Random(derive(seed, "family"))
    name = _family(space, results, rng)
    genes = space.families[name].genes
    own = [result for result in results if result.values[FAMILY] == name]
    if len(own) < STARTUP:
        return of_family(name, {gene.name: rng.choice(gene.values) for gene in genes})
    inner = [replace(result, values=family_of(space, result.values)[1]) for result in own]
    return of_family(name, _ask(genes, inner, seed))


def _family(space: Space, results: Sequence[Result], rng: random.Random) -> str:
    """A family by Thompson sampling (Thompson 1933): what it is believed to give good trials at, drawn once for each.

    A trial is good where it would go on past a rung. A tree-structured Parzen estimator of this one word would ask for
    the same family each time.
    """
    standings = [Standing(number, result.error, 0.0, result.cost) for number, result in enumerate(results)]
    good = [goes_on(standing, standings) for standing in standings]

    def belief(name: str) -> float:
        own = [well for well, result in zip(good, results, strict=True) if result.values[FAMILY] == name]
        return rng.betavariate(1 + sum(own), 1 + len(own) - sum(own))

    return max(space.families, key=belief)


def _ask(genes: Sequence[Gene], results: Sequence[Result], seed: int) -> dict[str, Value]:
    """One suggestion of the estimator, in a study in memory that holds `results` alone."""
    distributions = {gene.name: distribution(gene) for gene in genes if len(gene.values) > 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(n_startup_trials=0, multivariate=True, seed=seed % 2**32)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    for result in results:
        params = {name: result.values[name] for name in distributions}
        study.add_trial(
            create_trial(params=params, distributions=distributions, values=[result.error, math.log(result.cost)])
        )
    params = study.ask(distributions).params
    return {gene.name: snap(gene, params.get(gene.name, gene.values[0])) for gene in genes}


def distribution(gene: Gene) -> BaseDistribution:
    """A gene as Optuna sees it: numbers keep their order and scale, words are categories."""
    if not gene.ordered:
        return CategoricalDistribution(gene.values)
    low, high = gene.values[0], gene.values[-1]
    if gene.step and not gene.log:
        return IntDistribution(int(low), int(high), step=gene.step)
    # Uneven choices of positive numbers are nearly always spaced by factors (1, 2, 4, 8).
    return FloatDistribution(float(low), float(high), log=float(low) > 0)


def snap(gene: Gene, value: Value) -> Value:
    """The gene's own value nearest to a suggestion, on the scale it was drawn from."""
    if value in gene.values or not gene.ordered:
        return value
    scale = math.log if float(gene.values[0]) > 0 else float
    return min(gene.values, key=lambda own: abs(scale(float(own)) - scale(float(value))))
