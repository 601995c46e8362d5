"""Random rows of spaces, their table, and what the ordinary path says that they cost."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from archspace.blueprint import draw
from archspace.closed_form import Cost, cost, cost_of
from archspace.document import read_text
from archspace.errors import GenomeError
from archspace.memory import training_memory
from archspace.space.budget import BATCH
from archspace.space.costing import Branch, Costing
from archspace.space.file import read_space
from archspace.space.space import Space, Value, genome_of, of_family
from archspace.space.table import FIGURES, costs, read_table

Row = dict[str, Value]
Figures = NDArray[np.float64]


def space_in(text: str) -> Space:
    return read_space(read_text(text, "test.yaml"))


def changed(space: Space, **values: tuple[Value, ...]) -> Space:
    """The space with other values of some genes, even such as a space file may not have."""
    assert set(values) <= {gene.name for gene in space.genes}
    return replace(space, genes=tuple(replace(gene, values=values.get(gene.name, gene.values)) for gene in space.genes))


def random_rows(space: Space, count: int, seed: int = 0) -> list[Row]:
    """Uniform draws of every gene; of a union, as many of each family as can be, in a random order."""
    rng = random.Random(seed)
    if not space.families:
        return [{gene.name: rng.choice(gene.values) for gene in space.genes} for _ in range(count)]
    inner = list(space.families.items())
    rows = [of_family(name, random_rows(one, 1, rng.getrandbits(32))[0]) for name, one in (inner * count)[:count]]
    rng.shuffle(rows)
    return rows


def table_of(rows: Sequence[Row]) -> pd.DataFrame:
    """A column for every gene that some row has."""
    return pd.DataFrame(list(rows))


def one_by_one(space: Space, rows: Sequence[Row], figures: Sequence[str] = FIGURES) -> Figures:
    """What the ordinary path says that rows cost (rows x figures); not-a-number where it finds no network."""
    found = [_figures_of_row(space, row, figures) for row in rows]
    return np.array(found, np.float64).reshape(len(rows), len(figures))


def _figures_of_row(space: Space, row: Row, figures: Sequence[str]) -> list[float]:
    try:
        genome = genome_of(space, row)
        expected = cost(draw(genome, space.input, space.classes))
    except GenomeError:
        return [np.nan] * len(figures)
    assert cost_of(genome, space.input, space.classes) == expected
    return _figures(expected, figures)


def _figures(cost: Cost, figures: Sequence[str]) -> list[Any]:
    known = {"training_memory": training_memory(cost, BATCH)}
    return [known[figure] if figure in known else getattr(cost, figure) for figure in figures]


def disagreeing(space: Space, rows: Sequence[Row], table: Any = None) -> list[tuple[Row, Any, Any]]:
    """Each row that table and ordinary path do not agree on, with what they say."""
    found = costs(space, table_of(rows) if table is None else table).to_numpy()
    return differences(rows, found, one_by_one(space, rows))


def differences(rows: Sequence[Row], found: Figures, expected: Figures) -> list[tuple[Row, Any, Any]]:
    """The rows in which figures (rows x figures) differ, each with both."""
    same = ((found == expected) | (np.isnan(found) & np.isnan(expected))).all(1)
    return [(rows[number], found[number], expected[number]) for number in np.flatnonzero(~same).tolist()]


def traced(space: Space, rows: Sequence[Row]) -> tuple[Figures, list[Branch]]:
    """What a table says that rows cost (rows x figures), and where their ways through the cost functions end."""
    costing = Costing(space, lambda cost: _figures(cost, FIGURES))
    out = np.empty((len(FIGURES), len(rows)))
    costing.run(read_table(space, table_of(rows)), out)
    left, ends = [costing.root, *(inner.root for _, inner in costing.families)], []
    while left:
        branch = left.pop()
        left += branch.children.values()
        ends += [branch] if branch.traced and branch.question is None else []
    return out.T, ends
