"""Numbers that are not known yet: cost functions are run on them once, to serve a whole table of genomes.

What is known of an unknown number are its bounds. Adding and multiplying whole numbers gives polynomials; other
operations are nodes of an expression. Where code branches on a value, the trace is asked which way to go.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Union

Operand = Union["Whole", "Real", int, float]
Bounds = tuple[float, float]
Key = tuple[Any, ...]
Operation = str | Callable[..., Any]


@dataclass(frozen=True)
class Node:
    """An unknown that is no polynomial: `operation` on `operands`, or the gene named by the one operand."""

    operation: Operation
    operands: tuple[Operand | str, ...]
    bounds: Bounds


@dataclass(frozen=True)
class Question:
    """What code asks of an unknown: is it `zero`, is it `negative`, or what is its `value`."""

    about: str
    operand: Whole | Real | str


@dataclass(eq=False)
class Trace:
    """One way through some code: its expressions, and the answers that led this way.

    `oracle` answers what bounds and earlier answers leave open.
    """

    oracle: Callable[[Question], Any]
    nodes: list[Node] = field(default_factory=list)
    numbers: dict[Key, int] = field(default_factory=dict)
    answers: dict[Key, Any] = field(default_factory=dict)

    def whole(self, operation: Operation, operands: Iterable[Operand | str], bounds: Bounds) -> Whole:
        """The whole number that an operation gives."""
        return Whole(self, {(self._number(operation, tuple(operands), bounds),): 1})

    def real(self, operation: Operation, operands: Iterable[Operand | str], bounds: Bounds) -> Real:
        """The real number that an operation gives."""
        return Real(self, self._number(operation, tuple(operands), bounds))

    def ask(self, about: str, operand: Whole | Real | str) -> Any:
        """The answer to a question, the same whenever it is asked again."""
        key = (about, key_of(operand))
        if key not in self.answers:
            self.answers[key] = self.oracle(Question(about, operand))
        return self.answers[key]

    def _number(self, operation: Operation, operands: tuple[Operand | str, ...], bounds: Bounds) -> int:
        key = (operation, *map(key_of, operands))
        if key not in self.numbers:
            self.numbers[key] = len(self.nodes)
            self.nodes.append(Node(operation, operands, bounds))
        return self.numbers[key]


def key_of(operand: Operand | str) -> Key:
    """What is equal for equal operands of one trace."""
    if isinstance(operand, Whole):
        return ("whole", frozenset(operand.terms.items()))
    return ("real", operand.number) if isinstance(operand, Real) else (type(operand), operand)


class Condition:
    """Whether `operand` is `zero`, or `negative`; or the opposite, where `holds` is false."""

    __slots__ = ("about", "holds", "operand")

    def __init__(self, about: str, operand: Operand, holds: bool) -> None:
        self.about, self.operand, self.holds = about, operand, holds

    def __bool__(self) -> bool:
        known = self._known()
        if known is None:
            assert isinstance(self.operand, (Whole, Real)), "what is known needs no question"
            known = self.operand.trace.ask(self.about, self.operand)
        return self.holds == known

    def __eq__(self, other: object) -> bool:
        return bool(self) == other

    def __hash__(self) -> int:
        return hash(bool(self))

    def __radd__(self, other: int) -> int:
        return other + bool(self)

    @property
    def possible(self) -> bool:
        """Whether it may hold, as far as bounds tell."""
        return self._known() is not (not self.holds)

    def _known(self) -> bool | None:
        low, high = bounds_of(self.operand)
        if self.about == "zero":
            return True if low == high == 0 else False if low > 0 or high < 0 else None
        return True if high < 0 else False if low >= 0 else None


class Unknown:
    """What whole and real unknowns share: comparisons, and arithmetic that leaves the polynomials."""

    __slots__ = ("trace",)
    trace: Trace

    def __eq__(self, other: object) -> Any:
        return Condition("zero", self - other, True) if isinstance(other, (Unknown, int, float)) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return Condition("zero", self - other, False) if isinstance(other, (Unknown, int, float)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal unknowns are not known to be equal

    def __lt__(self, other: Any) -> Any:
        return Condition("negative", self - other, True)

    def __gt__(self, other: Any) -> Any:
        return Condition("negative", other - self, True)

    def __le__(self, other: Any) -> Any:
        return Condition("negative", other - self, False)

    def __ge__(self, other: Any) -> Any:
        return Condition("negative", self - other, False)

    def __format__(self, _: str) -> str:
        return "(unknown)"  # in messages: where one is raised, no network can be built

    def __bool__(self) -> bool:
        return bool(Condition("zero", self, False))  # type: ignore[arg-type]  # one of the two subclasses

    def __abs__(self) -> Any:
        low, high = bounds_of(self)  # type: ignore[arg-type]  # one of the two subclasses
        kind = self.trace.whole if isinstance(self, Whole) else self.trace.real
        return self if low >= 0 else kind("absolute", (self,), (0, max(-low, high)))  # type: ignore[arg-type]

    def __add__(self, other: Any) -> Any:
        return self._real("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self._real("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return self._real("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._real("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return self._real("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._real("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._real("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._real("divide", other, self)

    def __neg__(self) -> Any:
        return self._real("subtract", 0.0, self)

    def _real(self, operation: str, a: Any, b: Any) -> Any:
        if not all(isinstance(x, (Unknown, int, float)) for x in (a, b)):
            return NotImplemented
        return self.trace.real(operation, (a, b), _interval(operation, bounds_of(a), bounds_of(b)))


class Real(Unknown):
    """A real number: the value of a node."""

    __slots__ = ("number",)

    def __init__(self, trace: Trace, number: int) -> None:
        self.trace, self.number = trace, number

    def __round__(self) -> Whole:
        low, high = bounds_of(self)
        return self.trace.whole("round", (self,), (low - 0.5, high + 0.5))

    def __floor__(self) -> Whole:
        low, high = bounds_of(self)
        return self.trace.whole("floor", (self,), (low - 1, high))


class Whole(Unknown):
    """A whole number: a polynomial, integer coefficients by the numbers of the nodes that are multiplied."""

    __slots__ = ("_bounds", "terms")

    def __init__(self, trace: Trace, terms: dict[tuple[int, ...], int]) -> None:
        self.trace, self.terms = trace, terms
        self._bounds: Bounds | None = None

    def __add__(self, other: Any) -> Any:
        terms = _terms(other)
        if terms is None:
            return super().__add__(other)
        total = dict(self.terms)
        for product, factor in terms.items():
            total[product] = total.get(product, 0) + factor
        return _whole(self.trace, total)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return super().__sub__(other) if _terms(other) is None else self + other * -1

    def __rsub__(self, other: Any) -> Any:
        return super().__rsub__(other) if _terms(other) is None else self * -1 + other

    def __mul__(self, other: Any) -> Any:
        terms = _terms(other)
        if terms is None:
            return super().__mul__(other)
        total: dict[tuple[int, ...], int] = {}
        for a, x in self.terms.items():
            for b, y in terms.items():
                product = tuple(sorted(a + b))
                total[product] = total.get(product, 0) + x * y
        return _whole(self.trace, total)

    def __rmul__(self, other: Any) -> Any:
        return super().__rmul__(other) if _terms(other) is None else self * other

    def __neg__(self) -> Any:
        return self * -1

    def __floordiv__(self, other: Any) -> Any:
        quotient = _quotient(self, other)
        if quotient is not None:
            return quotient
        return self.trace.whole("floor_divide", (self, other), _interval("divide", bounds_of(self), bounds_of(other)))

    def __rfloordiv__(self, other: int) -> Whole:
        bounds = _interval("divide", bounds_of(other), bounds_of(self))
        return self.trace.whole("floor_divide", (other, self), bounds)

    def __mod__(self, other: Any) -> Any:
        if _terms(other) is None:
            return NotImplemented
        if _quotient(self, other) is not None:
            return 0
        return self._remainder(self, other)

    def __rmod__(self, other: Any) -> Any:
        return NotImplemented if _terms(other) is None else self._remainder(other, self)

    def _remainder(self, a: Whole | int, b: Whole | int) -> Whole:
        low, high = bounds_of(b)
        return self.trace.whole("remainder", (a, b), (min(0, low), max(0, high)))  # of the divisor's sign

    def __index__(self) -> int:
        return int(self.trace.ask("value", self))

    def __round__(self) -> Whole:
        return self

    def __floor__(self) -> Whole:
        return self


def possibly(condition: bool | Condition) -> bool:
    """Whether a condition may hold; a known one as it is."""
    return condition.possible if isinstance(condition, Condition) else condition


def larger(a: Any, b: Any) -> Any:
    """The larger of two numbers, known or not."""
    if type(a) is int and type(b) is int:
        return a if a >= b else b  # most of the time, in a hurry
    if not isinstance(a, Unknown) and not isinstance(b, Unknown):
        return max(a, b)
    several: list[Any] = []
    for number in (*alternatives(a), *alternatives(b)):
        if not any(bounds_of(other - number)[0] >= 0 for other in several):
            several = [other for other in several if not bounds_of(number - other)[0] >= 0] + [number]
    if len(several) == 1:
        return several[0]
    ends = [bounds_of(number) for number in several]
    trace = (a if isinstance(a, Unknown) else b).trace
    kind = trace.whole if all(isinstance(number, (Whole, int)) for number in several) else trace.real
    return kind("maximum", several, (max(low for low, _ in ends), max(high for _, high in ends)))


def alternatives(number: Any) -> list[Any]:
    """The numbers of which this one is the largest: several where a maximum is added to others."""
    terms = number.terms.items() if isinstance(number, Whole) else ()
    for product, factor in terms:
        node = number.trace.nodes[product[0]] if len(product) == factor == 1 else None
        if node is not None and node.operation == "maximum":
            rest = number - Whole(number.trace, {product: 1})
            return [rest + operand for operand in node.operands]
    return [number]


def called(function: Callable[..., Any], operands: Sequence[Any]) -> Any:
    """What a function of arrays gives, one row for each result, of numbers that are known or not."""
    unknown = next((operand for operand in operands if isinstance(operand, Unknown)), None)
    if unknown is None:
        return function(*operands)
    return unknown.trace.real(function, operands, (-math.inf, math.inf))


def picked(table: Any, row: int, bounds: Bounds) -> Any:
    """The whole number in a row of what `called` gave."""
    return table.trace.whole("pick", (table, row), bounds) if isinstance(table, Real) else int(table[row].item())


def bounds_of(number: Operand) -> Bounds:
    """The least and the greatest value that a number may have."""
    if isinstance(number, Real):
        return number.trace.nodes[number.number].bounds
    if not isinstance(number, Whole):
        return number, number
    if number._bounds is None:
        ends = [_product(number.trace, product, factor) for product, factor in number.terms.items()]
        number._bounds = sum(low for low, _ in ends), sum(high for _, high in ends)
    return number._bounds


def _product(trace: Trace, product: tuple[int, ...], factor: int) -> Bounds:
    bounds: Bounds = (factor, factor)
    for number in product:
        bounds = _interval("multiply", bounds, trace.nodes[number].bounds)
    return bounds


def _interval(operation: str, a: Bounds, b: Bounds) -> Bounds:
    """Bounds of the result of an operation on two bounded numbers; a quotient's ends are rounded outwards."""
    if operation == "add":
        return a[0] + b[0], a[1] + b[1]
    if operation == "subtract":
        return a[0] - b[1], a[1] - b[0]
    if operation == "divide" and b[0] <= 0 <= b[1]:
        return -math.inf, math.inf
    ends = [x * y if operation == "multiply" else x / y for x in a for y in b]
    if operation == "multiply":
        return min(ends), max(ends)
    return min(ends) - 1, max(ends) + 1


def _terms(number: Any) -> Mapping[tuple[int, ...], int] | None:
    """The polynomial that a whole number is; None for anything else."""
    if isinstance(number, Whole):
        return number.terms
    return {(): int(number)} if isinstance(number, int) else None


def _whole(trace: Trace, terms: dict[tuple[int, ...], int]) -> Whole | int:
    left = {product: factor for product, factor in terms.items() if factor}
    return left.get((), 0) if not any(left) else Whole(trace, left)


def _quotient(a: Whole, b: Any) -> Whole | int | None:
    """The polynomial a / b where b is one product that divides every term of a; else None."""
    terms = _terms(b)
    if terms is None or len(terms) != 1:
        return None
    ((divisor, factor),) = terms.items()
    total: dict[tuple[int, ...], int] = {}
    for product, own in a.terms.items():
        left = list(product)
        for number in divisor:
            if number not in left:
                return None
            left.remove(number)
        if factor == 0 or own % factor:
            return None
        total[tuple(left)] = own // factor
    return _whole(a.trace, total)
