"""Published networks come out exact, by the closed form and as built."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from archspace.blueprint import draw
from archspace.costs import cost_of
from archspace.errors import UserError
from archspace.network import build
from archspace.zoo import check, entries, entry, names

FIGURES = {
    "layers": "depth_layers",
    "params": "params",
    "macs": "flops_multiply_adds",
    "flops": "flops_fvcore_total",
    "acts": "activations_conv_out",
}


def published_rows() -> dict[str, dict[str, str]]:
    """The reference table's rows of the zoo's families, by name; skips where there is no table."""
    folder = Path(os.environ.get("ARCHSPACE_DATA", Path(__file__).parents[2] / "shared"))
    table = folder / "reference" / "published_models.csv"
    if not table.is_file():
        pytest.skip(f"no reference table at {table}; set ARCHSPACE_DATA to the folder that holds reference/")
    families = {item.family for item in entries()}
    with table.open(encoding="utf-8", newline="") as lines:
        return {row["name"]: row for row in csv.DictReader(lines) if row["family"] in families}


@pytest.mark.parametrize("name", names())
def test_the_closed_form_gives_the_recorded_figures(name: str) -> None:
    assert check(entry(name)) == []


@pytest.mark.parametrize("name", names())
def test_the_built_network_has_the_recorded_params(name: str) -> None:
    item = entry(name)
    with torch.device("meta"):
        network = build(draw(item.genome, item.input, item.classes))
    assert sum(parameter.numel() for parameter in network.parameters()) == item.params


def test_the_zoo_is_the_reference_table() -> None:
    rows = published_rows()
    assert set(names()) == set(rows)
    for item in entries():
        row = rows[item.name]
        cost = cost_of(item.genome, item.input, item.classes)
        assert {figure: getattr(cost, figure) for figure in FIGURES} == {
            figure: int(row[column]) for figure, column in FIGURES.items()
        }, item.name
        assert (item.family, "x".join(map(str, item.input)), str(item.classes)) == (
            row["family"],
            row["input"],
            row["num_classes"],
        )


def test_published_errors_are_those_of_the_reference_table() -> None:
    rows = published_rows()
    for item in entries():
        for key, value in item.published.items():
            given = rows[item.name][key]
            assert value == (float(given) if isinstance(value, float) else given), f"{item.name}: {key}"
        printed = {key for key in ("top1_error", "top5_error", "top1_error_alt", "notes") if rows[item.name][key]}
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
    assert len(set(names())) == len(names()) >= 43
    assert {item.family for item in entries()} >= {"resnet", "resnext"}
    assert {item.genome.initialisation for item in entries()} == {"he-zero-last-norm"}
