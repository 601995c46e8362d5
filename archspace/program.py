"""Programs: what a trace found, evaluated for many rows at once with NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archspace.unknown import Node, Operand, Real, Trace, Whole, alternatives, key_of

Array = NDArray[Any]
Columns = dict[Any, Array]
"""Genes by name, and what functions gave of them."""
Product = tuple[int, ...]

CACHED = 2**19
"""Numbers evaluated together: few enough for the processor's cache, enough to hide what a call costs."""
CALLED = 2**12
"""Rows for which a function of arrays is called at a time."""
EXACT = 2**53
"""Below it every whole number is a float64."""
OPERATIONS: Mapping[str, Callable[..., Array]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.true_divide,
    "floor_divide": np.floor_divide,
    "remainder": np.remainder,
    "maximum": lambda *operands: reduce(np.maximum, operands),
    "absolute": np.abs,
    "round": np.rint,  # to the even neighbour, as Python's round
    "floor": np.floor,
}
ROUNDED, EITHER = ("round", "floor", "floor_divide", "remainder", "pick"), ("maximum", "absolute")
"""Operations whose results are whole, and those where this depends on the operands."""

_int = np.frompyfunc(int, 1, 1)


@dataclass(frozen=True, eq=False)
class Program:
    """Outputs, each the largest of some sums of products of nodes; `starts` has the first sum of each.

    `factors` (sums x products) are those of the products. A product is an earlier one (or none: -1) times a node (of
    which there is none, -1, in the product that is 1). Sums are taken in float64, which is exact below 2^53. Where it
    is not `sure` that they stay there, these and the `doubtful` operands of nodes are looked at; rows in which they do
    not are done in Python's own numbers, with `exact` factors, and rounded in the end. `reals` names the node of each
    output that is no whole number.
    """

    nodes: tuple[tuple[int, Node], ...]
    products: tuple[tuple[int, int], ...]
    factors: Array
    exact: Array
    starts: tuple[int, ...]
    reals: Mapping[int, int]
    doubtful: tuple[Whole, ...]
    sure: bool

    def run(self, columns: Columns, rows: slice | Array, out: Array) -> None:
        """Write the outputs of some rows to those columns of `out` (outputs x all rows); `columns` are the genes."""
        some = max(1024, CACHED // (len(self.products) + len(self.nodes) + 1))
        table: Array = np.empty((len(self.products), some))
        for part in parts_of(rows, some):
            self._run(columns, part, table[:, : size_of(part)], out)

    def values(self, columns: Columns, rows: slice | Array) -> Array:
        """The one output in each of the rows, in their order."""
        out = np.empty((1, _height(columns)))
        self.run(columns, rows, out)
        found: Array = out[0][rows]
        return found

    def _run(self, columns: Columns, rows: slice | Array, table: Array, out: Array) -> None:
        values: dict[int, Array] = {}
        for number, node in self.nodes:
            values[number] = self._value(node, values, columns, rows)
        for index, (before, number) in enumerate(self.products):
            if number < 0:
                table[index] = 1
            elif before < 0:
                table[index] = values[number]
            else:
                np.multiply(table[before], values[number], out=table[index])
        if isinstance(rows, slice) and len(self.starts) == len(self.factors):
            np.matmul(self.factors, table, out=out[:, rows])
        else:
            out[:, rows] = self._largest(self.factors @ table)
        for output, number in self.reals.items():
            out[output][rows] = values[number]
        beyond = np.zeros(0, bool) if self.sure else self._beyond(values, table)
        if beyond.any():
            self._run_exactly(columns, index_of(rows)[beyond], out)

    def _beyond(self, values: Mapping[int, Array], table: Array) -> Array:
        """Whether a row may leave the whole numbers that float64 holds."""
        reach: Array = (np.abs(self.factors) @ np.abs(table)).max(0, initial=0)
        for operand in self.doubtful:
            terms = {product: abs(factor) for product, factor in operand.terms.items()}
            sizes = {number: np.abs(values[number]) for product in terms for number in product}
            reach = np.maximum(reach, _summed(terms, sizes))
        # What is not finite belongs to a row that this program is not for, and is overwritten.
        beyond: Array = (reach >= EXACT) & np.isfinite(reach)
        return beyond

    def _run_exactly(self, columns: Columns, rows: Array, out: Array) -> None:
        values: dict[int, Array] = {}
        for number, node in self.nodes:
            found = self._value(node, values, columns, rows)
            values[number] = _whole(found) if _is_whole(node) else found.astype(np.float64)
        table = np.ones((len(self.products), len(rows)), object)
        for index, (before, number) in enumerate(self.products):
            if number >= 0:
                table[index] = values[number] if before < 0 else table[before] * values[number]
        for output, total in enumerate(self._largest(self.exact @ table)):
            out[output][rows] = values[self.reals[output]] if output in self.reals else total

    def _largest(self, sums: Array) -> Array:
        """The outputs, of their sums."""
        if len(self.starts) == len(sums):
            return sums
        ends = (*self.starts[1:], len(sums))
        return np.stack([reduce(np.maximum, sums[begin:end]) for begin, end in zip(self.starts, ends, strict=True)])

    def _value(self, node: Node, values: Mapping[int, Array], columns: Columns, rows: slice | Array) -> Array:
        if node.operation == "gene":
            return columns[str(node.operands[0])][rows].astype(np.float64)
        if not isinstance(node.operation, str):
            return self._called(node, columns)  # for all rows; picked from it are those wanted
        operands = [_evaluated(operand, values) for operand in node.operands]
        if node.operation == "pick":
            table, row = operands
            found: Array = table[row][rows] if row < len(table) else np.ones(size_of(rows))
            return found
        return OPERATIONS[node.operation](*operands)

    def _called(self, node: Node, columns: Columns) -> Array:
        """What a function gives for all rows, once for all programs that read the same columns."""
        key = (node.operation, *map(key_of, node.operands))
        if key not in columns:
            found = [self._call(node, columns, part) for part in parts_of(slice(0, _height(columns)), CALLED)]
            most = max(len(part) for part in found)
            filled = [np.pad(part, ((0, most - len(part)), (0, 0)), constant_values=1) for part in found]
            columns[key] = np.concatenate(filled, axis=1)
        return columns[key]

    def _call(self, node: Node, columns: Columns, rows: slice) -> Array:
        values: dict[int, Array] = {}
        for number, inner in self.nodes:
            if inner is node:
                break
            values[number] = self._value(inner, values, columns, rows)
        return np.asarray(node.operation(*(_evaluated(operand, values) for operand in node.operands)))  # type: ignore[operator]


def _height(columns: Columns) -> int:
    return int(next(column.shape[-1] for column in columns.values()))


def size_of(rows: slice | Array) -> int:
    """How many rows these are."""
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


def parts_of(rows: slice | Array, some: int) -> Iterator[Any]:
    """The rows, some at a time."""
    for start in range(0, size_of(rows), some):
        if isinstance(rows, slice):
            yield slice(rows.start + start, min(rows.start + start + some, rows.stop))
        else:
            yield rows[start : start + some]


def index_of(rows: slice | Array) -> Array:
    """The rows' numbers."""
    return np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows


def _evaluated(operand: Any, values: Mapping[int, Array]) -> Any:
    if isinstance(operand, Real):
        return values[operand.number]
    return _summed(operand.terms, values) if isinstance(operand, Whole) else operand


def _summed(terms: Mapping[Product, int], values: Mapping[int, Array]) -> Any:
    total: Any = 0
    for product, factor in terms.items():
        term: Any = factor
        for number in product:
            term = values[number] * term
        total = term + total
    return total


def _whole(found: Array) -> Array:
    """These numbers as Python's own."""
    return np.asarray(_int(found), object)


def _is_whole(node: Node) -> bool:
    """Whether the numbers that a node gives are whole by its kind."""
    if node.operation == "gene":
        return str(node.operands[1]) == "whole"
    if node.operation in EITHER:
        return all(isinstance(operand, (Whole, int)) for operand in node.operands)
    return node.operation in ROUNDED


def compiled(trace: Trace, outputs: Sequence[Operand]) -> Program:
    """The program that gives `outputs`, numbers that a trace led to."""
    several = [alternatives(output) for output in outputs]
    polynomials = [_terms(number) for numbers in several for number in numbers]
    products: dict[Product, int] = {}
    steps: list[tuple[int, int]] = []
    for polynomial in polynomials:
        for product in polynomial:
            _add_product(product, products, steps)
    factors = [[polynomial.get(product, 0) for product in products] for polynomial in polynomials]
    wanted = {number for product in products for number in product}
    starts = tuple(accumulate(map(len, several), initial=0))[:-1]
    reals = {index: output.number for index, output in enumerate(outputs) if isinstance(output, Real)}
    nodes = _needed(trace, wanted | set(reals.values()))
    operands = [operand for _, node in nodes for operand in node.operands if isinstance(operand, Whole)]
    doubtful = tuple(operand for operand in operands if not _size(trace, operand) < EXACT)
    sure = not doubtful and all(_size(trace, number) < EXACT for numbers in several for number in numbers)
    exact = np.array(factors, object).reshape(len(polynomials), len(products))
    return Program(tuple(nodes), tuple(steps), exact.astype(np.float64), exact, starts, reals, doubtful, sure)


def _terms(output: Operand) -> Mapping[Product, int | float]:
    if isinstance(output, Real):
        return {}
    return output.terms if isinstance(output, Whole) else {(): output} if output else {}


def _add_product(product: Product, products: dict[Product, int], steps: list[tuple[int, int]]) -> int:
    """The index of a product, made from the one without its last factor."""
    if product not in products:
        before = _add_product(product[:-1], products, steps) if len(product) > 1 else -1
        products[product] = len(steps)
        steps.append((before, product[-1] if product else -1))
    return products[product]


def _needed(trace: Trace, wanted: set[int]) -> list[tuple[int, Node]]:
    """The nodes that some others are made of, themselves included, in an order in which they can be evaluated."""
    found: set[int] = set()
    left = list(wanted)
    while left:
        number = left.pop()
        if number in found:
            continue
        found.add(number)
        for operand in trace.nodes[number].operands:
            if isinstance(operand, Real):
                left.append(operand.number)
            elif isinstance(operand, Whole):
                left += [inner for product in operand.terms for inner in product]
    return [(number, trace.nodes[number]) for number in sorted(found)]


def _size(trace: Trace, number: Operand) -> float:
    """What the absolute values of a number's terms can add up to."""
    terms = number.terms.items() if isinstance(number, Whole) else ()
    return sum(
        abs(factor) * math.prod(max(map(abs, trace.nodes[inner].bounds)) for inner in product)
        for product, factor in terms
    )
