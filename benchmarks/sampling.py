"""How fast genomes within a budget are drawn: solved for it, or drawn at random and rejected.

Bands of decreasing width around one budget. Rejection comes in two kinds: one genome after another on the scalar path,
and batches of 4,096 costed at once, the stronger opponent. In each round every kind has the same time, in an order that
rotates. Counted are draws within the band, repeats included; acceptance is the share of looks that gave one: of random
genomes for rejection, of settings of the free genes for the solver. Run it as `python benchmarks/sampling.py`; it
prints a table and writes benchmarks/results/sampling.json.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from archspace.errors import BudgetError
from archspace.searching.machine import describe, versions
from archspace.space.budget import Budget, parse_budget
from archspace.space.file import load_space
from archspace.space.sampler import candidate, draws
from archspace.space.solver import Solver, costing_of, drawn_numbers, solver_of
from archspace.space.space import Space

SPACES = ("resnext", "preact", "densenet")
BUDGETS = ("4GFLOPs", "4GFLOPs±10%", "4GFLOPs±1%", "4GFLOPs±0.1%", "4GFLOPs±0.01%", "4GFLOPs±1%, 20Mparams±5%")
ROUNDS, SECONDS, BATCH = 3, 1.0, 4096
OUT = Path(__file__).parent / "results" / "sampling.json"

Way = Callable[[Space, Budget, int, float], tuple[int, int, float]]
"""Draws for some seconds: how many within the budget, of how many looks, in how many seconds of this process."""


def solved(space: Space, budget: Budget, seed: int, seconds: float) -> tuple[int, int, float]:
    """archspace's own draws; looks are settings of the free genes, counted apart."""
    began, found = time.process_time(), 0
    try:
        for _ in draws(space, budget, random.Random(seed)):
            found += 1
            if time.process_time() - began > seconds:
                break
    except BudgetError:
        pass
    spent = time.process_time() - began
    solver = solver_of(space, budget.limits)
    free = drawn_numbers(solver.free, 512, np.random.default_rng(seed))
    solutions = solver.solutions(free)
    share = (solutions.last >= solutions.first).any(1).mean()
    return found, round(found / share) if share else 0, spent


def rejected(space: Space, budget: Budget, seed: int, seconds: float) -> tuple[int, int, float]:
    """Random genomes, costed in batches; those within the band become genomes with their exact cost."""
    rng, began, found, looks = np.random.default_rng(seed), time.process_time(), 0, 0
    solver = Solver(space, budget.limits, costing_of(space, budget.limits), space.genes, (), ())
    while time.process_time() - began < seconds:
        numbers = drawn_numbers(space.genes, BATCH, rng)
        figures = solver.figures(space.genes, list(numbers.T))
        inside = np.all(
            [(row >= limit.low) & (row <= limit.high) for row, limit in zip(figures, budget.limits, strict=True)],
            axis=0,
        )
        for place in np.flatnonzero(inside):
            values = {gene.name: gene.values[n] for gene, n in zip(space.genes, numbers[place], strict=True)}
            found += candidate(space, values) is not None
            if time.process_time() - began > seconds:
                looks -= BATCH - place - 1
                break
        looks += BATCH
    return found, looks, time.process_time() - began


def rejected_singly(space: Space, budget: Budget, seed: int, seconds: float) -> tuple[int, int, float]:
    """Random genomes, one after another."""
    rng, began, found, looks = np.random.default_rng(seed), time.process_time(), 0, 0
    while time.process_time() - began < seconds:
        for numbers in drawn_numbers(space.genes, 64, rng):
            values = {gene.name: gene.values[n] for gene, n in zip(space.genes, numbers, strict=True)}
            item = candidate(space, values)
            found += item is not None and budget.allows(item.cost)
            looks += 1
    return found, looks, time.process_time() - began


WAYS: dict[str, Way] = {"solved": solved, "rejection in batches": rejected, "rejection one by one": rejected_singly}


def main() -> None:
    """Measure, print, write."""
    rows: list[dict[str, Any]] = []
    for name in SPACES:
        space = load_space(name)
        for text in BUDGETS:
            budget = parse_budget([text])
            for way in WAYS.values():  # traces and probes are made once for a space
                way(space, budget, 99, 0.1)
            measured: dict[str, list[tuple[int, int, float]]] = {way: [] for way in WAYS}
            for turn in range(ROUNDS):
                for shift in range(len(WAYS)):
                    way = list(WAYS)[(turn + shift) % len(WAYS)]
                    measured[way].append(WAYS[way](space, budget, turn, SECONDS))
            rows.append({"space": name, "budget": text} | {way: _summary(runs) for way, runs in measured.items()})
            print(_line(rows[-1]), flush=True)
    result = {"machine": describe(), "versions": versions(), "rounds": ROUNDS, "seconds": SECONDS, "batch": BATCH}
    OUT.write_text(json.dumps(result | {"rows": rows}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _summary(runs: list[tuple[int, int, float]]) -> dict[str, Any]:
    rates = [found / seconds for found, _, seconds in runs]
    looks = sum(looks for _, looks, _ in runs)
    return {
        "draws_per_second": statistics.median(rates),
        "range": [min(rates), max(rates)],
        "acceptance": sum(found for found, _, _ in runs) / looks if looks else 0.0,
        "draws": sum(found for found, _, _ in runs),
    }


def _line(row: dict[str, Any]) -> str:
    cells = [f"{row[way]['draws_per_second']:8.1f}/s ({100 * row[way]['acceptance']:8.4f}%)" for way in WAYS]
    return f"{row['space']:<9} {row['budget']:<26} " + "  ".join(cells)


if __name__ == "__main__":
    main()
