"""`archspace cost` and `archspace zoo`: what networks cost."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from archspace.cli.output import json_option, print_json, print_table, runs_option

if TYPE_CHECKING:
    from archspace.costs import Cost
    from archspace.lookup import Found
    from archspace.zoo.zoo import ZooEntry

FIGURES = ("layers", "params", "macs", "flops", "acts")


@click.command()
@click.argument("genome")
@click.option("--size", type=click.IntRange(min=1), help="Input height and width [the published ones, else 224].")
@click.option("--classes", type=click.IntRange(min=2), help="Classes [the published ones, else 1000].")
@click.option("--by-stage", is_flag=True, help="One row for each stage.")
@click.option("--against", metavar="GENOME", help="A second genome, shown beside the first.")
@click.option("--check", is_flag=True, help="Build the network, count it with hooks and fvcore, fail on a difference.")
@runs_option
@json_option
def cost(
    genome: str,
    size: int | None,
    classes: int | None,
    by_stage: bool,
    against: str | None,
    check: bool,
    runs: str | None,
    as_json: bool,
) -> None:
    """Params, macs, flops, acts and layers of GENOME, in closed form."""
    from archspace.api import runs_folder
    from archspace.lookup import find_genome

    found = [_at(find_genome(name, runs_folder(runs)), size, classes) for name in (genome, against) if name is not None]
    data = [cost_data(item) for item in found]
    if as_json:
        print_json(data[0] | ({"against": data[1]} if len(data) > 1 else {}))
    else:
        _print_costs(data, by_stage)
    for item in found if check else ():
        _check(item)


@click.command()
@click.argument("name", required=False)
@click.option("--check", is_flag=True, help="Hold every network's closed form to its recorded figures.")
@json_option
def zoo(name: str | None, check: bool, as_json: bool) -> None:
    """Published networks, or the one called NAME."""
    from archspace.errors import RunFailed
    from archspace.zoo.zoo import check as differences
    from archspace.zoo.zoo import entries, entry

    listed = [entry(name)] if name else list(entries())
    if as_json:
        print_json([_zoo_data(item) for item in listed])
    else:
        columns = ("name", "family", "input", "classes", *FIGURES, "published top-1 error")
        print_table("", columns, [_zoo_row(item) for item in listed], left=(0, 1))
    if check:
        wrong = [f"{item.name}: {problem}" for item in listed for problem in differences(item)]
        if wrong:
            raise RunFailed("\n".join(wrong))
        click.echo(f"{len(listed)} checked: layers, params, macs, flops and acts equal to the last unit", err=True)


def cost_data(found: Found) -> dict[str, Any]:
    """A genome's cost as plain data."""
    from archspace.costs import cost_of

    total = cost_of(found.genome, found.input, found.classes)
    return {"id": found.genome.id, "name": found.name} | _plain(total)


def _plain(total: Cost) -> dict[str, Any]:
    return {
        "input": list(total.input),
        "classes": total.classes,
        **{figure: getattr(total, figure) for figure in FIGURES},
        "stages": [dataclasses.asdict(stage) | {"output": list(stage.output)} for stage in total.stages],
    }


def _at(found: Found, size: int | None, classes: int | None) -> Found:
    channels, height, width = found.input
    return dataclasses.replace(found, input=(channels, size or height, size or width), classes=classes or found.classes)


def _print_costs(data: list[dict[str, Any]], by_stage: bool) -> None:
    names = [item["name"] for item in data]
    where = [f"{item['name']} at {_size(item['input'])}, {item['classes']} classes" for item in data]
    columns = ("", *names, *(["ratio"] if len(data) > 1 else []))
    rows = [(figure, *(_comma(item[figure]) for item in data), *_ratio(figure, data)) for figure in FIGURES]
    print_table("; ".join(where), columns, [("genome", *(item["id"] for item in data), *[""] * (len(data) > 1)), *rows])
    for item in data if by_stage else ():
        columns = ("", "blocks", "output", "params", "macs", "flops", "acts")
        print_table(item["name"], columns, [_stage_row(stage) for stage in item["stages"]], left=(0, 1))


def _stage_row(stage: dict[str, Any]) -> tuple[str, ...]:
    blocks = f"{stage['depth']} x {stage['block']}" if stage["block"] else ""
    figures = (_comma(stage[figure]) for figure in ("params", "macs", "flops", "acts"))
    return stage["name"], blocks, _size(stage["output"]), *figures


def _ratio(figure: str, data: list[dict[str, Any]]) -> list[str]:
    return [f"{data[1][figure] / data[0][figure]:.3f}"] if len(data) > 1 else []


def _check(found: Found) -> None:
    from archspace.blueprint import draw
    from archspace.errors import RunFailed
    from archspace.measure.count import differences

    wrong = differences(draw(found.genome, found.input, found.classes))
    if wrong:
        told = "; ".join(f"{item.figure}: closed form {item.closed_form}, counted {item.counted}" for item in wrong)
        raise RunFailed(f"{found.name}: {told}")
    click.echo(f"{found.name}: params, macs, acts (hooks) and flops (fvcore) of the built network are equal", err=True)


def _zoo_data(item: ZooEntry) -> dict[str, Any]:
    data = {"name": item.name, "family": item.family, "input": list(item.input), "classes": item.classes}
    return data | {figure: getattr(item, figure) for figure in FIGURES} | {"published": dict(item.published)}


def _zoo_row(item: ZooEntry) -> tuple[str, ...]:
    error = item.published.get("top1_error")
    figures = (_comma(getattr(item, figure)) for figure in FIGURES)
    return (
        item.name,
        item.family,
        _size(item.input),
        str(item.classes),
        *figures,
        "" if error is None else f"{error} % ({item.published.get('error_protocol', '')})",
    )


def _comma(value: int) -> str:
    return f"{value:,}"


def _size(shape: Any) -> str:
    return "x".join(str(side) for side in shape)
