"""Do depth and width matter on the hierarchy task? Networks of basic blocks, deeper and wider, trained alike.

Each network is trained with each seed, the task being the same; error is that on val after the last epoch. The task's
defaults were chosen with such trainings, so that MID lies where it does. Run it as `python benchmarks/hierarchy.py`;
it prints a table and writes benchmarks/results/hierarchy.json.
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import archspace
from archspace.blocks.basic import BasicGenes
from archspace.data.hierarchy import Hierarchy, hierarchy
from archspace.data.tasks import Task
from archspace.genome import Genome, Stage, Stem
from archspace.searching.machine import describe, versions
from archspace.training.device import choose_mode
from archspace.training.loop import train
from archspace.training.recipe import Recipe

RECIPE = Recipe(
    epochs=6, rungs=(6,), batch=32, lr=0.1, warmup=0.5, label_smoothing=0.0, norm_batches=16, precision="fp32"
)
SEEDS = (0, 1, 2)
LOW, HIGH = 0.05, 0.20
OUT = Path(__file__).parent / "results" / "hierarchy.json"


@dataclass(frozen=True)
class Net:
    """A stem that halves the image, then `stages` that each halve it again, of `depth` basic blocks."""

    stages: int
    depth: int
    width: int

    def __str__(self) -> str:
        return f"{self.stages} stages x {self.depth} blocks, width {self.width}"

    @property
    def genome(self) -> Genome:
        """The same width throughout, so that depth and width are told apart."""
        stage = Stage("basic", self.depth, self.width, 2, BasicGenes())
        return Genome((stage,) * self.stages, Stem("regnet", self.width))


MID = Net(3, 1, 16)
BY_DEPTH = (Net(1, 1, 16), Net(2, 1, 16), MID, Net(3, 2, 16))
DEEPER = Net(3, 3, 16)
"""Reported, not required to be better: at this width a third block in each stage gained nothing."""
BY_WIDTH = (Net(3, 1, 8), MID, Net(3, 1, 32))


def error_of(net: Net, task: Task, seed: int) -> dict[str, float]:
    """Errors on val and train loss after the last epoch, and CPU seconds."""
    network = archspace.build(net.genome, task.input, task.classes, seed)
    began = time.process_time()
    *_, (last, _) = train(network, task, RECIPE, choose_mode(RECIPE, "cpu"), seed)
    spent = time.process_time() - began
    return {"seed": seed, "error": last.error, "train_loss": last.train_loss, "seconds": spent}


def measure(nets: tuple[Net, ...], task: Task) -> list[dict[str, Any]]:
    """A row for each network."""
    rows = []
    for net in dict.fromkeys(nets):
        runs = [error_of(net, task, seed) for seed in SEEDS]
        errors = [run["error"] for run in runs]
        cost = archspace.cost(net.genome, task.input, task.classes)
        middle = statistics.median(errors)
        print(f"{net}: {middle:.1%} ({min(errors):.1%} to {max(errors):.1%}), {runs[0]['seconds']:.0f} s", flush=True)
        spread = {"median_error": middle, "min_error": min(errors), "max_error": max(errors)}
        shape = {"stages": net.stages, "depth": net.depth, "width": net.width}
        rows.append({**shape, "flops": cost.flops, "params": cost.params, **spread, "runs": runs})
    return rows


def median(net: Net, rows: list[dict[str, Any]]) -> float:
    """Of a network that was measured."""
    found = (row for row in rows if (row["stages"], row["depth"], row["width"]) == (net.stages, net.depth, net.width))
    return float(next(found)["median_error"])


def main() -> None:
    """Train, print, write; fails if error does not fall with depth and width, or MID is not between LOW and HIGH."""
    torch.set_num_threads(1)
    task = hierarchy("", {}, lambda *_: None)
    print("error on val, median of", len(SEEDS), "seeds (least to greatest)")
    rows = measure((*BY_DEPTH, DEEPER, *BY_WIDTH), task)
    result = {
        "error": "on val after the last epoch, a fraction; chance leaves 0.9",
        "network": "stem of stride 2, then stages of basic blocks with stride 2, the same width throughout",
        "recipe": RECIPE.model_dump(),
        "clock": "CPU time of the process",
        "threads": torch.get_num_threads(),
        "machine": describe(),
        "versions": versions(),
        "seeds": SEEDS,
        "task": {"options": Hierarchy().model_dump(), "input": task.input, "fingerprint": task.fingerprint},
        "networks": rows,
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    for nets in (BY_DEPTH, BY_WIDTH):
        errors = [median(net, rows) for net in nets]
        if errors != sorted(errors, reverse=True):
            raise SystemExit(f"error does not fall from {nets[0]} to {nets[-1]}: {errors}")
    if not LOW <= median(MID, rows) <= HIGH:
        raise SystemExit(f"{MID} is at {median(MID, rows):.1%}, not between {LOW:.0%} and {HIGH:.0%}")


if __name__ == "__main__":
    main()
