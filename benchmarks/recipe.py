"""Does the default recipe train a deep network? ResNeXt-50 32x4d on the embedded digits, three seeds.

A recipe under which only shallow networks learn makes every search find shallow networks. Run it as
`python benchmarks/recipe.py`; it prints each epoch and writes benchmarks/results/recipe.json.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from pathlib import Path

import torch

import archspace
from archspace.data.tasks import load_task
from archspace.searching.machine import describe, versions
from archspace.training.device import choose_device, choose_mode
from archspace.training.loop import train
from archspace.training.recipe import Recipe

NETWORK, SEEDS, LIMIT = "resnext50_32x4d", (0, 1, 2), 0.05
OUT = Path(__file__).parent / "results" / "recipe.json"


def main() -> None:
    """Train, print, write; fails if the median val error is not under LIMIT."""
    torch.set_num_threads(1)
    task, recipe = load_task("digits"), Recipe()
    mode = choose_mode(recipe, choose_device())
    runs = []
    for seed in SEEDS:
        network = archspace.build(NETWORK, task.input, task.classes, seed)
        epochs = [dataclasses.asdict(epoch) for epoch, _ in train(network, task, recipe, mode, seed)]
        runs.append({"seed": seed, "epochs": epochs})
        print(f"seed {seed}:", ", ".join(f"{epoch['error']:.2%} in {epoch['seconds']:.1f} s" for epoch in epochs))
    final = [float(run["epochs"][-1]["error"]) for run in runs]
    print(f"val error after {recipe.epochs} epochs: median {statistics.median(final):.2%}, worst {max(final):.2%}")
    result = {
        "network": NETWORK,
        "task": f"{task.name} {task.input}, {len(task.train.labels)} train and {len(task.val.labels)} val images",
        "recipe": recipe.model_dump(),
        "mode": str(mode),
        "machine": describe(),
        "versions": versions(),
        "median_error": statistics.median(final),
        "worst_error": max(final),
        "runs": runs,
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    if statistics.median(final) >= LIMIT:
        raise SystemExit(f"the recipe leaves {NETWORK} at {statistics.median(final):.2%}, above {LIMIT:.0%}")


if __name__ == "__main__":
    main()
