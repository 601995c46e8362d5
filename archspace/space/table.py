"""Costs of a whole table of genomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from numbers import Real as Number
from typing import TYPE_CHECKING, Any

import numpy as np

from archspace.closed_form import Cost
from archspace.errors import UserError, did_you_mean
from archspace.memory import training_memory
from archspace.plainwords import found
from archspace.program import Array
from archspace.space.budget import BATCH
from archspace.space.costing import Costing, is_word
from archspace.space.space import FAMILY, Gene, Space, Value

if TYPE_CHECKING:
    import pandas as pd

    Table = Mapping[str, Any] | pd.DataFrame

FIGURES = ("params", "macs", "flops", "acts", "layers", "training_flops", "training_memory")

LISTED = 2**20
"""Whole numbers of a range for which it is noted which of them a gene may be."""
SHOWN = 8
"""Values that a message names."""


def costs(space: Space, table: Table, figures: Sequence[str] = FIGURES) -> pd.DataFrame:
    """What each row of a table costs at the target of `space`: a column for each figure, in the units of Cost.

    The table, a DataFrame or a mapping of columns, has one for every gene of more than one value (of a union, for those
    of the families that its rows name); others are not read. Figures are float64, exact below 2^53; not-a-number where
    no network can be built. Raises UserError for an unknown figure, and for a column that is missing, of another
    length, or outside its gene.
    """
    import pandas as pd

    for figure in figures:
        if figure not in FIGURES:
            raise UserError(f"figures: unknown {figure!r}{did_you_mean(figure, FIGURES)}; known: {', '.join(FIGURES)}")
    columns = read_table(space, table)
    out = np.empty((len(figures), _rows_of(table, columns)))
    _costing(space, tuple(figures)).run(columns, out)
    return pd.DataFrame(out.T, columns=list(figures), copy=False)


@lru_cache(maxsize=32)
def _costing(space: Space, figures: tuple[str, ...]) -> Costing:
    """The costing of some figures: what it traced for one table serves the next."""
    return Costing(space, lambda cost: _figures(cost, figures))


def _figures(cost: Cost, figures: Sequence[str]) -> list[Any]:
    """Figures of a cost by name; training memory is that of a step of BATCH images."""
    return [
        training_memory(cost, BATCH) if figure == "training_memory" else getattr(cost, figure) for figure in figures
    ]


def _rows_of(table: Table, columns: Mapping[str, Array]) -> int:
    """How many rows a table has; where no column was read, by its index or by its first column."""
    if columns:
        return len(next(iter(columns.values())))
    return len(next(iter(table.values()), ())) if isinstance(table, Mapping) else len(table.index)


def read_table(space: Space, table: Table) -> dict[str, Array]:
    """A table's columns as Costing takes them; raises UserError."""
    if not hasattr(table, "keys"):
        raise UserError("table: expected a DataFrame or a mapping of columns; of a list of rows make a DataFrame first")
    genes = {gene.name: gene for gene in space.genes}
    others = [str(name) for name in table if name not in genes]
    if not space.families:
        return _columns(space.genes, table, None, others)
    columns = _columns((genes[FAMILY],), table, None, others)
    for number, (name, inner) in enumerate(space.families.items()):
        rows = np.flatnonzero(columns[FAMILY] == number)
        own = [genes[f"{name}.{gene.name}"] for gene in inner.genes]
        columns |= _columns(own, table, rows, others) if len(rows) else {}
    return columns


def _columns(genes: Sequence[Gene], table: Table, rows: Array | None, others: Sequence[str]) -> dict[str, Array]:
    """The genes' columns, of which `rows` alone are looked at and filled, or all of them; `others` are no genes'."""
    columns: dict[str, Array] = {}
    for gene in genes:
        if gene.name in table:
            columns[gene.name] = _column(gene, table[gene.name], rows)
        elif len(gene.values) > 1:
            hint = did_you_mean(gene.name, others)
            raise UserError(f"table: no column {gene.name!r}{hint}; it may have {_shown(gene.values)}")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
        raise UserError(f"table: columns have one row for each genome, but their lengths are {told}")
    return columns


def _column(gene: Gene, given: Any, rows: Array | None) -> Array:
    entries = given if hasattr(given, "dtype") else np.asarray(given)
    if entries.ndim != 1:
        raise UserError(f"table: column {gene.name!r}: expected one value for each row, in one column of that name")
    read = _words if is_word(gene) else _numbers
    if rows is None:
        return read(gene, entries, None)
    if rows[-1] >= len(entries):
        raise UserError(f"table: column {gene.name!r} has {len(entries)} rows, fewer than column {FAMILY!r}")
    held = getattr(entries, "array", entries)  # of a Series; categories stay categories
    own = read(gene, held[rows], rows)
    column: Array = np.zeros(len(entries), own.dtype)
    column[rows] = own
    return column


def _words(gene: Gene, entries: Any, rows: Array | None) -> Array:
    """The number of each word among the gene's values."""
    import pandas as pd

    held = getattr(entries, "array", entries)
    codes, words = (held.codes, held.categories) if isinstance(held, pd.Categorical) else pd.factorize(entries)
    numbers = pd.Index(gene.values, dtype=object).get_indexer(pd.Index(words, dtype=object))
    kind = np.int8 if len(gene.values) < 2**7 else np.int32
    column: Array = np.append(numbers, -1).astype(kind)[codes]
    _refuse(gene, entries, column < 0, rows)
    return column


def _numbers(gene: Gene, entries: Any, rows: Array | None) -> Array:
    """The entries, checked; whole numbers as such however they were given."""
    numbers, known = _as_numbers(gene, np.asarray(entries), rows), np.array(gene.values)
    low, high = known[0], known[-1]
    if known.dtype.kind == "i" and high - low < LISTED:
        listed = np.zeros(high - low + 1, bool)
        listed[known - low] = True
        if numbers.dtype.kind == "i" and len(numbers) and low <= numbers.min() and numbers.max() <= high:
            if not listed.all() and not listed.take(numbers - low).all():
                _refuse(gene, entries, ~listed[numbers - low], rows)
            return numbers
        inside = (numbers >= low) & (numbers <= high)
        taken = np.where(inside, numbers, low).astype(known.dtype)
        right = inside & (taken == numbers) & listed[taken - low]
    else:
        taken = known[np.minimum(np.searchsorted(known, numbers), len(known) - 1)]
        right = taken == numbers
    _refuse(gene, entries, ~right, rows)
    return np.asarray(taken)


def _as_numbers(gene: Gene, entries: Array, rows: Array | None) -> Array:
    """The entries as an array of numbers; text is none, and truth values are not either."""
    if entries.dtype.kind in "iuf":
        return entries
    if len(entries) and entries.dtype.kind != "O":
        _refuse(gene, entries, np.ones(len(entries), bool), rows)
    wrong = [not isinstance(entry, Number) or isinstance(entry, bool) for entry in entries]
    _refuse(gene, entries, np.array(wrong, bool), rows)
    return entries.astype(np.float64)


def _refuse(gene: Gene, entries: Any, wrong: Array, rows: Array | None) -> None:
    """Raise UserError for the first wrong entry; `rows` are the table's rows that the entries are from."""
    if wrong.any():
        place = int(wrong.argmax())
        entry = np.asarray(entries)[place : place + 1].tolist()[0]
        hint = did_you_mean(entry, map(str, gene.values)) if is_word(gene) else ""
        row = place if rows is None else int(rows[place])
        raise UserError(
            f"table: column {gene.name!r}, row {row} (the first is 0): {found(entry)} is no value of this gene{hint}; "
            f"it may have {_shown(gene.values)}"
        )


def _shown(values: Sequence[Value]) -> str:
    """Some values of a gene, for a message."""
    if len(values) <= SHOWN:
        return ", ".join(map(str, values))
    return f"{', '.join(map(str, values[: SHOWN // 2]))}, ..., {values[-1]}"
