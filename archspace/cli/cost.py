"""`archspace cost`: what networks cost, whole, row by row, side by side."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from archspace.cli.output import json_option, print_json, print_table, runs_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archspace.closed_form import Cost
    from archspace.genome import Genome
    from archspace.lookup import Found

FIGURES = ("layers", "params", "macs", "flops", "acts")
ROWS = {figure: figure for figure in FIGURES} | {"training_flops": "training flops"}
MEMORY = "training_memory"


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
        _print_costs(found, data, by_stage)
    for item in found if check else ():
        _check(item)


def cost_data(found: Found) -> dict[str, Any]:
    """A genome's cost as plain data."""
    from archspace.closed_form import cost_of

    total = cost_of(found.genome, found.input, found.classes)
    return {"id": found.genome.id, "name": found.name} | _plain(total)


def _plain(total: Cost) -> dict[str, Any]:
    from archspace.memory import training_memory
    from archspace.training.recipe import Recipe

    batch = Recipe().batch
    return {
        "input": list(total.input),
        "classes": total.classes,
        **{figure: getattr(total, figure) for figure in (*FIGURES, "training_flops")},
        MEMORY: {"batch": batch, "bytes": training_memory(total, batch)},
        "stages": [stage._asdict() | {"output": list(stage.output)} for stage in total.stages],
    }


def _at(found: Found, size: int | None, classes: int | None) -> Found:
    channels, height, width = found.input
    return dataclasses.replace(found, input=(channels, size or height, size or width), classes=classes or found.classes)


def _print_costs(found: list[Found], data: list[dict[str, Any]], by_stage: bool) -> None:
    where = [f"{item['name']} at {_size(item['input'])}, {item['classes']} classes" for item in data]
    columns = ("", *(item["name"] for item in data), *(["ratio"] if len(data) > 1 else []))
    rows = [(ROWS[figure], *(_comma(item[figure]) for item in data), *_ratio(figure, data)) for figure in ROWS]
    rows.append(_memory_row([item[MEMORY] for item in data]))
    print_table("; ".join(where), columns, [("genome", *(item["id"] for item in data), *[""] * (len(data) > 1)), *rows])
    if len(found) > 1:
        differing = list(_differences(*(item.genome for item in found)))
        print_table("What differs" if differing else "The genomes are equal.", columns[:3], differing)
    for item, costed in zip(found, data, strict=True) if by_stage else ():
        _print_stages(item, costed)


def _memory_row(data: list[dict[str, int]]) -> tuple[str, ...]:
    """The peak of a training step in float32, with the batch that it is counted at."""
    from archspace.units import si

    told = [si(item["bytes"], "B") for item in data]
    return f"training memory, batch {data[0]['batch']}", *told, *_ratio("bytes", data)


def _print_stages(found: Found, data: dict[str, Any]) -> None:
    """The network row by row, as papers print theirs."""
    from archspace.blueprint import draw
    from archspace.measure.notation import notation

    layers = notation(draw(found.genome, found.input, found.classes))
    columns = ("", "layers", "maps in", "output", "params", "macs", "flops", "acts")
    rows = [_stage_row(stage, layers[stage["name"]]) for stage in data["stages"]]
    rows.append(("whole", "", "", "", *(_comma(data[figure]) for figure in FIGURES[1:])))
    print_table(data["name"], columns, rows, left=(0, 1))


def _stage_row(stage: dict[str, Any], layers: str) -> tuple[str, ...]:
    figures = (_comma(stage[figure]) for figure in FIGURES[1:])
    return stage["name"], layers, _seen(stage), _size(stage["output"]), *figures


def _seen(stage: dict[str, Any]) -> str:
    """The channels that a row's layers are given: `64`, or `64, 96, ..., 224` where they grow from block to block."""
    first, more, depth = stage["sees"], stage["sees_more"], stage["depth"]
    seen = [str(first + more * index) for index in range(depth if more else 1)]
    return ", ".join(seen if len(seen) <= 3 else [*seen[:2], "...", seen[-1]])


def _differences(genome: Genome, other: Genome) -> Iterator[tuple[str, str, str]]:
    """Each choice in which two genomes differ: its name, and what it is in each (empty where there is none)."""
    choices = [_choices(dataclasses.asdict(item)) for item in (genome, other)]
    for name in dict.fromkeys(name for known in choices for name in known):
        values = [str(known.get(name, "")) for known in choices]
        if values[0] != values[1]:
            yield name, values[0], values[1]


def _choices(data: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Plain data of a genome flattened: `stem.width`, `stage2.depth`, `stage2.cardinality`."""
    flat: dict[str, Any] = {}
    for name, value in data.items():
        if name == "stages":
            for number, stage in enumerate(value, start=1):
                flat |= _choices(stage | stage.pop("genes"), f"stage{number}.")
        elif isinstance(value, dict):
            flat |= _choices(value, f"{path}{name}.")
        elif value is not None:
            flat[f"{path}{name}"] = value
    return flat


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


def _comma(value: int) -> str:
    return f"{value:,}"


def _size(shape: Any) -> str:
    return "x".join(str(side) for side in shape)
