"""How a command ends: its data as JSON or a table on stdout, its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.measure import Measurement
    from rich.table import Table

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of the signal."""
FOLDED = 20
"""Characters that a folded line of text in a table has at the least, where it has as many."""
SEED = click.IntRange(min=0)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
runs_option = click.option(
    "--runs", type=click.Path(file_okay=False), default=None, help="Folder of runs [ARCHSPACE_RUNS, else ./runs]."
)


def print_json(data: Any) -> None:
    """Print plain data as JSON, numbers that are not finite as null."""
    click.echo(json.dumps(_finite(data), indent=2, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)) -> None:
    """Print a table: columns at `left` are flush left, the others flush right.

    In a narrow terminal text is folded, but not the first column or a figure: rows rather run on.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    cells = [[str(cell) for cell in row] for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        words = index in left
        longest = max((len(row[index]) for row in cells), default=0)
        table.add_column(
            column,
            justify="left" if words else "right",
            overflow="fold",
            no_wrap=index == 0 or not words,
            min_width=min(longest, FOLDED),
        )
    for row in cells:
        table.add_row(*row)
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = 200  # a pipe has no width: keep each row on one line
    table.collapse_padding = _widths(table).maximum > console.width
    console.width = max(console.width, _widths(table).minimum)
    if title:
        click.echo(title)
    with console.capture() as text:  # rich would end the process where the reader of a pipe went away
        console.print(table)
    click.echo(text.get(), nl=False)


def _widths(table: Table) -> Measurement:
    """The least and greatest width that a table has a use for."""
    from rich.console import Console

    return Console(width=10_000).measure(table)  # wider than any table: a console's own width would cap both


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and data - data != 0 else data
