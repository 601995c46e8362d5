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
from archspace.seeds import derive
from archspace.space.budget import Budget, Limit, combined
from archspace.space.sampler import Candidate, draws, fit, reachable
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
    cost: int


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
    limit, least = budget.limits[0], reachable(space, budget.limits[0].measure)[0]
    low, high = max(limit.low, min(least, limit.high)), min(limit.high, reachable(space, limit.measure)[1])
    index = random.Random(derive(seed, "parts")).sample(range(STARTUP), STARTUP)[number]
    ends = [math.ceil(low * (high / low) ** (share / STARTUP)) for share in (index, index + 1)]
    return combined(budget, Budget((Limit(limit.measure, ends[0], max(ends)),)))


def _ask_any(space: Space, results: Sequence[Result], seed: int) -> dict[str, Value]:
    """One suggestion; in a space of several families for the family first, then for its genes alone.

    The family is asked for as one gene of all results. Its genes are drawn uniformly while it has too few results.
    """
    if not space.families:
        return _ask(space.genes, results, seed)
    values = _ask(space.genes[:1], results, seed)
    inner, _ = family_of(space, values)
    own = [
        replace(result, values=family_of(space, result.values)[1])
        for result in results
        if result.values[FAMILY] == values[FAMILY]
    ]
    if len(own) >= STARTUP:
        return of_family(inner.name, _ask(inner.genes, own, seed))
    rng = random.Random(derive(seed, "genes"))
    return of_family(inner.name, {gene.name: rng.choice(gene.values) for gene in inner.genes})


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
