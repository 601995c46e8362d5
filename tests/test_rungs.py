"""The rule at a rung."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspace.searching.rungs import Standing, goes_on

standings = st.builds(
    Standing,
    number=st.integers(0, 0),
    error=st.sampled_from([0.1, 0.2, 0.3, 0.4]),
    cross_entropy=st.sampled_from([0.5, 1.0]),
    cost=st.integers(1, 5),
)
fields = st.lists(standings, min_size=1, max_size=12).map(
    lambda drawn: [Standing(number, s.error, s.cross_entropy, s.cost) for number, s in enumerate(drawn)]
)


def test_the_first_goes_on() -> None:
    assert goes_on(Standing(0, 0.9, 2.3, 100), [])
    assert goes_on(Standing(0, 0.9, 2.3, 100), [Standing(0, 0.9, 2.3, 100)])


def test_who_is_dominated_stops_beyond_the_better_half() -> None:
    better = [Standing(number, 0.1, 1.0, 10) for number in range(3)]
    assert not goes_on(Standing(9, 0.2, 1.0, 10), better)
    assert not goes_on(Standing(9, 0.1, 1.1, 10), better)
    assert not goes_on(Standing(9, 0.1, 1.0, 11), better)
    assert goes_on(Standing(9, 0.1, 1.0, 10), better)


def test_who_is_dominated_by_few_may_go_on() -> None:
    worse = [Standing(number, 0.5, 1.0, 10) for number in range(3)]
    assert goes_on(Standing(9, 0.2, 1.0, 10), [Standing(5, 0.1, 1.0, 10), *worse])


def test_a_cheap_network_is_not_stopped_for_being_less_accurate() -> None:
    dear = [Standing(number, 0.1, 1.0, 10) for number in range(9)]
    assert goes_on(Standing(9, 0.9, 2.3, 9), dear)


def test_ties_in_error_go_by_cross_entropy() -> None:
    one, other = Standing(0, 0.1, 1.0, 10), Standing(1, 0.1, 0.9, 10)
    assert other.dominates(one)
    assert not one.dominates(other)
    assert not one.dominates(one)


@given(fields)
def test_the_front_and_the_better_half_go_on(field: list[Standing]) -> None:
    passed = [this for this in field if goes_on(this, field)]
    front = [this for this in field if not any(other.dominates(this) for other in field)]
    assert set(front) <= set(passed)
    assert len(passed) >= math.ceil(len(field) / 2)
    assert goes_on(min(field, key=lambda s: (s.error, s.cross_entropy, s.cost)), field)


@given(fields, st.randoms(use_true_random=False))
def test_order_does_not_matter(field: list[Standing], rng: random.Random) -> None:
    shuffled = list(field)
    rng.shuffle(shuffled)
    assert [goes_on(this, field) for this in field] == [goes_on(this, shuffled) for this in field]


@given(fields)
def test_who_dominates_a_trial_that_goes_on_goes_on_too(field: list[Standing]) -> None:
    for this in field:
        if goes_on(this, field):
            assert all(goes_on(other, field) for other in field if other.dominates(this))


@pytest.mark.parametrize("reduction", [1, 2, 4])
def test_one_in_so_many_goes_on(reduction: int) -> None:
    field = [Standing(number, number / 10, 1.0, 1 + number) for number in range(8)]
    assert sum(goes_on(this, field, reduction) for this in field) == 8 / reduction
