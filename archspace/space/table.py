"""Costs of a whole table of genomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from archspace.costs import Cost
from archspace.errors import UserError, did_you_mean
from archspace.memory import training_memory
from archspace.program import Array
from archspace.space.budget import BATCH
from archspace.space.costing import Costing, is_word
from archspace.space.space import Gene, Space

if TYPE_CHECKING:
    import pandas as pd

FIGURES = ("params", "macs", "flops", "acts", "layers", "training_flops", "training_memory")


def costs(space: Space, table: Mapping[str, Any], figures: Sequence[str] = FIGURES) -> pd.DataFrame:
    """What each row of a table costs at the target of `space`: a column for each figure, in the units of Cost.

    The table has a column for every gene (of a union, for those that its rows use). Figures are float64, exact below
    2^53; not-a-number where no network can be built. Raises UserError for a column that is missing, of another length,
    or outside its gene.
    """
    import pandas as pd

    columns = read_table(space, table)
    size = len(next(iter(columns.values()))) if columns else len(next(iter(table.values()), ()))
    out = table_costs(Costing(space, lambda cost: _figures(cost, figures)), columns, size, len(figures))
    return pd.DataFrame(out.T, columns=list(figures), copy=False)


def table_costs(costing: Costing, columns: Mapping[str, Array], size: int, figures: int) -> Array:
    """The costs (figures x rows) of columns as `read_table` gives them."""
    out = np.empty((figures, size))
    costing.run(columns, out)
    return out


def _figures(cost: Cost, figures: Sequence[str]) -> list[Any]:
    """Figures of a cost by name; training memory is that of a step of BATCH images."""
    return [
        training_memory(cost, BATCH) if figure == "training_memory" else getattr(cost, figure) for figure in figures
    ]


def read_table(space: Space, table: Mapping[str, Any]) -> dict[str, Array]:
    """A table's columns as Costing takes them; raises UserError."""
    columns = {gene.name: _column(space, gene, table) for gene in space.genes if len(gene.values) > 1}
    if len({len(column) for column in columns.values()}) > 1:
        raise UserError(f"table: columns of {', '.join(f'{name} ({len(c)})' for name, c in columns.items())} differ")
    return columns


def _column(space: Space, gene: Gene, table: Mapping[str, Any]) -> Array:
    if gene.name not in table:
        raise UserError(f"table: no column {gene.name!r}{did_you_mean(gene.name, table)}; space {space.name} needs it")
    column = np.asarray(table[gene.name])
    if is_word(gene):
        codes = np.full(len(column), -1, np.int8)
        for number, value in enumerate(gene.values):
            codes[column == value] = number
        return codes
    return column
