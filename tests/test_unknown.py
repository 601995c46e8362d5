"""Unknown numbers against Python's own: arithmetic, comparisons, bounds, and the programs they lead to."""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from codes import COMPARISONS, Code, Values, answered_by, codes, columns_of, genes, named, refused, rows, run
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from archspace.program import EXACT, compiled
from archspace.unknown import Condition, Question, Real, Trace, Whole, bounds_of, called, larger, picked, possibly


def known(code: Code, row: Values) -> Any:
    """What code gives of numbers; a case without a finite result is none."""
    try:
        value = code(dict(row))
        assume(math.isfinite(value))
        float(value)
    except (ZeroDivisionError, OverflowError, ValueError):
        reject()
    return value


@settings(max_examples=150, deadline=None)
@given(codes() | codes(whole=False), rows)
def test_code_gives_of_unknowns_what_it_gives_of_numbers(code: Code, row: Values) -> None:
    value = known(code, row)
    trace = answered_by(row)
    found = code(genes(trace))
    assert run(trace, found, row) == [float(value)]
    if compiled(trace, [found]).sure:
        low, high = bounds_of(found)
        assert low <= value <= high


@settings(max_examples=80, deadline=None)
@given(codes(parting=False) | codes(whole=False, parting=False), st.lists(rows, min_size=2, max_size=5))
def test_a_program_serves_many_rows(code: Code, table: list[Values]) -> None:
    values = [float(known(code, row)) for row in table]
    trace = Trace(refused)
    program, columns = compiled(trace, [code(genes(trace)), 7]), columns_of(*table)
    out = np.full((2, len(table)), np.nan)
    program.run(columns, np.arange(1, len(table)), out)
    assert math.isnan(out[0, 0])
    program.run(columns, slice(0, 1), out)
    assert out.tolist() == [values, [7] * len(table)]


@settings(max_examples=80, deadline=None)
@given(codes(), codes(whole=False), rows, st.sampled_from(COMPARISONS), st.booleans())
def test_comparisons_hold_where_pythons_do(
    code: Code, other: Code, row: Values, compare: Callable[[Any, Any], Any], turned: bool
) -> None:
    pair = (other, code) if turned else (code, other)
    expected = compare(*(known(code, row) for code in pair))
    trace = answered_by(row)
    assert bool(compare(*(code(genes(trace)) for code in pair))) == expected


def test_bounds_answer_where_they_can() -> None:
    a, p = named(Trace(refused), "a", "p")
    assert a >= 1
    assert not a > 9
    assert a * a + 2 > 0
    assert a - a == 0
    assert a != 10
    assert p <= 1.0
    assert not p - 2 > a
    assert a


def test_possibly_never_asks() -> None:
    a = genes(Trace(refused))["a"]
    assert possibly(a > 8)
    assert possibly(a == 9)
    assert not possibly(a > 9)
    assert not possibly(a != a)
    assert possibly(True)
    assert not possibly(False)


def test_a_question_is_asked_once() -> None:
    asked: list[Question] = []

    def oracle(question: Question) -> Any:
        asked.append(question)
        return True

    a, b = named(Trace(oracle), "a", "b")
    assert a < b
    assert a < b
    assert a - b < 0
    assert not a >= b
    assert [question.about for question in asked] == ["negative"]
    assert a + b == 0
    assert b + a == 0
    assert [question.about for question in asked] == ["negative", "zero"]


def test_quotients_without_a_rest_stay_polynomials() -> None:
    trace = Trace(refused)
    a, b, c = named(trace, "a", "b", "c")
    assert (6 * a * b * c + 4 * a * a * b) // (2 * a * b) == 3 * c + 2 * a
    assert (a * c) // c == a
    assert (a * b) % a == 0
    assert (8 * a) // 4 - 2 * a == 0
    assert isinstance((8 * a) // 4, Whole)
    before = len(trace.nodes)
    assert isinstance((a + 1) // a, Whole)
    assert isinstance((7 * a) // 2, Whole)
    assert len(trace.nodes) == before + 2


def test_the_rest_has_the_sign_of_the_divisor() -> None:
    row = {"a": 7, "b": -4, "c": 10, "p": 0.0, "q": 0.0}
    trace = answered_by(row)
    a, b, c = named(trace, "a", "b", "c")
    assert run(trace, c % b, row) == [10 % -4]
    assert run(trace, -c % a, row) == [-10 % 7]
    assert run(trace, 23 % a, row) == [2]
    assert run(trace, 100 // b, row) == [-25]
    assert bounds_of(c % b) == (-5, 700)
    assert bounds_of(23 % a)[0] == 0


def test_the_larger_of_two() -> None:
    trace = Trace(refused)
    a, b, c, p = named(trace, "a", "b", "c", "p")
    assert larger(3, 2.5) == 3
    assert larger(a, c + 9) == c + 9
    assert larger(a, -2) == a
    one = larger(larger(a, b), 2 * a)
    assert bounds_of(one) == (2, 700)
    table = [{"a": x, "b": y, "c": 3, "p": 0.25, "q": 0.0} for x, y in ((1, -5), (4, 3), (4, 600))]
    assert run(trace, one, *table) == [2, 8, 600]
    assert run(trace, 10 * a + one, *table) == [12, 48, 640]
    assert run(trace, larger(c + one, 100 * a) + larger(a, b), *table) == [101, 404, 1203]
    half = larger(p * 2, a - 5)
    assert isinstance(half, Real)
    assert run(trace, half, *table) == [0.5, 0.5, 0.5]
    assert run(trace, round(half), *table) == [0, 0, 0]


def test_functions_of_arrays() -> None:
    def powers(x: Any, y: Any) -> Any:
        x = np.atleast_1d(x)
        return np.stack([x**number * y for number in range(int(np.max(x)))])

    assert picked(called(powers, (3, 2)), 2, (1, 99)) == 18
    trace = Trace(refused)
    a = genes(trace)["a"]
    table = [{"a": x, "b": 0, "c": 3, "p": 0.0, "q": 0.0} for x in (2, 3)]
    found = called(powers, (a, 2))
    assert run(trace, picked(found, 1, (1, 99)) + a, *table) == [6, 9]
    assert run(trace, picked(found, 2, (1, 99)), *table) == [8, 18]
    assert run(trace, picked(found, 7, (1, 99)), *table) == [1, 1]  # a result that none of the rows has
    assert bounds_of(picked(found, 1, (1, 99))) == (1, 99)


def test_conditions_are_truth_values_wherever_they_go() -> None:
    row = {"a": 4, "b": 3, "c": 10, "p": 0.5, "q": 0.0}
    a, b, c, p = named(answered_by(row), "a", "b", "c", "p")
    assert sum((a > b, b > a, p > 0, c == 10)) == 3
    assert (a > b) == True  # noqa: E712  # as code may compare two conditions
    assert (a > b) != (b > a)
    assert bool((1,)) == (p > 0)
    assert {True: "wide", False: "narrow"}[a > b] == "wide"
    assert isinstance(a > b, Condition)


@pytest.mark.parametrize("size", [1, 2**20, 2**40, 2**60])
def test_whole_numbers_beyond_what_a_float_holds_are_exact(size: int) -> None:
    trace = Trace(refused)
    a, b, c, p = named(trace, "a", "b", "c", "p")

    def work(a: Any, b: Any, c: Any, p: Any) -> list[Any]:
        far = size * c * c + 1
        return [
            far * a - size * a,
            far - size * c * c,
            (far * a + b) // (2 * c + 1),
            (far + b) % (a + 10),
            larger(far, size * b * c),
            a + larger(far - b, size * b * c),
            round(far * p * 3),
            far * p,
            far / c,
            2.5,
            2**70 + 1,
        ]

    table = [{"a": x, "b": x - 9, "c": c, "p": 0.3, "q": 0.0} for x, c in ((1, 3), (7, 3_999_999), (9, 5))]
    program, out = compiled(trace, work(a, b, c, p)), np.empty((11, 3))
    program.run(columns_of(*table), slice(0, 3), out)
    for number, row in enumerate(table):
        assert out[:, number].tolist() == [float(x) for x in work(*(row[name] for name in "abcp"))]
    assert program.sure == (size == 1)
    assert compiled(trace, [a * c + 1]).sure
    assert not compiled(trace, [a * c * EXACT]).sure


def test_an_unknown_in_place_of_an_index_is_asked_for_its_value() -> None:
    row = {"a": 3, "b": 0, "c": 3, "p": 0.5, "q": 0.0}
    a, p = named(answered_by(row), "a", "p")
    assert "abcdef"[a] == "d"
    assert list(range(a)) == [0, 1, 2]
    assert [1] * a == [1, 1, 1]
    assert operator.index(2 * a) == 6
    assert math.sqrt(a + 1) == 2
    assert a in (1, 3)
    assert not p in (1.0, 0.25)  # noqa: E713  # what an unknown gives is what counts


def test_messages_may_show_unknowns() -> None:
    a, p = named(Trace(refused), "a", "p")
    assert f"{a} channels, {a * p:g} kept, {p:.2f}" == "(unknown) channels, (unknown) kept, (unknown)"


def test_what_an_unknown_cannot_do_fails() -> None:
    a, p = named(Trace(refused), "a", "p")
    for code in (
        lambda: int(p),
        lambda: math.sqrt(p),
        lambda: {3: 1}[a],
        lambda: a % 2.5,
        lambda: a + "1",
        lambda: a**2,
    ):
        with pytest.raises(TypeError):
            code()
