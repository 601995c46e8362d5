"""`archspace zoo`: published networks, and whether the closed form gives their figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from archspace.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from archspace.zoo.zoo import ZooEntry

FIGURES = ("layers", "params", "macs", "flops", "acts")


@click.command()
@click.argument("name", required=False)
@click.option("--check", is_flag=True, help="Hold every network's closed form to its recorded figures.")
@json_option
def zoo(name: str | None, check: bool, as_json: bool) -> None:
    """Published networks, or the one called NAME."""
    from archspace.zoo.zoo import entries, entry

    listed = [entry(name)] if name else list(entries())
    if as_json:
        print_json([_data(item) for item in listed])
    elif name:
        _print_one(listed[0])
    else:
        columns = ("name", "family", "input", "layers", "params", "flops", "top-1 error")
        print_table("", columns, [_row(item) for item in listed], left=(0, 1))
    if check:
        _check(listed)


def _check(listed: list[ZooEntry]) -> None:
    from archspace.errors import RunFailed
    from archspace.zoo.zoo import check as differences

    wrong = [problem for item in listed for problem in differences(item)]
    if wrong:
        raise RunFailed("\n".join(wrong))
    own = [item.name for item in listed if not item.exact]
    besides = f"; of {', '.join(own)} no exact count is published, the figures are the genome's own" if own else ""
    click.echo(f"{len(listed)} checked: layers, params, macs, flops and acts equal to the last unit{besides}", err=True)


def _data(item: ZooEntry) -> dict[str, Any]:
    data = {"name": item.name, "family": item.family, "input": list(item.input), "classes": item.classes}
    return data | {figure: getattr(item, figure) for figure in FIGURES} | {"published": dict(item.published)}


def _row(item: ZooEntry) -> tuple[str, ...]:
    from archspace.units import UNITS, si

    error = item.published.get("top1_error")
    costs = (si(getattr(item, figure), UNITS[figure]) for figure in ("params", "flops"))
    return (
        item.name,
        item.family,
        f"{_size(item)}/{item.classes}",
        str(item.layers),
        *costs,
        "" if error is None else f"{error} %",
    )


def _print_one(item: ZooEntry) -> None:
    """Everything that is known of a network, a line each."""
    rows = [("family", item.family), ("genome", item.genome.id), ("input", _size(item)), ("classes", str(item.classes))]
    rows += [(figure, f"{getattr(item, figure):,}") for figure in FIGURES]
    rows += [(key.replace("_", " "), str(value)) for key, value in item.published.items()]
    print_table("", ("", item.name), rows, left=(0, 1))


def _size(item: ZooEntry) -> str:
    return "x".join(str(side) for side in item.input)
