"""ResNet-20 on CIFAR-10 with the recipe `fast`, three seeds: the test error after its epochs, and the curve to it.

Run it as `ARCHSPACE_DATA=... python benchmarks/resnet20.py [SEED ...]`; each seed trains on one thread, so start one
for each core, or some at a time on a GPU. It goes on from the checkpoints in `runs/resnet20-DEVICE` where it was
stopped, and writes benchmarks/results/resnet20.json (resnet20_gpu.json) after each seed, in which the seeds measured
before stay where they were trained in the same way. `--merge` only gathers what was trained; `--quick` trains on few
images, to try it out, and writes beside its checkpoints.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any

import torch
from loops import part_of

import archspace
from archspace.data.tasks import Task, load_task
from archspace.records.metrics import append_metrics, keep_metrics, read_metrics
from archspace.searching.machine import describe, versions
from archspace.training.checkpoint import load_checkpoint, save_checkpoint
from archspace.training.device import choose_device, choose_mode
from archspace.training.evaluation import evaluate
from archspace.training.feed import feed
from archspace.training.loop import train
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe
from archspace.training.recipefile import load_recipe

NETWORK, TASK, RECIPE, SEEDS = "ResNet-20_A_c10", "cifar10", "fast", (0, 1, 2)
FASTER = {"layout": "channels_last"}
"""Measured on the CPU that this was run on: 1.1 times the images a second."""
CHANGES: dict[str, tuple[type, str]] = {
    "rate": (float, "lr"),
    "batch": (int, "batch"),
    "decay": (float, "weight_decay"),
}
"""What the command line may change of the recipe."""
GOAL = 0.12
"""The test error that the recipe is to stay below."""
DEVICE = choose_device()
RESULTS = Path(__file__).parent / "results"


def recipe_of(asked: argparse.Namespace) -> Recipe:
    """The recipe as it is, but for what the command line changes; on a GPU steps are recorded."""
    changes = {field: getattr(asked, name) for name, (_, field) in CHANGES.items() if getattr(asked, name)}
    recipe = load_recipe(RECIPE).model_copy(update=changes)
    recipe = recipe.model_copy(update={"compile": "graphs"} if DEVICE == "cuda" else FASTER)
    return recipe.model_copy(update={"epochs": 3, "rungs": (3,), "norm_batches": 1}) if asked.quick else recipe


def setting(asked: argparse.Namespace) -> tuple[Task, Recipe, Mode]:
    """What is trained on, how, and in which mode."""
    task, recipe = load_task(TASK), recipe_of(asked)
    return part_of(task, 256) if asked.quick else task, recipe, choose_mode(recipe, DEVICE)


def one_seed(seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Train to the end, from where it was; the curve, and the test split once, at the end."""
    task, recipe, mode = setting(asked)
    folder = folder_of(asked) / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    start = load_checkpoint(folder)
    keep_metrics(folder, start.epoch if start else 0)
    genome = dataclasses.replace(archspace.load_genome(NETWORK), initialisation=asked.start)
    network = archspace.build(genome, task.input, task.classes, seed)
    for epoch, state in train(network, task, recipe, mode, seed, start):
        append_metrics(folder, dataclasses.asdict(epoch))
        save_checkpoint(state, folder)
        print(f"seed {seed} epoch {epoch.epoch:2} val {epoch.error:.2%} {epoch.speed:.0f} images/s", flush=True)
    last = load_checkpoint(folder)
    assert last is not None
    network.load_state_dict(last.weights)
    error, nats = evaluate(network.to(mode.device), feed(task.test, task, mode))
    print(f"seed {seed}: test error {error:.2%}", flush=True)
    curve = read_metrics(folder)
    result = {
        "seed": seed,
        "test_error": error,
        "test_cross_entropy": nats,
        "seconds": sum(epoch["seconds"] for epoch in curve),
        "mode": str(mode),
        "epochs": curve,
    }
    (folder / "result.json").write_text(json.dumps(result) + "\n")
    return result


def folder_of(asked: argparse.Namespace) -> Path:
    """Where trainings of this kind are kept."""
    changed = [f"{name}={getattr(asked, name)}" for name in CHANGES if getattr(asked, name)]
    return Path("runs") / f"resnet20-{DEVICE}" / "-".join([asked.start, *changed, *(["quick"] if asked.quick else [])])


def gather(asked: argparse.Namespace) -> None:
    """Write what is known of all seeds: those of this folder, and those that the file has of the same training."""
    found = [json.loads(path.read_text()) for path in folder_of(asked).glob("*/result.json")]
    recipe = json.loads(recipe_of(asked).model_dump_json())
    told = {"initialisation": asked.start, "recipe": {"name": RECIPE} | recipe}
    out, found = asked.out, [run for run in found if len(run["epochs"]) == recipe["epochs"]]
    before = json.loads(out.read_text()) if out.exists() else {}
    same = all(before.get(key) == value for key, value in told.items())
    runs = {run["seed"]: run for run in (*(before["seeds"] if same else []), *found)}
    errors = [run["test_error"] for run in runs.values()]
    result = {
        "network": NETWORK,
        "task": f"{load_task(TASK).name} (JPEG), {load_task(TASK).splits}",
        **told,
        "machine": describe(),
        "threads": 1,
        "versions": versions(),
        "mean_test_error": statistics.fmean(errors),
        "standard_deviation": statistics.stdev(errors) if len(errors) > 1 else None,
        "seeds": [runs[seed] for seed in sorted(runs)],
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    print(f"test error of {len(errors)} seeds: {statistics.fmean(errors):.2%}", flush=True)


def main() -> None:
    """Train the seeds, write, and fail where the goal is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--start", default="auto", help="how weights start, as a genome's initialisation")
    for name, (kind, _) in CHANGES.items():
        parser.add_argument(f"--{name}", type=kind, help="in place of the recipe's")
    parser.add_argument(
        "--out", type=Path, default=RESULTS / ("resnet20_gpu.json" if DEVICE == "cuda" else "resnet20.json")
    )
    asked = parser.parse_args()
    if asked.quick:
        asked.out = folder_of(asked) / "quick.json"
    torch.set_num_threads(1)
    missed = False
    for seed in () if asked.merge else asked.seeds:
        missed |= one_seed(seed, asked)["test_error"] > GOAL and not asked.quick
        gather(asked)
    if asked.merge:
        gather(asked)
    if missed:
        raise SystemExit(f"a test error misses the goal of {GOAL:.0%}")


if __name__ == "__main__":
    main()
