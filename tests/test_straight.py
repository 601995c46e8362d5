"""Straight-line code against the functions it is written from, and one genome's cost by it."""

import math
import statistics
import time
from collections.abc import Callable, Hashable
from random import Random
from typing import Any

import pytest
from codes import ENDS, Code, Values, codes, rows
from hypothesis import assume, given, settings
from tables import random_rows

from archspace.blueprint import draw
from archspace.closed_form import cost, cost_of
from archspace.errors import GenomeError
from archspace.genome import Genome
from archspace.pieces import HEAD, STAGE, STEM
from archspace.space.file import load_space, shipped_spaces
from archspace.space.space import genome_of
from archspace.straight import LIMIT, MOST_STRUCTURES, TRUSTED, Written, left_to_function, written
from archspace.zoo.zoo import entries, entry

Function = Callable[..., tuple[Any, ...]]


def function_of(code: Code) -> Function:
    return lambda _, __, *numbers: (code(dict(zip(ENDS, numbers, strict=True))),)


def numbers_of(row: Values) -> list[float]:
    return [row[name] for name in ENDS]


def given_by(function: Function, row: Values) -> tuple[Any, ...]:
    """What a function gives of numbers; a case without a finite result is none."""
    try:
        found = function("", "", *numbers_of(row))
        assume(math.isfinite(found[0]))
    except (ZeroDivisionError, OverflowError, ValueError):
        assume(False)
    return found


@settings(max_examples=200, deadline=None)
@given(codes() | codes(whole=False), rows, rows)
def test_code_gives_what_its_function_gives_or_says_that_it_is_not_for_these_numbers(
    code: Code, row: Values, other: Values
) -> None:
    function = function_of(code)
    expected, also = given_by(function, row), given_by(function, other)
    straight = written(function, "", numbers_of(row))
    assert straight is not left_to_function
    assert straight("", *numbers_of(row)) == expected
    assert straight("", *numbers_of(other)) in (None, also)


class Counted:
    """A function that counts how often it is asked for numbers."""

    def __init__(self, function: Function) -> None:
        self.function, self.asked = function, 0

    def __call__(self, structure: Hashable, label: str, *numbers: Any) -> tuple[Any, ...]:
        self.asked += all(type(number) in (int, float) for number in numbers)
        return self.function(structure, label, *numbers)


def test_a_structure_met_often_is_not_asked_for_again() -> None:
    function = Counted(lambda word, label, x: (word, f"{label}.one", x * x if x > 10 else -x))
    quick = Written(function)
    for x in (*range(1, 9), *range(11, 90)):
        assert quick("a", f"n{x}", x) == ("a", f"n{x}.one", x * x if x > 10 else -x)
    before = function.asked
    for x in (*range(1, 9), *range(90, 200)):
        assert quick("a", f"n{x}", x) == ("a", f"n{x}.one", x * x if x > 10 else -x)
    assert function.asked == before
    assert quick("b", "", 3) == ("b", ".one", -3)
    assert function.asked == before + 1


@pytest.mark.parametrize("x", [LIMIT + 1, -7, 0, 2.5])
def test_numbers_of_another_kind_are_not_taken_for_those_that_were_met(x: float) -> None:
    quick = Written(lambda _, __, x: (x // 2 * 2, max(x, 1)))
    for number in range(1, 2 * TRUSTED):
        quick("", "", number)
    for _ in range(2 * TRUSTED):
        assert quick("", "", x) == (x // 2 * 2, max(x, 1))


def test_a_function_that_looks_at_types_is_asked_each_time() -> None:
    quick = Written(lambda _, __, x: (x % 3 if isinstance(x, int) else 1,))
    assert [quick("", "", x) for x in range(1, 99)] == [(x % 3,) for x in range(1, 99)]


def test_what_a_function_raises_is_raised() -> None:
    def picky(_: Hashable, __: str, x: int) -> tuple[Any, ...]:
        if x > 20:
            raise GenomeError(f"{x} is too large")
        return (3 * x,)

    quick = Written(picky)
    for x in (*range(1, 20), 21, *range(5, 20)):
        for _ in range(TRUSTED):
            if x <= 20:
                assert quick("", "", x) == (3 * x,)
            else:
                with pytest.raises(GenomeError, match="21 is too large"):
                    quick("", "", x)


def test_structures_may_be_many_or_have_no_hash() -> None:
    quick = Written(lambda structure, _, x: (str(structure), x))
    assert quick(["no hash"], "", 1) == ("['no hash']", 1)
    for number in range(2 * MOST_STRUCTURES):
        assert quick(number, "", 1) == (str(number), 1)
    assert len(quick.met) <= MOST_STRUCTURES


def genomes_of(name: str, count: int) -> list[tuple[Genome, tuple[int, int, int], int]]:
    """Genomes of a shipped space with its target, such as a network can be built of."""
    space = load_space(name)
    inner = list(space.families.values()) or [space]
    found = []
    for number, one in enumerate(inner):
        for row in random_rows(one, count // len(inner), number):
            try:
                genome = genome_of(one, row)
                cost(draw(genome, space.input, space.classes))
                found.append((genome, space.input, space.classes))
            except GenomeError:
                continue
    return found


@pytest.mark.parametrize("name", shipped_spaces())
def test_genomes_of_shipped_spaces_cost_what_their_blueprints_do(name: str) -> None:
    for genome in genomes_of(name, 200):
        assert cost_of(*genome) == cost(draw(*genome))


def test_networks_of_the_zoo_have_code_that_gives_what_their_blueprints_cost() -> None:
    for network in entries():
        target = network.input, network.classes
        expected = cost(draw(network.genome, *target))
        for _ in range(TRUSTED + 2):
            assert cost_of(network.genome, *target) == expected
    codes = [code for piece in (STEM, STAGE, HEAD) for ways in piece.met.values() for code in ways.codes]
    assert codes
    assert left_to_function not in codes


def times_of(*works: Callable[[], object], repeats: int = 300) -> list[float]:
    """Median seconds of each, one after another in each repeat; the first repeats warm up."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for own, work in zip(taken, works, strict=True):
            began = time.perf_counter()
            work()
            own.append(time.perf_counter() - began)
    return [statistics.median(own[2 * TRUSTED :]) for own in taken]


def test_depth_costs_no_time_and_code_less_than_a_blueprint() -> None:
    shallow, deep = entry("ResNet-20_B_c10"), entry("ResNet-1202_B_c10")
    short, long, drawn = times_of(
        lambda: cost_of(shallow.genome, shallow.input, shallow.classes),
        lambda: cost_of(deep.genome, deep.input, deep.classes),
        lambda: cost(draw(deep.genome, deep.input, deep.classes)),
    )
    assert long < 2 * short
    assert long < drawn


def test_new_genomes_of_known_kinds_take_no_longer_than_known_ones() -> None:
    genomes = genomes_of("resnext", 600)
    Random(0).shuffle(genomes)
    for genome in genomes[:300]:
        cost_of(*genome)
    fresh = iter(genomes[300:])
    new, known = times_of(lambda: cost_of(*next(fresh)), lambda: cost_of(*genomes[0]), repeats=len(genomes) - 300)
    assert new < 2 * known
