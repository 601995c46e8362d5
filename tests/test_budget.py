"""Budgets as people type them."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspace.closed_form import Cost
from archspace.errors import BudgetError
from archspace.space.budget import Budget, Conditions, Latency, Limit, combined, parse_budget

COST = Cost(
    input=(3, 224, 224),
    classes=1000,
    layers=50,
    params=0,
    macs=0,
    flops=0,
    acts=0,
    training_flops=0,
    saved=0,
    stages=(),
)
LATENCY = Latency(0.001, 1e-12, 1e-10, "cpu", 1, 1, "fp32", "contiguous", "some machine")


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("4GFLOPs", [Limit("flops", 0, 4_000_000_000)]),
        ("600MFLOPs", [Limit("flops", 0, 600_000_000)]),
        ("4GMACs", [Limit("macs", 0, 4_000_000_000)]),
        ("25Mparams", [Limit("params", 0, 25_000_000)]),
        ("12kacts", [Limit("acts", 0, 12_000)]),
        ("1.5TFLOPs", [Limit("flops", 0, 1_500_000_000_000)]),
        ("77 flops", [Limit("flops", 0, 77)]),
        ("4gflops", [Limit("flops", 0, 4_000_000_000)]),
        ("4 GFLOP", [Limit("flops", 0, 4_000_000_000)]),
        (".5gmac", [Limit("macs", 0, 500_000_000)]),
        ("25MPARAMS", [Limit("params", 0, 25_000_000)]),
        ("4GFLOPs±2%", [Limit("flops", 3_920_000_000, 4_080_000_000)]),
        ("4GFLOPs+-2%", [Limit("flops", 3_920_000_000, 4_080_000_000)]),
        ("4 GFLOPs +/- 2 %", [Limit("flops", 3_920_000_000, 4_080_000_000)]),
        ("4GFLOPs ± 0.5%", [Limit("flops", 3_980_000_000, 4_020_000_000)]),
        ("101flops±1%", [Limit("flops", 100, 102)]),  # 99.99 to 102.01
        ("10flops±5%", [Limit("flops", 10, 10)]),  # 9.5 to 10.5
        ("0.3kflops±10%", [Limit("flops", 270, 330)]),
        ("7params±0%", [Limit("params", 7, 7)]),
        ("4GFLOPs, 25Mparams", [Limit("flops", 0, 4_000_000_000), Limit("params", 0, 25_000_000)]),
        ("4GFLOPs,4GMACs±1%,", [Limit("flops", 0, 4_000_000_000), Limit("macs", 3_960_000_000, 4_040_000_000)]),
        ("4GFLOPs,3GFLOPs", [Limit("flops", 0, 3_000_000_000)]),
        ("100flops±10%,95flops", [Limit("flops", 90, 95)]),
        ("8GiB", [Limit("training_memory", 0, 8 * 2**30, 32)]),
        ("500MB±10%", [Limit("training_memory", 450_000_000, 550_000_000, 32)]),
        ("5ms", [Limit("latency", 0, 0.005, 0, LATENCY)]),
        ("800us", [Limit("latency", 0, 0.0008, 0, LATENCY)]),
        ("800µs", [Limit("latency", 0, 0.0008, 0, LATENCY)]),
        ("0.5s", [Limit("latency", 0, 0.5, 0, LATENCY)]),
    ],
)
def test_what_is_typed_is_what_holds(text: str, limits: list[Limit]) -> None:
    assert list(parse_budget([text], Conditions(latency=LATENCY)).limits) == limits


def test_training_memory_holds_for_a_batch_and_latency_for_a_calibration() -> None:
    (memory,) = parse_budget(["1GB"], Conditions(batch=64)).limits
    assert memory.batch == 64
    with pytest.raises(BudgetError, match="a latency holds for a device"):
        parse_budget(["5ms"])
    (latency,) = parse_budget(["5ms"], Conditions(latency=lambda: LATENCY)).limits
    costed = dataclasses.replace(COST, macs=2_000_000_000, acts=10_000_000)
    assert latency.of(costed) == pytest.approx(0.001 + 2e9 * 1e-12 + 1e7 * 1e-10)
    assert latency.allows(costed)
    assert not latency.allows(dataclasses.replace(costed, macs=4_000_000_000))


def test_options_and_commas_mean_the_same() -> None:
    several = parse_budget(["4GFLOPs", "25Mparams"])
    assert several == parse_budget(["4GFLOPs, 25Mparams"])
    assert str(several) == "4GFLOPs, 25Mparams"
    assert several.limits[0].measure == "flops"


BYTES = "Bytes of training memory are GB or GiB, parameters Mparams"
EXAMPLES = "write 4GFLOPs, 600MFLOPs, 4GMACs, 25Mparams, 8GiB or 5ms, with ±2% or +-2% behind it for a band"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], f"budget: nothing given; {EXAMPLES}"),
        ([" , "], f"budget: nothing given; {EXAMPLES}"),
        (["4G"], f"budget '4G': of what? A unit is missing; {EXAMPLES}"),
        (["4000000000"], f"budget '4000000000': of what? A unit is missing; {EXAMPLES}"),
        (["25B"], f"budget '25B': is that bytes or billions? {BYTES}; {EXAMPLES}"),
        (["8gb"], f"budget '8gb': is that bits, bytes or billions? {BYTES}; {EXAMPLES}"),
        (["4GFLOPs/s"], f"budget '4GFLOPs/s': that is a speed; FLOPs count the work for one image; {EXAMPLES}"),
        (["5min"], f"budget '5min': a latency is in s, ms or us; {EXAMPLES}"),
        (["much"], f"budget 'much' cannot be read; {EXAMPLES}"),
        (["-4GFLOPs"], f"budget '-4GFLOPs' cannot be read; {EXAMPLES}"),
        (["4GFLOPs±2"], f"budget '4GFLOPs±2' cannot be read; {EXAMPLES}"),
        (["4GFLOPs 25Mparams"], f"budget '4GFLOPs 25Mparams' cannot be read; {EXAMPLES}"),
        (["nanFLOPs"], f"budget 'nanFLOPs' cannot be read; {EXAMPLES}"),
        (["4e9flops"], f"budget '4e9flops' cannot be read; {EXAMPLES}"),
        (["0GFLOPs"], "budget '0GFLOPs': must be above zero"),
        (["0.4params"], "budget '0.4params': must be above zero"),
        (["4GFLOPs±100%"], "budget '4GFLOPs±100%': a band of 100 % reaches zero; use a cap instead"),
        (["1.5params±10%"], "budget '1.5params±10%': no whole number lies in this band; widen it"),
        (["4GFLOPs±1%", "2GFLOPs"], "budget: 4GFLOPs±1% and 2GFLOPs exclude each other in flops"),
    ],
)
def test_what_cannot_be_meant_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(BudgetError) as caught:
        parse_budget(texts)
    assert str(caught.value) == message


@given(st.integers(1, 10**12), st.integers(0, 99), st.integers(-2, 2))
def test_both_ends_are_allowed_and_nothing_beyond(value: int, band: int, off: int) -> None:
    (limit,) = parse_budget([f"{value}flops±{band}%"]).limits
    for end in (limit.low, limit.high):
        flops = end + off
        inside = (100 - band) * value <= 100 * flops <= (100 + band) * value
        assert parse_budget([f"{value}flops±{band}%"]).allows(dataclasses.replace(COST, flops=flops)) == inside


def test_every_limit_must_hold() -> None:
    budget = parse_budget(["100flops, 10params±10%"])
    assert budget.allows(dataclasses.replace(COST, flops=100, params=9))
    assert not budget.allows(dataclasses.replace(COST, flops=101, params=9))
    assert not budget.allows(dataclasses.replace(COST, flops=1, params=8))
    assert not budget.allows(dataclasses.replace(COST, flops=1, params=12))
    assert Budget().allows(COST)


def test_a_space_adds_its_own_limits() -> None:
    both = combined(parse_budget(["4GFLOPs"]), parse_budget(["25Mparams", "3GFLOPs"]))
    assert both.limits == (Limit("flops", 0, 3_000_000_000), Limit("params", 0, 25_000_000))
    assert combined(parse_budget(["4GFLOPs"]), Budget()) == parse_budget(["4GFLOPs"])
    assert combined(Budget(), parse_budget(["4GFLOPs"])) == parse_budget(["4GFLOPs"])


def test_an_operation_is_refused_since_it_may_mean_two_things() -> None:
    with pytest.raises(BudgetError, match="an operation may be a multiply-add or half of one"):
        parse_budget(["4Gops"])


def test_the_first_limit_says_for_which_batch_memory_is_counted() -> None:
    asked = parse_budget(["1GiB"], Conditions(batch=256))
    both = combined(asked, parse_budget(["8GiB"], Conditions(batch=32)))
    (limit,) = both.limits
    assert (limit.batch, limit.high) == (256, 2**30)


def test_a_budget_of_far_too_many_digits_is_refused() -> None:
    with pytest.raises(BudgetError, match="more than any network takes"):
        parse_budget(["9" * 5000 + "FLOPs"])
