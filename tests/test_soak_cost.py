"""The figures of tables are those of the built networks: hooks and fvcore, on random genomes of every family.

benchmarks/soak_cost.py runs what is marked `soak` here, and keeps what it found.
"""

import pytest
from counting import FAMILIES, Comparison, Counts, comparisons, differences, on_meta, shallow
from tables import Row, changed, random_rows

from archspace.space.space import Space

USUAL = comparisons(meta=990, deep=10, fvcore=60, seed=0)
SOAK = comparisons(meta=9000, deep=1000, fvcore=500, seed=1)


def agree(comparison: Comparison, name: str) -> None:
    assert comparison.rows[name]
    assert comparison.of(name) == []


def test_there_are_as_many_networks_as_is_said() -> None:
    for every, meta, fvcore in ((USUAL, 1000, 60), (SOAK, 10_000, 500)):
        sizes = {kind: [len(rows) for rows in one.rows.values()] for kind, one in every.items()}
        assert sum(sizes["hooks"]) + sum(sizes["hooks, full depth"]) == meta
        assert sum(sizes["fvcore"]) == fvcore
        assert all(max(some) - min(some) <= 1 for some in sizes.values())
        assert all(set(one.spaces) == set(FAMILIES) for one in every.values())


def test_a_wrong_count_is_found() -> None:
    def one_more(space: Space, row: Row) -> Counts:
        return {**on_meta(space, row), "macs": on_meta(space, row)["macs"] + 1}

    wrong = Comparison({"resnet": shallow("resnet")}, one_more, 2, 0)
    assert [found.figure for found in wrong.of("resnet")] == ["macs", "macs"]
    assert [found.counted - found.table for found in wrong.of("resnet")] == [1, 1]


def test_a_row_without_a_figure_must_have_no_network() -> None:
    space = changed(shallow("resnet"), bottleneck_ratio=(0.3,))
    rows = [row for row in random_rows(space, 20) if int(row["width"]) * 0.3 % 1]
    assert rows
    assert list(differences(space, rows, on_meta)) == []
    rows[0] = {**rows[0], "width": 80}
    (found, *_) = differences(space, rows, lambda *_: {"params": 0})
    assert found.figure == "params"


@pytest.mark.parametrize("name", FAMILIES)
def test_tables_tell_the_flops_that_fvcore_traces(name: str) -> None:
    agree(USUAL["fvcore"], name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hooks", "hooks, full depth"])
@pytest.mark.parametrize("name", FAMILIES)
def test_tables_tell_what_hooks_count_in_a_thousand_networks(name: str, kind: str) -> None:
    agree(USUAL[kind], name)


@pytest.mark.soak
@pytest.mark.parametrize("name", FAMILIES)
def test_tables_tell_the_flops_that_fvcore_traces_in_five_hundred_networks(name: str) -> None:
    agree(SOAK["fvcore"], name)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["hooks", "hooks, full depth"])
@pytest.mark.parametrize("name", FAMILIES)
def test_tables_tell_what_hooks_count_in_ten_thousand_networks(name: str, kind: str) -> None:
    agree(SOAK[kind], name)
