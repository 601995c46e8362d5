"""How a command ends: its data as JSON or a table on stdout, its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of the signal."""
SEED = click.IntRange(min=0)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
runs_option = click.option(
    "--runs", type=click.Path(file_okay=False), default=None, help="Folder of runs [ARCHSPACE_RUNS, else ./runs]."
)


def print_json(data: Any) -> None:
    """Print plain data as JSON, numbers that are not finite as null."""
    click.echo(json.dumps(_finite(data), indent=2, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)) -> None:
    """Print a table: columns at `left` are flush left, the others flush right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index in left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = 200  # a pipe has no width: keep each row on one line
    if title:
        click.echo(title)
    with console.capture() as text:  # rich would end the process where the reader of a pipe went away
        console.print(table)
    click.echo(text.get(), nl=False)


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and data - data != 0 else data
