"""Published networks come out exact, by the closed form and as built."""

import csv
import dataclasses
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from archspace.blueprint import draw
from archspace.errors import UserError
from archspace.measure.count import counted_params, hooked_acts, hooked_macs
from archspace.network import Network, build
from archspace.zoo import ZooEntry, check, entries, entry, names

FIGURES = {
    "layers": "depth_layers",
    "params": "params",
    "macs": "flops_multiply_adds",
    "flops": "flops_fvcore_total",
    "acts": "activations_conv_out",
}
BEYOND_THE_TABLE = {"alexnet", "vgg13_bn", "vgg19", "plain34", "Plain-44_c10"}


def published_rows() -> dict[str, dict[str, str]]:
    """The reference table's rows by name; skips where there is no table."""
    folder = Path(os.environ.get("ARCHSPACE_DATA", Path(__file__).parents[2] / "shared"))
    table = folder / "reference" / "published_models.csv"
    if not table.is_file():
        pytest.skip(f"no reference table at {table}; set ARCHSPACE_DATA to the folder that holds reference/")
    with table.open(encoding="utf-8", newline="") as lines:
        return {row["name"]: row for row in csv.DictReader(lines)}


def structure(item: ZooEntry) -> tuple[object, ...]:
    """What decides which classes a network consists of: kinds, choices and switches, but no sizes."""
    genome = item.genome
    stages = {(stage.block, stage.width is None, *choices(stage.genes)) for stage in genome.stages}
    return (genome.stem.kind, genome.head.kind, genome.head.dropout > 0, frozenset(stages))


def choices(genes: Any) -> Iterator[object]:
    """Words as they are; of shares, whether there is one."""
    for value in dataclasses.astuple(genes):
        yield value if isinstance(value, str) else isinstance(value, float) and value > 0.0


@cache
def zoo() -> dict[str, ZooEntry]:
    """All networks by name, read once."""
    return {item.name: item for item in entries()}


def one_of_each_structure() -> list[ZooEntry]:
    """The shallowest network of every structure."""
    found: dict[object, ZooEntry] = {}
    for item in sorted(zoo().values(), key=lambda item: sum(stage.depth for stage in item.genome.stages)):
        found.setdefault(structure(item), item)
    return list(found.values())


def built(item: ZooEntry) -> Network:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return build(draw(item.genome, item.input, item.classes))


@pytest.mark.parametrize("name", names())
def test_the_closed_form_gives_the_recorded_figures(name: str) -> None:
    assert check(zoo()[name]) == []


def test_one_built_network_of_each_structure_has_the_recorded_params() -> None:
    shallow = one_of_each_structure()
    assert 20 <= len(shallow) <= 60
    assert {item.name: counted_params(built(item)) for item in shallow} == {item.name: item.params for item in shallow}


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_every_built_network_has_the_recorded_params_macs_and_acts(name: str) -> None:
    item = zoo()[name]
    network = built(item)
    assert counted_params(network) == item.params
    assert hooked_macs(network, item.input) == item.macs
    assert hooked_acts(network, item.input) == item.acts


def test_the_zoo_is_the_reference_table_and_five_more() -> None:
    rows = published_rows()
    assert len(rows) == 119
    assert set(names()) == set(rows) | BEYOND_THE_TABLE
    for item in zoo().values():
        if row := rows.get(item.name):
            described = (item.family, "x".join(map(str, item.input)), str(item.classes))
            assert described == (row["family"], row["input"], row["num_classes"]), item.name


def test_figures_are_those_of_the_reference_table() -> None:
    rows = published_rows()
    for item in zoo().values():
        if item.name in rows and item.exact:
            known = {
                figure: int(rows[item.name][column]) for figure, column in FIGURES.items() if rows[item.name][column]
            }
            assert len(known) >= 4, f"{item.name}: what the table leaves open is the layers alone"
            if item.name.startswith("WRN-"):
                # The authors count 6N + 4 layers: the stem, 6N convolutions in branches and a projection in each of
                # three stages. On the longest path there is no projection, but the classifier: 6N + 2.
                assert item.name.startswith(f"WRN-{known['layers']}-")
                known["layers"] -= 2
            assert {figure: getattr(item, figure) for figure in known} == known, item.name


def test_what_comes_near_a_published_network_says_so() -> None:
    rows = published_rows()
    near = [item for item in zoo().values() if not item.exact]
    assert {item.name for item in near} == {"Highway-19", "Highway-32"}
    for item in near:
        assert item.layers == int(rows[item.name]["depth_layers"])
        assert item.params == pytest.approx(int(rows[item.name]["params"]), rel=0.03)


def test_published_errors_are_those_of_the_reference_table() -> None:
    rows = published_rows()
    for item in zoo().values():
        row = rows.get(item.name)
        if row is None:
            continue
        for key, value in item.published.items():
            given = row[key]
            assert value == (float(given) if isinstance(value, float) else given), f"{item.name}: {key}"
        printed = {key for key in ("top1_error", "top5_error", "top1_error_alt", "notes") if row[key]}
        assert printed <= set(item.published), item.name


def test_a_wrong_figure_is_told() -> None:
    wrong = replace(entry("resnet50"), params=25_557_033, layers=51)
    assert check(wrong) == [
        "resnet50: layers: closed form 50, recorded 51",
        "resnet50: params: closed form 25,557,032, recorded 25,557,033",
    ]


def test_resnet_50_as_first_published_and_as_common_today() -> None:
    assert (entry("resnet50_v1_stride1x1").macs, entry("resnet50").macs) == (3_857_973_248, 4_089_184_256)
    assert entry("resnext50_32x4d").genome.stages[3].genes == entry("ResNeXt-50_32x4d").genome.stages[3].genes
    assert entry("resnext50_32x4d").published["top1_error"] == 22.382


def test_an_unknown_name_is_told_the_closest() -> None:
    with pytest.raises(UserError, match="did you mean 'resnext50_32x4d'"):
        entry("resnext50_32x4")


def test_names_are_unique_and_zoo_genomes_start_by_default() -> None:
    assert len(set(names())) == len(names()) == 124
    assert {item.genome.initialisation for item in zoo().values()} == {"auto"}
