"""What a table of genomes may look like, and what is said of one that will not do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tables import Row, one_by_one, random_rows, space_in, table_of

from archspace.errors import UserError
from archspace.space.file import load_space
from archspace.space.space import Gene, Space
from archspace.space.table import FIGURES, costs

SPACE = space_in("""
target: {input: [3, 32, 32], classes: 10}
stem: {kind: cifar, width: 16}
stages:
  number: 2
  block: bottleneck
  depth: {range: [1, 12]}
  width: {choices: [32, 48, 64, 96]}
  cardinality: {choices: [1, 2, 4]}
  bottleneck_ratio: {choices: [0.25, 0.5]}
  order: {choices: [original, full-preactivation]}
""")
ROWS: list[Row] = [
    {"depth": 1, "width": 32, "cardinality": 1, "bottleneck_ratio": 0.5, "order": "original"},
    {"depth": 12, "width": 64, "cardinality": 4, "bottleneck_ratio": 0.25, "order": "full-preactivation"},
]
COLUMNS: dict[str, Any] = {name: [row[name] for row in ROWS] for name in ROWS[0]}
EXPECTED = one_by_one(SPACE, ROWS)


def test_the_spaces_cost_as_their_rows_do() -> None:
    found = costs(SPACE, COLUMNS)
    assert list(found) == list(FIGURES)
    assert found.dtypes.tolist() == [np.float64] * len(FIGURES)
    assert found.to_numpy().tolist() == EXPECTED.tolist()


@pytest.mark.parametrize(
    "column",
    [
        {"order": np.array(COLUMNS["order"])},
        {"order": np.array(COLUMNS["order"], object)},
        {"order": pd.Series(COLUMNS["order"])},
        {"order": pd.array(COLUMNS["order"], dtype="string")},
        {"order": pd.Categorical(COLUMNS["order"])},
        {"order": pd.Series(pd.Categorical(COLUMNS["order"], categories=["unused", *COLUMNS["order"][::-1]]))},
        {"width": [32.0, 64.0]},
        {"width": np.array([32, 64], np.uint8)},
        {"width": np.array([32, 64], np.int16)},
        {"width": np.array([32, 64], object)},
        {"width": [32, np.int32(64)]},
        {"width": (32, 64)},
        {"width": pd.array([32, 64], dtype="Int64")},
        {"width": pd.Categorical([32, 64])},
        {"cardinality": np.array([1, 4], np.float32)},
        {"bottleneck_ratio": pd.Series([0.5, 0.25], dtype="Float64")},
    ],
    ids=lambda column: f"{next(iter(column.values()))!r}".replace("\n", " "),
)
@pytest.mark.parametrize("make", [dict, pd.DataFrame], ids=["mapping", "DataFrame"])
def test_columns_may_be_of_any_kind(column: dict[str, Any], make: Callable[..., Any]) -> None:
    assert costs(SPACE, make({**COLUMNS, **column})).to_numpy().tolist() == EXPECTED.tolist()


def test_order_index_and_other_columns_do_not_matter() -> None:
    table = pd.DataFrame({"note": ["a", "b"], **dict(reversed(COLUMNS.items()))}, index=[7, 7])
    assert costs(SPACE, table).to_numpy().tolist() == EXPECTED.tolist()
    assert costs(SPACE, table, ["acts", "params"]).to_numpy().tolist() == EXPECTED[:, [3, 0]].tolist()


def test_genes_of_one_value_need_no_column() -> None:
    space = space_in("""
target: {input: [3, 32, 32], classes: 10}
stages: {number: 1, block: basic, depth: {choices: [3]}, width: {range: [4, 8]}, shortcut: {choices: [C]}}
""")
    assert {gene.name for gene in space.genes} == {"depth", "width", "shortcut"}
    rows: list[Row] = [{"depth": 3, "width": width, "shortcut": "C"} for width in range(4, 9)]
    expected = one_by_one(space, rows).tolist()
    for names in (["width"], ["depth", "width", "shortcut"]):
        assert costs(space, {name: [row[name] for row in rows] for name in names}).to_numpy().tolist() == expected
    with pytest.raises(UserError, match=r"column 'depth', row 0 .*: 4 is no value of this gene; it may have 3$"):
        costs(space, {"width": [4], "depth": [4]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": None}, "table: no column 'width'; it may have 32, 48, 64, 96"),
        ({"width": None, "widht": [32, 64]}, "table: no column 'width' (did you mean 'widht'?)"),
        ({"width": None, 3: [32, 64]}, "table: no column 'width'; it may have"),
        ({"width": [32]}, "table: columns have one row for each genome, but their lengths are 'depth' 2, 'width' 1,"),
        ({"width": 32}, "table: column 'width': expected one value for each row"),
        ({"width": [[32, 64]]}, "table: column 'width': expected one value for each row"),
        (
            {"width": [64, 72]},
            "table: column 'width', row 1 (the first is 0): 72 is no value of this gene",
        ),
        (
            {"width": [24, 64]},
            "table: column 'width', row 0 (the first is 0): 24 is no value of this gene",
        ),
        ({"width": [36, 64]}, "row 0 (the first is 0): 36 is no value of this gene; it may have 32, 48, 64, 96"),
        (
            {"width": [32, 48.5]},
            "row 1 (the first is 0): 48.5 is no value of this gene; it may have 32, 48, 64, 96",
        ),
        ({"width": [32, float("nan")]}, "row 1 (the first is 0): nan is no value of this gene"),
        ({"width": [32, float("inf")]}, "row 1 (the first is 0): inf is no value of this gene"),
        ({"width": [2**70, 32]}, f"row 0 (the first is 0): {2**70} is no value of this gene"),
        ({"width": [32, None]}, "row 1 (the first is 0): nothing is no value of this gene"),
        ({"width": pd.array([32, None], dtype="Int64")}, "row 1 (the first is 0)"),
        ({"width": ["32", "64"]}, "row 0 (the first is 0): '32' is no value of this gene"),
        ({"width": np.array([32, "64"], object)}, "row 1 (the first is 0): '64' is no value of this gene"),
        (
            {"depth": [True, True]},
            "true is no value of this gene; it may have 1, 2, 3, 4, ..., 12",
        ),
        ({"depth": [1, True]}, None),  # NumPy makes a 1 of it
        ({"depth": [3.5, 1]}, "column 'depth', row 0 (the first is 0): 3.5 is no value of this gene"),
        ({"cardinality": [1, 3]}, "row 1 (the first is 0): 3 is no value of this gene; it may have 1, 2, 4"),
        (
            {"bottleneck_ratio": [0.5, 0.3]},
            "row 1 (the first is 0): 0.3 is no value of this gene; it may have 0.25",
        ),
        ({"bottleneck_ratio": [0.5, 9.0]}, "row 1 (the first is 0): 9.0 is no value of this gene"),
        (
            {"order": ["original", "full-preactivaton"]},
            "(did you mean 'full-preactivation'?); it may have original",
        ),
        ({"order": np.array(["original", 3], object)}, "row 1 (the first is 0): 3 is no value of this gene"),
        ({"order": [0, 1]}, "row 0 (the first is 0): 0 is no value of this gene"),
        ({"order": ["original", None]}, "row 1 (the first is 0): nothing is no value of this gene"),
        ({"order": pd.Categorical(["original", None])}, "row 1 (the first is 0): nan is no value of this gene"),
        ({"order": pd.Categorical(["x", "original"])}, "row 0 (the first is 0): 'x' is no value of this gene"),
    ],
    ids=repr,
)
def test_mistakes_in_a_table_are_told(change: dict[Any, Any], message: str | None) -> None:
    table = {name: column for name, column in {**COLUMNS, **change}.items() if column is not None}
    if message is None:
        costs(SPACE, table)
        return
    with pytest.raises(UserError) as caught:
        costs(SPACE, table)
    assert message in str(caught.value)
    assert len(caught.value.messages) == 1


def test_what_is_no_table() -> None:
    for table in ([COLUMNS], [*ROWS], 3, None):
        with pytest.raises(UserError, match=r"^table: expected a DataFrame or a mapping of columns"):
            costs(SPACE, table)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no column 'depth'; it may have 1, 2"):
        costs(SPACE, pd.DataFrame([[1, 2]]))
    twice = pd.concat([pd.DataFrame(COLUMNS), pd.DataFrame({"width": [32, 32]})], axis=1)
    with pytest.raises(UserError, match="column 'width': expected one value for each row, in one column of that name"):
        costs(SPACE, twice)


def test_figures_that_there_are_not() -> None:
    with pytest.raises(UserError, match=r"^figures: unknown 'flop' \(did you mean 'flops'\?\); known: params, macs, "):
        costs(SPACE, COLUMNS, ["params", "flop"])
    assert costs(SPACE, COLUMNS, []).shape == (2, 0)


UNION = load_space("overview")


def test_a_union_needs_the_columns_of_the_families_in_it() -> None:
    rows = [row for row in random_rows(UNION, 60) if row["family"] in ("plain", "regnet")]
    table = table_of(rows)
    assert not any(str(name).startswith("resnet.") for name in table)
    assert table["plain.width"].isna().any()
    assert costs(UNION, table).to_numpy().tolist() == one_by_one(UNION, rows).tolist()
    table.loc[table["family"] == "regnet", "plain.width"] = 0.5  # another family's entries are not read
    assert costs(UNION, table).to_numpy().tolist() == one_by_one(UNION, rows).tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": None}, "no column 'family'; it may have plain, inception, highway, resnet, ..., regnet"),
        (
            {"family": ["plain", "regnets"]},
            "column 'family', row 1 (the first is 0): 'regnets' is no value",
        ),
        ({"plain.kernel": None}, "no column 'plain.kernel'; it may have 3, 5"),
        ({"plain.kernel": [3, 9]}, "column 'plain.kernel', row 1 (the first is 0): 9 is no value of this gene"),
        ({"plain.kernel": [3]}, "column 'plain.kernel' has 1 rows, fewer than column 'family'"),
        (
            {"plain.norm": [None, "bach"]},
            "column 'plain.norm', row 1 (the first is 0): 'bach' is no value",
        ),
        ({"plain.norm": [None, None]}, "column 'plain.norm', row 1 (the first is 0): nothing is no value of this gene"),
    ],
    ids=repr,
)
def test_mistakes_in_a_table_of_a_union_are_told_at_their_row(change: dict[str, Any], message: str) -> None:
    def first(family: str) -> dict[str, Any]:
        return {f"{family}.{gene.name}": gene.values[0] for gene in inner_genes(UNION, family)}

    rows = [{"family": "regnet", **first("regnet")}, {"family": "plain", **first("plain")}]
    columns: dict[str, Any] = {str(name): column.tolist() for name, column in table_of(rows).items()}
    with pytest.raises(UserError) as caught:
        costs(UNION, {name: column for name, column in {**columns, **change}.items() if column is not None})
    assert message in str(caught.value)


def inner_genes(space: Space, family: str) -> tuple[Gene, ...]:
    return space.families[family].genes
