"""How near the engine trains to the limit: images a second of (a) a bare step, (b) archspace, (c) a plain loop.

(a) forward, backward and step on one fixed batch that lies on the device, in the engine's mode; (b) archspace's epochs
with the augmentation of a recipe, evaluation left aside; (c) the loop most people write: a DataLoader with workers,
transforms of single images in Pillow, float32, in a process of its own. The same network, batch and images; rounds of
all three in turn. On a CPU, a last part trains one network on all cores, and one on each core at the same time.

Run it as `ARCHSPACE_DATA=... python benchmarks/training.py`, on a GPU with `--compiled graphs` for recorded steps and
`--recipe standard --epochs 4` for whole epochs too; it prints, and adds each network to results/training.json, or
training_gpu.json, as soon as it is measured. Each machine's results need a file of their own: `--out`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from loops import bare, engine, part_of, plain

import archspace
from archspace.data.tasks import Task, load_task
from archspace.searching.machine import cores, describe, versions
from archspace.training.device import choose_device, cpu_name
from archspace.training.fastest import fastest
from archspace.training.loop import Epoch
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe
from archspace.training.recipefile import load_recipe

NETWORKS = ("ResNet-20_A_c10", "ResNeXt-29_32x4d_c10", "DenseNet-BC-100-k12_c10")
RESULTS = Path(__file__).parent / "results"


def options() -> argparse.Namespace:
    """What is asked for; seconds and rounds are fewer on a GPU, whose time is dear."""
    gpu = choose_device() == "cuda"
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--compiled", nargs="*", default=["off"], help="off, on, graphs: each in every round")
    parser.add_argument("--batch", type=int, help="instead of the recipe's")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0 if gpu else 10.0, help="about, for each in a round")
    parser.add_argument("--workers", type=int, default=min(8, cores()), help="of the plain loop; 0 leaves it out")
    parser.add_argument("--epochs", type=int, default=2, help="of archspace; those after the first count")
    parser.add_argument("--whole", action="store_true", help="all training images, whatever it takes")
    parser.add_argument("--sides", action="store_true", help="a process of many threads against many of one")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--plain", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS / ("training_gpu.json" if gpu else "training.json"))
    return parser.parse_args()


def setting(name: str, recipe: str, compiled: str = "off", batch: int | None = None) -> tuple[Task, Recipe, Mode]:
    """The task, the recipe, and the mode that this device trains the network fastest in."""
    task, known = load_task("cifar10"), load_recipe(recipe).model_copy(update={"compile": compiled})
    known = known.model_copy(update={"batch": batch or known.batch})
    genome = archspace.load_genome(name)
    return task, known, fastest(genome, task, known, choose_device(), partial(print, flush=True))


def one_network(name: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Rounds of all works in turn, and ratios within each round."""
    settings = {compiled: setting(name, asked.recipe, compiled, asked.batch) for compiled in asked.compiled}
    task, recipe, mode = settings[asked.compiled[0]]
    batches = len(task.train.labels) // recipe.batch
    if not asked.whole:
        speed = bare(name, part_of(task, recipe.batch * min(batches, 1 if mode.device == "cpu" else 20)), recipe, mode)
        batches = max(2, min(batches, round(speed * asked.seconds / 2 / recipe.batch)))
    some = part_of(task, batches * recipe.batch, len(task.val.labels) if asked.whole else 64)
    rounds: list[dict[str, float]] = []
    epochs: dict[str, list[Epoch]] = {compiled: [] for compiled in settings}
    works = _works(name, some, settings, asked, epochs)
    for _ in range(asked.rounds):
        rounds.append({what: work() for what, work in works.items()})
        print({what: round(found) for what, found in rounds[-1].items()}, flush=True)
    told = {what: spread([found[what] for found in rounds]) for what in works}
    for kind in map(_kind, settings):
        pairs = (f"archspace{kind}", f"bare{kind}"), (f"archspace{kind}", "plain")
        for one, other in (pair for pair in pairs if pair[1] in works):
            told[f"{one} / {other}"] = spread([found[one] / found[other] for found in rounds])
    if asked.whole:
        told |= {f"seconds an epoch{_kind(of)}": spread([one.seconds for one in found]) for of, found in epochs.items()}
    for what, figures in told.items():
        print(
            f"{name} {what:30} {figures['median']:12.3f}  ({figures['low']:.3f} to {figures['high']:.3f})", flush=True
        )
    modes = {compiled: str(mode) for compiled, (_, _, mode) in settings.items()}
    about = {"modes": modes, "images": len(some.train.labels), "threads": torch.get_num_threads()}
    return about | {"workers of the plain loop": asked.workers, "recipe": asked.recipe, "batch": recipe.batch} | told


def _works(
    name: str,
    task: Task,
    settings: dict[str, tuple[Task, Recipe, Mode]],
    asked: argparse.Namespace,
    epochs: dict[str, list[Epoch]],
) -> dict[str, Callable[[], float]]:
    """What a round measures, each as images a second; archspace's epochs are kept."""

    def ours(compiled: str, recipe: Recipe, mode: Mode) -> float:
        found = engine(name, task, recipe, mode, asked.epochs)
        epochs[compiled] += found
        return statistics.median(epoch.speed for epoch in found)

    works: dict[str, Callable[[], float]] = {}
    for compiled, (_, recipe, mode) in settings.items():
        works[f"bare{_kind(compiled)}"] = partial(bare, name, task, recipe, mode)
        works[f"archspace{_kind(compiled)}"] = partial(ours, compiled, recipe, mode)
    if asked.workers:
        works["plain"] = partial(plain_alone, name, asked, len(task.train.labels))
    return works


def _kind(compiled: str) -> str:
    return "" if compiled == "off" else f", compile={compiled}"


def plain_alone(name: str, asked: argparse.Namespace, images: int) -> float:
    """Images a second of the plain loop, in a process that archspace has set nothing in."""
    command = [sys.executable, __file__, name, "--recipe", asked.recipe, "--workers", str(asked.workers)]
    command += ["--batch", str(asked.batch)] if asked.batch else []
    done = subprocess.run([*command, "--plain", str(images)], stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def print_plain(name: str, asked: argparse.Namespace) -> None:
    """What `plain_alone` asks for, in that process."""
    known = load_recipe(asked.recipe)
    recipe = known.model_copy(update={"batch": asked.batch or known.batch})
    print(plain(name, part_of(load_task("cifar10"), asked.plain), recipe, choose_device(), asked.workers))


def side_by_side(name: str, recipe: str, processes: int, threads: int) -> float:
    """Images a second of all processes together, each of which trains a network of its own."""
    command = [sys.executable, __file__, name, "--recipe", recipe, "--worker", str(threads)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return sum(float(process.communicate()[0].split()[-1]) for process in running)


def worker(name: str, recipe_name: str, threads: int) -> None:
    """Train for a while and print images a second."""
    torch.set_num_threads(threads)
    task, recipe, mode = setting(name, recipe_name)
    print(engine(name, part_of(task, 12 * recipe.batch), recipe, mode)[-1].speed)


def sides(name: str, asked: argparse.Namespace) -> dict[str, Any]:
    """One process of all cores against one for each core."""
    ways = {f"{cores()} processes of one thread": (cores(), 1), f"one process of {cores()} threads": (1, cores())}
    rounds = [{what: side_by_side(name, asked.recipe, *how) for what, how in ways.items()} for _ in range(asked.rounds)]
    return {what: spread([one[what] for one in rounds]) for what in ways}


def spread(values: list[float]) -> dict[str, Any]:
    """Median, quartiles, ends and number."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"median": median, "low": low, "high": high, "least": min(values), "most": max(values), "n": len(values)}


def add(out: Path, section: str, found: dict[str, Any]) -> None:
    """Put results beside those that the file has."""
    before = json.loads(out.read_text()) if out.exists() else {}
    about = {"machine": describe(), "instructions": cpu_name(), "versions": versions()}
    result = before | about | {section: before.get(section, {}) | found}
    out.write_text(json.dumps(result, indent=2) + "\n")


def main() -> None:
    """Measure, print, write; a network that fails is told, and the others go on."""
    asked = options()
    if asked.worker is not None:
        return worker(asked.networks[0], asked.recipe, asked.worker)
    if asked.plain is not None:
        return print_plain(asked.networks[0], asked)
    failed = False
    for name in asked.networks:
        began = time.perf_counter()
        try:
            add(asked.out, f"recipe {asked.recipe}", {_named(name, asked): one_network(name, asked)})
        except Exception:
            traceback.print_exc()
            failed = True
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    if asked.sides and choose_device() == "cpu" and cores() > 1:
        add(asked.out, "images a second of the machine", sides(asked.networks[0], asked))
    return sys.exit(1) if failed else None


def _named(name: str, asked: argparse.Namespace) -> str:
    return name + "".join(_kind(compiled) for compiled in asked.compiled if asked.compiled[0] != "off")


if __name__ == "__main__":
    main()
