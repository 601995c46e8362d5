"""Random code that does arithmetic with genes, and genes to run it on: known ones, and unknown ones."""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from archspace.program import compiled
from archspace.unknown import Question, Trace, larger

Values = dict[str, float]
ENDS: dict[str, tuple[int, int]] = {"a": (1, 9), "b": (-5, 700), "c": (3, 4_000_000), "p": (0, 1), "q": (-2, 3)}
"""The least and the greatest value of each gene; all are whole but for `p` and `q`."""
REALS = ("p", "q")
COMPARISONS = (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne)


def refused(question: Question) -> Any:
    raise AssertionError(f"asked {question}")


def genes(trace: Trace) -> dict[str, Any]:
    return {
        name: trace.real("gene", (name, "real"), ends) if name in REALS else trace.whole("gene", (name, "whole"), ends)
        for name, ends in ENDS.items()
    }


def named(trace: Trace, *names: str) -> list[Any]:
    found = genes(trace)
    return [found[name] for name in names]


def columns_of(*rows: Values) -> dict[Any, np.ndarray[Any, Any]]:
    return {name: np.array([row[name] for row in rows]) for name in ENDS}


def answered_by(row: Values) -> Trace:
    """A trace whose questions are answered as in this row."""

    def oracle(question: Question) -> Any:
        assert not isinstance(question.operand, str)
        value = run(trace, question.operand, row)[0]
        return int(value) if question.about == "value" else value == 0 if question.about == "zero" else value < 0

    trace = Trace(oracle)
    return trace


def run(trace: Trace, number: Any, *rows: Values) -> list[float]:
    out = np.full((1, len(rows)), np.nan)
    compiled(trace, [number]).run(columns_of(*rows), slice(0, len(rows)), out)
    found: list[float] = out[0].tolist()
    return found


WHOLES, NUMBERS = ("a", "b", "c"), tuple(ENDS)
Code = Callable[[dict[str, Any]], Any]
"""Code that does something with genes, which may be unknown."""


@st.composite
def codes(draw: st.DrawFn, whole: bool = True, depth: int = 4, parting: bool = True) -> Code:
    """Code that gives a whole number, or one of any kind; without `parting`, it never asks."""
    if depth == 0 or draw(st.booleans()):
        if draw(st.integers(0, 3)) == 0:
            number = draw(st.integers(-9, 9) if whole else st.floats(-3, 3, allow_nan=False))
            return lambda _: number
        name = draw(st.sampled_from(WHOLES if whole else NUMBERS))
        return lambda genes: genes[name]
    a, b = (draw(codes(whole or draw(st.booleans()), depth - 1, parting)) for _ in range(2))
    either = [operator.add, operator.sub, operator.mul, larger, lambda x, _: abs(x), lambda x, _: -x]
    if whole:
        inexact = draw(codes(False, depth - 1, parting))
        either += [operator.floordiv, operator.mod]
        to_whole: Callable[[Any], int] = round if draw(st.booleans()) else math.floor
        if draw(st.integers(0, 4)) == 0:
            return lambda genes: to_whole(inexact(genes))
    else:
        either.append(operator.truediv)
    if parting and draw(st.integers(0, 3)) == 0:
        compare = draw(st.sampled_from(COMPARISONS))
        return lambda genes: a(genes) if compare(a(genes), b(genes)) else b(genes)
    work = draw(st.sampled_from(either))
    return lambda genes: work(a(genes), b(genes))


rows = st.fixed_dictionaries(
    {name: st.floats(*ends) if name in REALS else st.integers(*ends) for name, ends in ENDS.items()}
)
