"""Straight-line Python code for a function of numbers, found by running the function once on unknowns.

What the function does with the numbers is written down as it is traced. Where it branches, the numbers at hand say
which way; for numbers that would go another way the code returns None, and more code is written.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_
from typing import Any

from archspace.errors import GenomeError
from archspace.unknown import Operand, Question, Real, Trace, Whole

Function = Callable[..., tuple[Any, ...]]
"""Takes a structure, a label and numbers; gives constants, numbers, and texts that begin with the label, in tuples. May
raise GenomeError."""
Code = Callable[..., tuple[Any, ...] | None]
"""Takes label and numbers; gives what the function does, nothing where that raises, None where it branches anew."""
Product = tuple[int, ...]

LABEL = "\0"
"""The label in a trace, at the beginning of texts."""
OFTEN, TRUSTED = 3, 12
"""Calls with one structure before it has code, which takes as long to write as ten calls; and before code is no longer
compared with the function: one that looks at a number's type goes another way with unknowns, and does not fail."""
MOST_WAYS, MOST_STRUCTURES = 16, 2**12
"""Ways through a function for which a structure has code, and structures that are remembered."""
LIMIT = 2**64
"""Numbers above it are left to the function."""
SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "floor_divide": "//", "remainder": "%"}
NAMES = {"maximum": "max", "absolute": "abs", "round": "round", "floor": "floor"}
CALLS: Mapping[str, Callable[..., Any]] = {"max": max, "abs": abs, "round": round, "floor": math.floor}


def left_to_function(*_: object) -> tuple[Any, ...]:
    """Code of a structure that has none."""
    return ()


@dataclass(slots=True)
class Ways:
    """Code for the ways through a function that numbers took so far, of one structure and its last few calls."""

    codes: list[Code] = field(default_factory=list)
    calls: int = 0


class Written:
    """A function of a structure, which is hashed, and of numbers, as code for the structures that are met often."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.met: dict[Hashable, Ways] = {}

    def __call__(self, structure: Hashable, label: str, *numbers: float) -> tuple[Any, ...]:
        """What the function gives."""
        key = (structure, *map(type, numbers))
        try:
            ways = self.met.get(key)
        except TypeError:  # it cannot be hashed
            return self.function(structure, label, *numbers)
        if ways is None:
            if len(self.met) >= MOST_STRUCTURES:
                self.met.clear()
            ways = self.met[key] = Ways()
        if ways.calls >= TRUSTED:
            for code in ways.codes:
                found = code(label, *numbers)
                if found:
                    return found
                if found is not None:
                    return self.function(structure, label, *numbers)
            ways.calls = OFTEN
        self._learn(ways, structure, label, numbers)
        return self.function(structure, label, *numbers)

    def _learn(self, ways: Ways, structure: Hashable, label: str, numbers: Sequence[float]) -> None:
        """Compare what code gives of these numbers, or write some."""
        ways.calls += 1
        found = next((found for code in ways.codes if (found := code(label, *numbers)) is not None), None)
        if found is not None:
            if found != _given(self.function, structure, label, numbers):
                ways.codes[:] = [left_to_function]
        elif ways.calls >= OFTEN and len(ways.codes) < MOST_WAYS and all(map(_is_usual, numbers)):
            ways.codes.append(written(self.function, structure, numbers))


def written(function: Function, structure: Hashable, numbers: Sequence[float]) -> Code:
    """Code for the way that these numbers take through a function, if unknowns can take it."""
    writer = Writer()
    unknowns = [writer.number(number) for number in numbers]
    try:
        code = writer.code(_given(function, structure, LABEL, unknowns))
        right = code("", *numbers) == _given(function, structure, "", numbers)
    except Exception:  # a block's code may raise anything on what is no number; on numbers it will show its own
        right = False
    return code if right else left_to_function


def _is_usual(number: float) -> bool:
    return type(number) in (int, float) and abs(number) < LIMIT


def _given(function: Function, structure: Hashable, label: str, numbers: Sequence[Any]) -> tuple[Any, ...]:
    """What a function gives; nothing where it raises."""
    try:
        return function(structure, label, *numbers)
    except GenomeError:
        return ()


class Writer:
    """Writes down what a trace finds, line by line, and runs each line on the numbers at hand."""

    def __init__(self) -> None:
        self.trace = Trace(self._answer)
        self.conditions: dict[str, str] = {}
        self.lines: list[str] = []
        self.values: dict[str, Any] = dict(CALLS)
        self.names: dict[Any, str] = {}
        self.sums: dict[str, Mapping[Product, int]] = {}
        self.kinds: dict[str, type] = {}

    def number(self, value: float) -> Whole | Real:
        """An argument of the code; what has not the sign of `value` goes another way."""
        name, real = f"g{len(self.conditions)}", isinstance(value, float)
        low, high = (-LIMIT, 0) if value < 0 else (0 if real or value == 0 else 1, LIMIT)
        self.conditions[name] = f"{low} <= {name} <= 0" if value < 0 else f"{name} >= {low}"
        self.values[name] = value
        return (self.trace.real if real else self.trace.whole)("gene", (name,), (low, high))

    def code(self, result: tuple[Any, ...]) -> Code:
        """The code that gives `result`."""
        self.lines.append(f"return {self._result(result)}")
        limit = " + ".join(name for name in self.conditions if self.values[name] >= 0) + f" <= {LIMIT}"
        usual = " and ".join([*self.conditions.values(), limit])
        head = f"def straight(label, {', '.join(self.conditions)}):", f"if not ({usual}): return None"
        space: dict[str, Any] = {"new": tuple.__new__, **CALLS, **self.kinds}
        exec("\n ".join([*head, *self.lines]), space)
        code: Code = space["straight"]
        return code

    def _result(self, value: Any) -> str:
        if isinstance(value, tuple):
            inner = f"({''.join(f'{self._result(item)}, ' for item in value)})"
            if type(value) is tuple:
                return inner
            self.kinds[type(value).__name__] = type(value)
            return f"new({type(value).__name__}, {inner})"
        if isinstance(value, str) and value.startswith(LABEL):
            return f"label + {value.removeprefix(LABEL)!r}" if value != LABEL else "label"
        return self._operand(value) if isinstance(value, (Whole, Real)) else repr(value)

    def _answer(self, question: Question) -> Any:
        assert not isinstance(question.operand, str)
        name = self._operand(question.operand)
        value = self.values[name]
        if question.about == "value":
            test, answer = f"{name} != {value}", value
        elif question.about == "zero":
            test, answer = f"{name} {'!=' if value == 0 else '=='} 0", value == 0
        else:
            test, answer = f"{name} {'>=' if value < 0 else '<'} 0", value < 0
        self.lines.append(f"if {test}: return None")
        return answer

    def _operand(self, operand: Operand | str) -> str:
        """The name or constant of an operand."""
        if isinstance(operand, Real):
            return self._node(operand.number)
        return self._sum(operand.terms) if isinstance(operand, Whole) else repr(operand)

    def _node(self, number: int) -> str:
        node = self.trace.nodes[number]
        if node.operation == "gene":
            return str(node.operands[0])
        operands = [self._operand(operand) for operand in node.operands]
        operation = str(node.operation)
        if operation in SIGNS:
            return self._named(number, f" {SIGNS[operation]} ".join(operands))
        return self._named(number, f"{NAMES[operation]}({', '.join(operands)})")

    def _sum(self, terms: dict[Product, int]) -> str:
        """A polynomial: what all its terms share times the rest, or what it adds to one before it."""
        key = frozenset(terms.items())
        if key in self.names:
            return self.names[key]
        shared, size = _shared(terms)
        if len(terms) == 1:
            (factor,) = terms.values()
            return self._product(shared) if factor == 1 and shared else self._named(key, self._scaled(factor, shared))
        if shared or size > 1:
            rest = self._sum({_without(product, shared): factor // size for product, factor in terms.items()})
            text = f"{self._scaled(size, shared)} * {rest}"
        else:
            text = self._difference(terms)
        name = self._named(key, text)
        self.sums[name] = terms
        return name

    def _difference(self, terms: Mapping[Product, int]) -> str:
        """A polynomial as what it adds to the one among those before it which leaves the fewest terms."""
        left, start = terms, ""
        for name, known in self.sums.items():
            rest = {product: terms.get(product, 0) - known.get(product, 0) for product in terms.keys() | known.keys()}
            rest = {product: factor for product, factor in rest.items() if factor}
            if len(rest) < len(left) - 1:
                left, start = rest, name
        signs = [" - " if factor < 0 else " + " for factor in left.values()]
        sizes = [self._scaled(abs(factor), product) for product, factor in left.items()]
        return (start + "".join(map("".join, zip(signs, sizes, strict=True)))).removeprefix(" + ")

    def _scaled(self, size: int, product: Product) -> str:
        if not product:
            return str(size)
        return self._product(product) if size == 1 else f"{size} * {self._product(product)}"

    def _product(self, product: Product) -> str:
        last = self._node(product[-1]) if product else "1"
        return self._named(product, f"{self._product(product[:-1])} * {last}") if len(product) > 1 else last

    def _named(self, key: Any, text: str) -> str:
        """The name of what a line gives; the line is written when it is first needed."""
        if key not in self.names:
            name = self.names[key] = f"v{len(self.names)}"
            self.lines.append(f"{name} = {text}")
            self.values[name] = eval(text, {"__builtins__": {}}, self.values)
        return self.names[key]


def _shared(terms: Mapping[Product, int]) -> tuple[Product, int]:
    """The product and the number that divide all terms."""
    shared = reduce(and_, map(Counter, terms))
    return tuple(sorted(shared.elements())), math.gcd(*terms.values())


def _without(product: Product, shared: Product) -> Product:
    return tuple(sorted((Counter(product) - Counter(shared)).elements()))
