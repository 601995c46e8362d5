"""Draws within a budget: never outside it, never stalled, the same for the same seed."""

import random
from itertools import islice, pairwise, product
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archspace.closed_form import cost_of
from archspace.document import read_text
from archspace.errors import BudgetError
from archspace.space.budget import Budget, parse_budget
from archspace.space.file import load_space, read_space
from archspace.space.reach import reachable
from archspace.space.sampler import Candidate, candidate, draws, fit, sample
from archspace.space.space import Space, genome_of
from archspace.units import UNITS, si

SMALL = """\
target: {input: [1, 32, 32], classes: 10}
stem: {kind: cifar, width: 8}
stages:
  number: 2
  block: bottleneck
  depth: {range: [1, 3], per: stage}
  width: {range: [8, 64], step: 8, log: true, times: [1, 2]}
  cardinality: {choices: [1, 2, 4]}
  group_width: {choices: [2, 4]}
  shortcut: {choices: [B, C]}
"""
FALLING = """\
target: {input: [1, 32, 32], classes: 10}
stem: {kind: cifar, width: 8}
stages:
  number: 2
  block: bottleneck
  depth: 1
  width: {range: [16, 64], step: 16}
  stride: {choices: [1, 2], per: stage}
  cardinality: {choices: [1, 2, 4, 8]}
  bottleneck_ratio: 0.5
"""


def space_in(text: str) -> Space:
    return read_space(read_text(text, "small.yaml"))


def everything(space: Space) -> list[Candidate]:
    settings = product(*(gene.values for gene in space.genes))
    found = (candidate(space, {g.name: v for g, v in zip(space.genes, row, strict=True)}) for row in settings)
    return [item for item in found if item is not None]


SPACE = space_in(SMALL)
ALL = everything(SPACE)
FLOPS = sorted({item.cost.flops for item in ALL})


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(FLOPS), st.sampled_from([None, "1", "0.1", "10"]), st.integers(0, 10**6))
def test_every_draw_keeps_the_budget_by_its_exact_cost(flops: int, band: str | None, seed: int) -> None:
    # The budget is the cost of a genome of the space, so that it can be met.
    budget = parse_budget([f"{flops}flops" + (f"±{band}%" if band else "")])
    for found in islice(draws(SPACE, budget, random.Random(seed)), 5):
        assert found.genome == genome_of(SPACE, found.values)
        assert found.cost == cost_of(found.genome, SPACE.input, SPACE.classes)
        assert found.cost.flops <= flops * (1 + float(band or 0) / 100)
        assert not band or found.cost.flops >= flops * (1 - float(band) / 100)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(ALL), st.integers(0, 10**6))
def test_several_limits_hold_at_once(target: Candidate, seed: int) -> None:
    budget = parse_budget([f"{target.cost.params}params±5%", f"{target.cost.macs}macs", f"{target.cost.acts}acts"])
    for found in islice(draws(SPACE, budget, random.Random(seed)), 3):
        assert budget.allows(found.cost)


@pytest.mark.parametrize("name", ["resnet", "resnext"])
@pytest.mark.parametrize("text", ["4GFLOPs", "600MFLOPs", "25Mparams", "4GFLOPs±1%", "4GMACs,25Mparams"])
def test_shipped_spaces_meet_usual_budgets(name: str, text: str) -> None:
    budget = parse_budget([text])
    found = sample(load_space(name), budget, 5, 0)
    assert len({item.genome.id for item in found}) == 5
    assert all(budget.allows(item.cost) for item in found)


@pytest.mark.parametrize("name", ["resnet", "resnext"])
def test_a_cap_just_above_the_least_cost_does_not_stall(name: str) -> None:
    space = load_space(name)
    least, _ = reachable(space, "flops")
    found = list(islice(draws(space, parse_budget([f"{least * 101 // 100}flops"]), random.Random(0)), 3))
    assert all(least <= item.cost.flops <= least * 1.01 for item in found)
    assert sample(space, parse_budget([f"{least}flops"]), 1, 0)[0].cost.flops == least


@pytest.mark.parametrize("text", [SMALL, FALLING])
def test_the_reachable_range_is_that_of_all_genomes(text: str) -> None:
    space = space_in(text)
    for measure in ("params", "macs", "flops", "acts"):
        figures = [getattr(item.cost, measure) for item in everything(space)]
        assert reachable(space, measure) == (min(figures), max(figures))


@pytest.mark.parametrize("seed", range(3))
def test_cost_may_fall_with_a_gene(seed: int) -> None:
    space = space_in(FALLING)
    figures = [item.cost.flops for item in everything(space)]
    cheapest = islice(draws(space, parse_budget([f"{min(figures)}flops"]), random.Random(seed)), 3)
    assert [item.cost.flops for item in cheapest] == [min(figures)] * 3
    assert {item.values["stride.1"] for item in draws_of(space, f"{max(figures)}flops", 30)} == {1, 2}


def draws_of(space: Space, text: str, count: int) -> list[Candidate]:
    return list(islice(draws(space, parse_budget([text]), random.Random(0)), count))


def test_a_sample_is_distinct_and_the_same_for_the_same_seed() -> None:
    budget = parse_budget(["2MFLOPs"])
    ids = [item.genome.id for item in sample(SPACE, budget, 30, 3)]
    assert len(set(ids)) == 30
    assert ids == [item.genome.id for item in sample(SPACE, budget, 30, 3)]
    assert ids != [item.genome.id for item in sample(SPACE, budget, 30, 4)]


def test_a_sample_of_more_than_there_is_ends() -> None:
    budget = parse_budget([f"{FLOPS[2]}flops"])
    there = {item.genome.id for item in ALL if budget.allows(item.cost)}
    assert {item.genome.id for item in sample(SPACE, budget, 50, 0)} == there


def test_all_that_keeps_a_cap_can_be_drawn() -> None:
    budget = parse_budget([f"{FLOPS[40]}flops"])
    there = {item.genome.id for item in ALL if budget.allows(item.cost)}
    drawn = {item.genome.id for item in islice(draws(SPACE, budget, random.Random(0)), 20 * len(there))}
    assert len(drawn) >= 0.9 * len(there)
    assert drawn <= there


@pytest.mark.parametrize("text", ["9params", "3kFLOPs", "9TFLOPs±1%", "1kacts, 9TMACs"])
def test_a_budget_out_of_reach_names_what_is_within(text: str) -> None:
    budget = parse_budget([text])
    with pytest.raises(BudgetError) as caught:
        sample(SPACE, budget, 1, 0)
    ranges = []
    for measure in (limit.measure for limit in budget.limits):
        figures = [getattr(item.cost, measure) for item in ALL]
        ranges.append(" to ".join(si(end, UNITS[measure]) for end in (min(figures), max(figures))))
    assert str(caught.value).startswith(
        f"budget {text}: no genome of space small was found within it; the space reaches {' and '.join(ranges)} "
        "(at 1x32x32, 10 classes); "
    )
    assert "binds: it is at" in str(caught.value)


def test_a_band_that_one_genome_hits_is_hit() -> None:
    for target in random.Random(1).sample(ALL, 4):
        exact = ", ".join(f"{getattr(target.cost, measure)}{measure}±0%" for measure in ("flops", "params", "acts"))
        (found,) = draws_of(SPACE, exact, 1)
        assert found.cost == target.cost


def test_a_band_that_no_genome_hits_is_told() -> None:
    low, high = next((a, b) for a, b in pairwise(FLOPS) if b - a > 2000)
    with pytest.raises(BudgetError, match="was found within it"):
        sample(SPACE, parse_budget([f"{(low + high) // 2}flops±0%"]), 1, 0)


def test_a_space_keeps_its_own_limits() -> None:
    cap = FLOPS[len(FLOPS) // 3]
    space = space_in(f"{SMALL}limits: [{cap}flops]\n")
    assert all(item.cost.flops <= cap for item in islice(draws(space, Budget(), random.Random(0)), 50))
    assert all(item.cost.flops <= cap for item in draws_of(space, "1GMACs", 50))
    with pytest.raises(BudgetError, match="exclude each other"):
        draws_of(space, f"{2 * cap}flops±1%", 1)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ALL), st.sampled_from(FLOPS), st.sampled_from(["", "±1%", "±20%"]))
def test_fitting_keeps_the_budget_and_what_keeps_it_already(start: Candidate, flops: int, band: str) -> None:
    budget = parse_budget([f"{flops}flops{band}"])
    fitted = fit(SPACE, start.values, budget)
    if budget.allows(start.cost):
        assert fitted == start
    elif fitted is not None:
        assert budget.allows(fitted.cost)
        assert fitted.values["shortcut"] == start.values["shortcut"]
        assert fitted == candidate(SPACE, fitted.values)
    if not band:  # a cap can always be kept with the shortcut that costs less
        assert fitted is not None or start.values["shortcut"] == "C"


def test_fitting_moves_the_width_alone_where_that_is_enough() -> None:
    start = max(ALL, key=lambda item: item.cost.flops)
    fitted = fit(SPACE, start.values, parse_budget([f"{start.cost.flops - 1}flops"]))
    assert fitted is not None
    assert fitted.values == {**start.values, "width": 56}
    assert fit(SPACE, start.values, parse_budget([f"{FLOPS[0] - 1}flops"])) is None


def test_fitting_works_where_cost_falls_with_a_gene() -> None:
    space = space_in(FALLING)
    whole = everything(space)
    dearest = max(whole, key=lambda item: item.cost.flops)
    least = min(item.cost.flops for item in whole)
    fitted = fit(space, dearest.values, parse_budget([f"{least}flops"]))
    assert fitted is not None
    assert fitted.cost.flops == least


def test_a_log_scale_draws_small_values_more_often() -> None:
    space = load_space("resnext")
    far = f"{reachable(space, 'flops')[1]}flops"
    (gene,) = [gene for gene in space.genes if gene.name == "depth.3"]
    assert gene.log
    middle = (gene.values[0] * gene.values[-1]) ** 0.5
    assert mean(value <= middle for value in gene.values) < 0.25
    assert 0.45 <= mean(item.values[gene.name] <= middle for item in draws_of(space, far, 200)) <= 0.75
