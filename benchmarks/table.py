"""How fast the costs of tables are, in genomes per second.

Tables of random genomes on one core: `resnext` alone (homogeneous), and an equal mix of `resnet`, `resnext` and
`preact` as a space of three families; each with the counts alone, and with the peak memory of training too. Words are
pandas categories. Times are CPU seconds of this process, whose BLAS has one thread; in each round every measurement
runs once. Run it as `python benchmarks/table.py`; it prints a table and writes benchmarks/results/table.json.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from archspace.document import read_text
from archspace.searching.machine import describe, versions
from archspace.space.costing import column_of
from archspace.space.file import load_space, read_space
from archspace.space.solver import drawn_numbers
from archspace.space.space import FAMILY, Space
from archspace.space.table import costs

ROWS, ROUNDS, SEED = 1_000_000, 7, 0
MIXED = "target: {input: [3, 224, 224], classes: 1000}\nfamilies: [resnet, resnext, preact]\n"
COUNTS = ("params", "macs", "flops", "acts", "training_flops")
SETS = {"counts": COUNTS, "counts and training memory": (*COUNTS, "training_memory"), "flops": ("flops",)}
OUT = Path(__file__).parent / "results" / "table.json"


def table_of(space: Space, rows: int) -> dict[str, Any]:
    """A table of random genomes of a space, of a union an equal number from each family."""
    rng = np.random.default_rng(SEED)
    if not space.families:
        numbers = drawn_numbers(space.genes, rows, rng)
        return {gene.name: _column(gene, own) for gene, own in zip(space.genes, numbers.T, strict=True)}
    names = list(space.families)
    table: dict[str, Any] = {FAMILY: pd.Categorical.from_codes(rng.integers(len(names), size=rows), names)}
    for name, inner in space.families.items():
        table |= {f"{name}.{key}": column for key, column in table_of(inner, rows).items()}
    return table


def _column(gene: Any, numbers: Any) -> Any:
    return column_of(gene, numbers) if gene.ordered else pd.Categorical.from_codes(numbers, list(gene.values))


def clock(work: Callable[[], object]) -> float:
    """CPU seconds of this process, with the garbage of others out of the way."""
    gc.collect()
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Measure, print, write."""
    spaces = {"homogeneous: resnext": load_space("resnext"), "mixed: resnet, resnext, preact": _mixed()}
    works: dict[str, tuple[int, Callable[[], object]]] = {}
    for name, space in spaces.items():
        table = table_of(space, ROWS)
        for what, figures in SETS.items():
            works[f"{name}; {what}"] = ROWS, lambda s=space, t=table, f=figures: costs(s, t, f)  # type: ignore[misc]
    for _, work in works.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, (_, work) in works.items():
            seconds[name].append(clock(work))
    rows = {name: _summary(works[name][0], taken) for name, taken in seconds.items()}
    for name, row in rows.items():
        print(f"{name:<60} {row['median']:>12,.1f} {row['unit']} ({row['best']:,.1f} at best)")
    result = {"machine": describe(), "versions": versions(), "rows": ROWS, "rounds": ROUNDS, "seed": SEED}
    OUT.write_text(json.dumps(result | {"results": rows}, indent=1) + "\n", encoding="utf-8")


def _mixed() -> Space:
    return read_space(read_text(MIXED, "mixed.yaml"))


def _summary(count: int, seconds: list[float]) -> dict[str, Any]:
    figures = [count / taken for taken in seconds]
    low, median, high = statistics.quantiles(figures, n=4, method="inclusive")
    quartiles = [low, high]
    return {
        "unit": "genomes a second",
        "median": median,
        "quartiles": quartiles,
        "best": max(figures),
        "n": len(figures),
    }


if __name__ == "__main__":
    main()
