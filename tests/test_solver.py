"""Genomes solved for a budget: all of them are found, none outside, and drawn as is stated."""

import random
from collections import Counter, defaultdict
from itertools import islice, pairwise, product
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from archspace.document import read_text
from archspace.errors import BudgetError
from archspace.space.budget import Budget, Conditions, Latency, parse_budget
from archspace.space.file import load_space, read_space
from archspace.space.reach import ends_of, reachable
from archspace.space.sampler import Candidate, candidate, draws, fit, sampled
from archspace.space.settings import everything
from archspace.space.solver import count, numbers_at, solver_of, weights
from archspace.space.space import Space

RESIDUAL = """\
target: {input: [1, 32, 32], classes: 10}
stem: {kind: cifar, width: {choices: [8, 16]}}
stages:
  number: 3
  block: bottleneck
  depth: [{range: [1, 4]}, {range: [2, 6], step: 2}, {choices: [1, 5]}]
  width: {range: [8, 64], step: 8, log: true, times: [1, 2, 4]}
  cardinality: {choices: [1, 4]}
  group_width: {choices: [2, 4]}
"""
DENSE = """\
target: {input: [1, 32, 32], classes: 10}
stem: {kind: cifar, width: 8}
stages:
  number: 2
  block: dense
  depth: [{range: [1, 4]}, {range: [1, 6], log: true}]
  growth_rate: {range: [2, 16], log: true}
  compression: {choices: [0.5, 1.0]}
"""
LATENCY = Latency(1e-4, 1e-12, 1e-10, "cpu", 1, 1, "fp32", "contiguous", "some machine")


def space_in(text: str) -> Space:
    return read_space(read_text(text, "small.yaml"))


SPACES = {"residual": space_in(RESIDUAL), "dense": space_in(DENSE)}
ALL = {
    name: [
        found
        for row in product(*(gene.values for gene in space.genes))
        if (found := candidate(space, {gene.name: value for gene, value in zip(space.genes, row, strict=True)}))
    ]
    for name, space in SPACES.items()
}


def budgets_of(name: str) -> list[Budget]:
    """Bands and caps, one limit and several, that some genomes of the space keep."""
    conditions = Conditions(16, LATENCY)
    middle = sorted(ALL[name], key=lambda item: item.cost.flops)[len(ALL[name]) // 2]
    flops, params, macs = middle.cost.flops, middle.cost.params, middle.cost.macs
    memory = parse_budget(["1GB"], conditions).limits[0].of(middle.cost)
    micros = round(1e6 * LATENCY.of(middle.cost), 3)
    texts = [f"{flops}flops±5%", f"{flops}flops±0.5%", f"{macs}macs, {params}params±20%", f"{memory / 1e3}kB±3%"]
    texts += [f"{micros}us±1%", f"{flops}flops±10%, {micros}us", f"{flops // 2}flops"]
    return [parse_budget([text], conditions) for text in texts]


def key(item: Candidate) -> tuple[Any, ...]:
    return tuple(sorted(item.values.items()))


@pytest.mark.parametrize("name", SPACES)
def test_going_through_a_space_finds_all_that_keeps_the_budget(name: str) -> None:
    for budget in budgets_of(name):
        known = everything(solver_of(SPACES[name], budget.limits))
        assert known is not None
        settings, chances = known
        there = {key(item) for item in ALL[name] if budget.allows(item.cost)}
        assert {tuple(sorted(setting.items())) for setting in settings} == there, budget
        assert len(settings) == len(there) > 0
        assert chances.sum() == pytest.approx(1.0)


def test_depths_are_solved_where_costs_add_up_over_them() -> None:
    flops = parse_budget(["1GFLOPs"]).limits
    memory = parse_budget(["1GB"]).limits
    residual = solver_of(SPACES["residual"], flops)
    assert [gene.name for gene in residual.swept] == ["width"]
    assert {gene.name for gene in residual.summed} == {"depth.1", "depth.2", "depth.3"}
    assert solver_of(SPACES["residual"], memory).summed == ()  # a peak is no sum
    assert solver_of(SPACES["dense"], flops).summed == ()  # a dense block widens what follows
    assert "growth_rate" not in {gene.name for gene in solver_of(SPACES["dense"], flops).free}


@pytest.mark.parametrize(("name", "which"), [("residual", 0), ("residual", 2), ("dense", 0), ("dense", 6)])
def test_draws_are_uniform_over_the_feasible_settings_of_the_free_genes(name: str, which: int) -> None:
    space, budget = SPACES[name], budgets_of(name)[which]
    solver = solver_of(space, budget.limits)
    solutions = defaultdict(list)
    for item in ALL[name]:
        if budget.allows(item.cost):
            solutions[tuple(item.values[gene.name] for gene in solver.free)].append(item)
    drawn = list(islice(draws(space, budget, random.Random(7)), 4000))
    free = Counter(tuple(item.values[gene.name] for gene in solver.free) for item in drawn)
    assert set(free) <= set(solutions)
    shares = {setting: _chance(solver.free, setting) for setting in solutions}
    total = sum(shares.values())
    expected = [len(drawn) * share / total for share in shares.values()]
    assert chisquare([free[setting] for setting in shares], expected).pvalue > 1e-4
    setting = max(free, key=lambda setting: free[setting])
    inner = Counter(key(item) for item in drawn if tuple(item.values[g.name] for g in solver.free) == setting)
    chances = [_chance(solver.solved, [item.values[g.name] for g in solver.solved]) for item in solutions[setting]]
    expected = [free[setting] * chance / sum(chances) for chance in chances]
    if len(chances) > 1 and min(expected) >= 5:
        assert chisquare([inner[key(item)] for item in solutions[setting]], expected).pvalue > 1e-4


@pytest.mark.parametrize("name", SPACES)
def test_a_limit_of_memory_beside_others_drops_draws_and_leaves_the_odds_of_the_rest(name: str) -> None:
    space, flops = SPACES[name], budgets_of(name)[0]
    peak = parse_budget(["1GB"], Conditions(16, LATENCY)).limits[0]
    known = everything(solver_of(space, flops.limits))
    assert known is not None
    odds = {tuple(sorted(values.items())): chance for values, chance in zip(*known, strict=True)}
    costs = {key(item): peak.of(item.cost) for item in ALL[name] if flops.allows(item.cost)}
    cap = sorted(costs.values())[len(costs) // 2]
    budget = parse_budget([*flops.text, f"{cap / 1e3}kB"], Conditions(16, LATENCY))
    found = Counter(key(item) for item in islice(draws(space, budget, random.Random(3)), 4000))
    kept = [setting for setting, own in costs.items() if own <= cap]
    assert set(found) <= set(kept)
    assert 0 < len(kept) < len(costs)
    expected = np.array([odds[setting] for setting in kept])
    observed = [found[setting] for setting in kept]
    assert chisquare(observed, 4000 * expected / expected.sum()).pvalue > 1e-4


def _chance(genes: Any, values: Any) -> float:
    return float(np.prod([weights(gene)[gene.values.index(value)] for gene, value in zip(genes, values, strict=True)]))


@pytest.mark.parametrize("name", SPACES)
def test_a_sample_is_whole_where_there_are_fewer(name: str) -> None:
    for budget in budgets_of(name)[1::3]:
        there = {item.genome.id for item in ALL[name] if budget.allows(item.cost)}
        found = sampled(SPACES[name], budget, len(there) + 5, 3)
        assert {item.genome.id for item in found.candidates} == there
        assert found.whole
        few = sampled(SPACES[name], budget, max(1, len(there) // 2), 3)
        assert len({item.genome.id for item in few.candidates}) == max(1, len(there) // 2)
        assert not few.whole or len(there) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("resnext", "1GFLOPs±0.1%"),
        ("resnext", "2GFLOPs, 10Mparams±3%, 4GB"),
        ("densenet", "1GFLOPs±1%"),
        ("plain", "1GFLOPs±1%"),
        ("regnet", "1GFLOPs±2%"),
    ],
)
def test_every_draw_of_a_shipped_space_keeps_the_budget(name: str, text: str) -> None:
    budget = parse_budget([text])
    found = list(islice(draws(load_space(name), budget, random.Random(0)), 20))
    assert all(budget.allows(item.cost) for item in found)
    assert len({item.genome.id for item in found}) > 10


@pytest.mark.parametrize("name", SPACES)
def test_ends_are_those_of_all_genomes(name: str) -> None:
    for limit in [limit for budget in budgets_of(name) for limit in budget.limits]:
        figures = [limit.of(item.cost) for item in ALL[name]]
        assert reachable(SPACES[name], limit) == pytest.approx((min(figures), max(figures)), rel=1e-12)


def test_the_gene_that_binds_is_named() -> None:
    least = reachable(SPACES["residual"], "flops")[0]
    with pytest.raises(BudgetError) as caught:
        sampled(SPACES["residual"], parse_budget([f"{least - 1}flops"]), 1, 0)
    assert "binds: it is at least" in str(caught.value)
    greatest = reachable(SPACES["residual"], "params")[1]
    with pytest.raises(BudgetError) as caught:
        sampled(SPACES["residual"], parse_budget([f"{2 * greatest}params±1%"]), 1, 0)
    assert "width binds: it is at most 64, and moves params most there" in str(caught.value)


def test_a_gap_names_the_nearest_genomes() -> None:
    flops = sorted({item.cost.flops for item in ALL["dense"]})
    below, above = max(pairwise(flops), key=lambda pair: pair[1] - pair[0])
    with pytest.raises(BudgetError, match=r"the nearest that were found have .* and .*; widen the band"):
        sampled(SPACES["dense"], parse_budget([f"{(below + above) // 2}flops±0%"]), 1, 0)


def test_fitting_takes_the_nearest_solution() -> None:
    space, budget = SPACES["residual"], budgets_of("residual")[0]
    start = max(ALL["residual"], key=lambda item: item.cost.flops)
    fitted = fit(space, start.values, budget)
    assert fitted is not None
    assert budget.allows(fitted.cost)


def test_corners_that_cannot_be_built_do_not_shorten_the_range() -> None:
    space = space_in(
        "target: {input: [1, 32, 32], classes: 10}\nstem: {kind: cifar, width: {range: [8, 24], step: 8}}\n"
        "stages: {number: 2, block: basic, depth: 1, width: {range: [8, 32], step: 8, per: stage}, shortcut: A}\n"
    )
    figures = []
    for row in product(*(gene.values for gene in space.genes)):
        found = candidate(space, {gene.name: value for gene, value in zip(space.genes, row, strict=True)})
        if found is not None:
            figures.append(found.cost.flops)
    least, greatest = ends_of(space, parse_budget(["1flops"]).limits[0])
    assert (least.figure, greatest.figure) == (min(figures), max(figures))


def test_places_count_settings_in_order() -> None:
    genes = SPACES["residual"].genes
    rows = numbers_at(genes, np.arange(count(genes)))
    assert len(np.unique(rows, axis=0)) == count(genes) == SPACES["residual"].size
