"""How long the cost of one genome takes, by family: with the code of its pieces, and by its blueprint.

Random genomes of every shipped space, each timed once: `known` others of the space came before, so that most kinds of
stages have their code; and every network of the zoo, round after round. Beside each the same genome through its
blueprint, which is what a kind costs that is not met often. `first` are the networks of the zoo when nothing of them
was met. Times are CPU microseconds of this process, garbage collection and all. Run it as
`python benchmarks/one_genome.py`; it prints a table and writes benchmarks/results/one_genome.json.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from archspace.blueprint import draw
from archspace.closed_form import cost, cost_of
from archspace.errors import GenomeError
from archspace.genome import Genome, Shape
from archspace.searching.machine import describe, versions
from archspace.space.file import load_space, shipped_spaces
from archspace.space.space import Space, genome_of
from archspace.straight import TRUSTED
from archspace.zoo.zoo import ZooEntry, entries

KNOWN, FRESH, ROUNDS, SEED = 3000, 500, 40, 0
NAMED = (
    "resnet50",
    "googlenet_no_aux",
    "densenet121",
    "RegNetY-4.0GF",
    "ResNeXt-101_64x4d",
    "ResNet-20_B_c10",
    "ResNet-1202_B_c10",
)
OUT = Path(__file__).parent / "results" / "one_genome.json"

Target = tuple[Genome, Shape, int]


def genomes(space: Space, rng: np.random.Generator) -> Iterator[Target]:
    """Random genomes of a space, of a union those of a random family, of which a network can be built."""
    inner = list(space.families.values()) or [space]
    while True:
        one = inner[rng.integers(len(inner))]
        values = {gene.name: gene.values[rng.integers(len(gene.values))] for gene in one.genes}
        try:
            genome = genome_of(one, values)
            cost(draw(genome, space.input, space.classes))
        except GenomeError:
            continue
        yield genome, space.input, space.classes


def by_blueprint(genome: Genome, input: Shape, classes: int) -> object:
    """The cost without code."""
    return cost(draw(genome, input, classes))


def clock(work: Callable[..., object], target: Target) -> float:
    """CPU microseconds of one call."""
    began = time.process_time_ns()
    work(*target)
    return (time.process_time_ns() - began) / 1e3


def both(targets: list[Target]) -> dict[str, list[float]]:
    """Microseconds of each genome by code, and by its blueprint right behind."""
    pairs = [(clock(cost_of, target), clock(by_blueprint, target)) for target in targets]
    code, blueprint = zip(*pairs, strict=True)
    return {"code": list(code), "blueprint": list(blueprint)}


def summary(times: dict[str, list[float]]) -> dict[str, Any]:
    """Median and ninth decile of each kind of time."""
    ends = {name: np.quantile(taken, [0.5, 0.9]).round(1).tolist() for name, taken in times.items()}
    found: dict[str, Any] = {name: dict(zip(("median", "p90"), pair, strict=True)) for name, pair in ends.items()}
    return found | {"n": len(next(iter(times.values())))}


def zoo(networks: tuple[ZooEntry, ...]) -> dict[str, dict[str, Any]]:
    """Every network of the zoo, by family, and some by name."""
    targets: dict[str, Target] = {item.name: (item.genome, item.input, item.classes) for item in networks}
    first = [clock(cost_of, target) for target in targets.values()]
    for _ in range(TRUSTED):
        for target in targets.values():
            cost_of(*target)
    rounds = [both(list(targets.values())) for _ in range(ROUNDS)]
    found: dict[str, dict[str, list[float]]] = {}
    for place, item in enumerate(networks):
        for name in (f"zoo: {item.family}", *([item.name] if item.name in NAMED else ())):
            own = found.setdefault(name, {"code": [], "blueprint": []})
            for kind, taken in own.items():
                taken += [one[kind][place] for one in rounds]
    return {"zoo: first": summary({"code": first})} | {name: summary(times) for name, times in found.items()}


def main() -> None:
    """Measure, print, write."""
    rng = np.random.default_rng(SEED)
    rows = zoo(entries())
    for name in shipped_spaces():
        drawn = genomes(load_space(name), rng)
        for _ in range(KNOWN):
            cost_of(*next(drawn))
        fresh = [next(drawn) for _ in range(FRESH)]
        rows[f"space: {name}"] = summary(both(fresh))
    print(f"{'':<28}{'median':>8}{'p90':>8}{'blueprint':>12}{'p90':>8}  CPU microseconds")
    for name, row in rows.items():
        times = [
            f"{row[kind][end]:>8,.0f}" for kind in ("code", "blueprint") if kind in row for end in ("median", "p90")
        ]
        print(f"{name:<28}{''.join(times[:2])}    {''.join(times[2:])}  n = {row['n']}")
    settings = {"machine": describe(), "versions": versions(), "known": KNOWN, "rounds": ROUNDS, "seed": SEED}
    OUT.write_text(json.dumps(settings | {"unit": "CPU microseconds", "results": rows}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
