"""How weights start, and at which rate: ResNet-20 on CIFAR-10 with the recipe `fast`, val error after its epochs.

Run it as `ARCHSPACE_DATA=... python benchmarks/initialisation.py`: every combination of NETWORKS, STARTS and RATES, or
some of them given as `A:he:0.2` (shortcut type, start, rate), as many side by side as `--together` says. It writes
benchmarks/results/initialisation.json,
in which combinations measured before stay. On one core a combination takes an hour and more.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

import archspace
from archspace.blueprint import draw
from archspace.data.tasks import load_task
from archspace.network import build
from archspace.searching.machine import describe, versions
from archspace.training.device import choose_device, choose_mode
from archspace.training.loop import train
from archspace.training.recipefile import load_recipe

TASK, RECIPE, SEED = "cifar10", "fast", 0
NETWORKS = {"A": "ResNet-20_A_c10", "B": "ResNet-20_B_c10"}
STARTS, RATES = ("he", "he-zero-last-norm"), (0.1, 0.2, 0.4, 0.8)
OUT = Path(__file__).parent / "results" / "initialisation.json"


def measure(shortcut: str, start: str, rate: float, epochs: int | None) -> dict[str, Any]:
    """The curve of one training."""
    torch.set_num_threads(1)
    task, device = load_task(TASK), choose_device()
    changes: dict[str, Any] = {"lr": rate, "compile": "graphs"} | (
        {"epochs": epochs, "rungs": (epochs,)} if epochs else {}
    )
    recipe = load_recipe(RECIPE).model_copy(update=changes)
    genome = dataclasses.replace(archspace.load_genome(NETWORKS[shortcut]), initialisation=start)
    network = build(draw(genome, task.input, task.classes), torch.Generator().manual_seed(SEED))
    curve = [dataclasses.asdict(epoch) for epoch, _ in train(network, task, recipe, choose_mode(recipe, device), SEED)]
    mode = str(choose_mode(recipe, device))
    return {
        "start": start,
        "rate": rate,
        "epochs": len(curve),
        "error": curve[-1]["error"],
        "mode": mode,
        "curve": curve,
    }


def alone(name: str, epochs: int | None) -> dict[str, Any]:
    """One combination in a process of its own."""
    extra = ["--epochs", str(epochs)] if epochs else []
    command = [sys.executable, __file__, "--one", name, *extra]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    print(f"{name}: val error {found['error']:.2%}", flush=True)
    return found


def main() -> None:
    """Measure what is asked for and write."""
    parser = argparse.ArgumentParser()
    every = [f"{name}:{start}:{rate:g}" for name in NETWORKS for start in STARTS for rate in RATES]
    parser.add_argument("names", nargs="*", default=every)
    parser.add_argument("--one")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--together", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    if asked.one:
        shortcut, start, rate = asked.one.split(":")
        print(json.dumps(measure(shortcut, start, float(rate), asked.epochs)))
        return
    with ThreadPoolExecutor(asked.together) as pool:
        found = list(pool.map(lambda name: alone(name, asked.epochs), asked.names))
    before = json.loads(asked.out.read_text())["runs"] if asked.out.exists() else []
    runs = {(run["network"], run["start"], run["rate"]): run for run in (*before, *found)}
    result = {
        "task": f"{load_task(TASK).name} (JPEG), {load_task(TASK).splits}",
        "recipe": {"name": RECIPE} | load_recipe(RECIPE).model_dump(),
        "seed": SEED,
        "machine": describe(),
        "versions": versions(),
        "runs": [runs[key] for key in sorted(runs)],
    }
    asked.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
