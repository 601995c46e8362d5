"""Costs of tables: each row costs exactly what the ordinary path says, whatever it parts from the others by."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from odd_spaces import ODD_SPACES
from tables import Row, differences, disagreeing, one_by_one, random_rows, space_in, table_of, traced

from archspace.blocks.registry import Family, families
from archspace.errors import GenomeError
from archspace.parts.convolution import CONV_NORM_RELU
from archspace.plan import Planned
from archspace.space import costing
from archspace.space.file import load_space, shipped_spaces
from archspace.space.space import Space
from archspace.space.table import FIGURES, costs, read_table

SHIPPED = {name: load_space(name) for name in shipped_spaces()}


def every_row(space: Space) -> list[Row]:
    names = [gene.name for gene in space.genes]
    return [dict(zip(names, row, strict=True)) for row in itertools.product(*(gene.values for gene in space.genes))]


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costing, "FEW", 8)  # so that a small table does not go row by row


@pytest.mark.parametrize("name", SHIPPED)
def test_tables_of_the_shipped_spaces_cost_what_their_rows_cost(name: str) -> None:
    rows = random_rows(SHIPPED[name], 300 if name == "overview" else 150)
    assert disagreeing(SHIPPED[name], rows) == []


@pytest.mark.parametrize("name", ODD_SPACES)
def test_rows_part_where_their_networks_do(name: str) -> None:
    space, rows = ODD_SPACES[name], random_rows(ODD_SPACES[name], 250)
    found, ends = traced(space, rows)
    assert differences(rows, found, one_by_one(space, rows)) == []
    assert not any(end.one_by_one for end in ends)


def test_dense_stages_that_recompute_part_where_they_have_one_layer() -> None:
    space = space_in("""
target: {input: [3, 17, 13], classes: 10}
stem: {kind: bare, width: {range: [3, 6]}}
stages: {number: 3, block: dense, depth: {range: [1, 3], per: stage}, growth_rate: {choices: [2, 9]}, layer: basic,
         compression: 0.7, memory: frugal, stride: 3}
""")
    assert disagreeing(space, every_row(space)) == []


def test_exactly_the_rows_without_a_network_are_not_a_number() -> None:
    shares = {}
    for name, space in ODD_SPACES.items():
        table = costs(space, table_of(random_rows(space, 100)))
        assert (table.isna().all(axis=1) == table.isna().any(axis=1)).all()
        shares[name] = float(table["flops"].isna().mean())
    cannot = [name for name, share in shares.items() if share]
    assert all(word in " ".join(cannot) for word in ("too small", "keep nothing", "leave nothing", "narrow", "divide"))
    assert max(shares.values()) < 1


def test_counts_beyond_two_to_the_53_are_those_counts_rounded_once() -> None:
    for name in ("images so large that floats do not hold the counts", "RegNets on images that large"):
        rows = random_rows(ODD_SPACES[name], 100)
        found = costs(ODD_SPACES[name], table_of(rows), ["flops"])["flops"]
        assert found.min() > 2**53
        assert found.tolist() == one_by_one(ODD_SPACES[name], rows, ["flops"])[:, 0].tolist()


@pytest.mark.parametrize("equal", [0, 1, 150, 285, 300])
def test_blocks_beside_a_projection_and_without_one_part(equal: int) -> None:
    space = space_in("""
target: {input: [3, 32, 32], classes: 10}
stem: {kind: cifar, width: {range: [4, 40]}}
stages: {number: 2, block: basic, depth: {range: [1, 5], per: stage}, width: {range: [4, 40]}}
""")
    rows = random_rows(space, 300)
    for number, row in enumerate(rows):
        width, apart = int(row["width"]), int(row["stem.width"])
        row["stem.width"] = width if number < equal else apart if apart != width else 44 - width
    rows[150], rows[0] = rows[0], rows[150]
    assert sum(row["width"] == row["stem.width"] for row in rows) - equal in (0, 1)  # 22 is its own mirror image
    assert disagreeing(space, rows) == []


def test_rows_are_taken_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costing, "BLOCK", 50)
    for name in ("plain", "regnet", "overview"):
        assert disagreeing(SHIPPED[name], random_rows(SHIPPED[name], 175)) == []


def test_what_was_traced_for_one_table_serves_the_next() -> None:
    space = SHIPPED["preact"]
    one, other = random_rows(space, 200, 1), random_rows(space, 200, 2)
    kept = costing.Costing(space, lambda cost: [cost.flops])
    for rows in (one, other, one):
        out = np.empty((1, 200))
        kept.run(read_table(space, table_of(rows)), out)
        assert out[0].tolist() == one_by_one(space, rows, ["flops"])[:, 0].tolist()
    assert kept.root.question is not None


def test_tables_of_one_row_and_of_none() -> None:
    for space in SHIPPED.values():
        rows = random_rows(space, 1)
        assert disagreeing(space, rows) == []
        empty = costs(space, table_of(rows).iloc[:0])
        assert empty.shape == (0, len(FIGURES))
        assert list(empty) == list(FIGURES)


def test_a_space_without_a_gene() -> None:
    space = space_in("""
target: {input: [3, 32, 32], classes: 10}
stages: {number: 1, block: basic, depth: 2, width: 8}
""")
    assert space.genes == ()
    assert disagreeing(space, [{}] * 100, pd.DataFrame(index=range(100))) == []
    assert len(costs(space, {"note": ["a", "b"]})) == 2
    assert len(costs(space, {})) == 0


@dataclass(frozen=True)
class OddGenes:
    share: float = 0.5
    limit: int = 3


Survive = Callable[[Planned], Planned]
Inner = Callable[[OddGenes, int], int]


def refuse_all_but_int(_: OddGenes, width: int) -> int:
    if not isinstance(width, int):
        raise GenomeError("width must be a whole number")
    return width


def asserted(_: OddGenes, width: int) -> int:
    assert isinstance(width, int)
    return width


LOOK_UP = {width: width % 5 for width in range(1, 100)}
WORDS = {f"{width}": width % 5 for width in range(1, 100)}
ODD_CODE: dict[str, tuple[Inner, bool]] = {
    "int of a fraction": (lambda genes, width: int(genes.share * width), True),
    "a root": (lambda _, width: int(math.sqrt(width)), False),
    "an integer root": (lambda _, width: math.isqrt(width), False),
    "the root of a fraction": (lambda genes, width: round(math.sqrt(genes.share * width)), True),
    "a look-up by value": (lambda _, width: LOOK_UP[width], True),
    "a look-up in a list": (lambda _, width: [*LOOK_UP.values()][width], False),
    "a look-up by text": (lambda _, width: WORDS[f"{width}"], True),
    "a look-up by text that never fails": (lambda _, width: WORDS.get(f"{width}", 7), True),
    "a power": (lambda _, width: width**2 // 8, True),
    "another way for whole numbers": (lambda _, width: width if isinstance(width, int) else 1, True),
    "another way for fractions": (lambda genes, width: width if isinstance(genes.share, float) else 1, True),
    "only int will do": (refuse_all_but_int, True),
    "an assertion": (asserted, True),
    "an array": (lambda _, width: int(np.sqrt(width)), True),
    "binary digits": (lambda _, width: bin(width).count("1"), False),
    "two conditions": (lambda genes, width: width if (width > 20) == (genes.share > 0.3) else 1, False),
    "a guarded division": (lambda genes, width: 99 // (genes.limit - 1) if genes.limit > 1 else width, False),
    "a guarded fraction": (lambda genes, width: round(9 / (genes.limit - 1)) if genes.limit > 1 else width, False),
    "a remainder": (lambda genes, width: 99 % width + width % -genes.limit, False),
    "the largest of three": (lambda genes, width: max(20, width, 8 * genes.limit), False),
    "a loop": (lambda genes, _: sum(range(genes.limit)), False),
}
"""Code of a plug-in by what it does, and whether unknown numbers cannot do that."""
ODD = """
target: {input: [3, 32, 32], classes: 10}
stem: {kind: cifar, width: 8}
stages:
  number: 2
  block: odd
  depth: {range: [1, 4]}
  width: {range: [1, 40]}
  share: {choices: [0.1, 0.3, 0.7]}
  limit: {range: [1, 10]}
"""


@pytest.mark.parametrize("what", ODD_CODE)
def test_a_block_may_do_what_unknown_numbers_cannot(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code, row_by_row = ODD_CODE[what]

    def lay_out(genes: OddGenes, in_width: int, width: int, stride: int, survive: Survive) -> Planned:
        kernel = 1 + 2 * (code(genes, width) % 3)
        return survive(CONV_NORM_RELU(in_width=in_width, width=width, kernel=kernel, stride=stride))

    monkeypatch.setitem(families(), "odd", Family("odd", OddGenes, lay_out, (OddGenes(),), residual=False))
    space = replace(space_in(ODD), name=what)
    rows = random_rows(space, 200)
    found, ends = traced(space, rows)
    assert differences(rows, found, one_by_one(space, rows)) == []
    assert any(end.one_by_one for end in ends) == row_by_row


def test_what_a_block_gets_wrong_fails_as_it_does_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def lay_out(*_: Any, **__: Any) -> Planned:
        raise KeyError("this block is broken")

    monkeypatch.setitem(families(), "odd", Family("odd", OddGenes, lay_out, (OddGenes(),), residual=False))
    text = "target: {input: [3, 8, 8], classes: 2}\nstages: {number: 1, block: odd, depth: 1, width: {range: [1, 40]}}"
    with pytest.raises(KeyError, match="this block is broken"):
        costs(space_in(text), {"width": range(1, 40)})


def test_every_row_of_a_small_space() -> None:
    space = space_in("""
target: {input: [1, 9, 9], classes: 2}
stem: {kind: {choices: [cifar, bare]}, width: {choices: [2, 4]}}
stages: {number: 2, block: bottleneck, depth: {range: [1, 3], per: stage}, width: {choices: [2, 4], per: stage},
         cardinality: {choices: [1, 2]}, group_width: 1, order: {choices: [original, full-preactivation]}}
""")
    rows = every_row(space)
    assert len(rows) == space.size == 576
    assert disagreeing(space, rows) == []
