"""How near the engine trains to the limit: images a second of (a) a bare step, (b) archspace, (c) a plain loop.

(a) forward, backward and step on one fixed batch that lies on the device, in the engine's mode; (b) archspace's epochs
with the augmentation of the recipe `fast`, evaluation left aside; (c) the loop most people write: a DataLoader with
workers, transforms of single images in Pillow, fp32. The same network, batch and images; rounds of all three in turn.
A second part trains one network on all cores, and one on each core at the same time.

Run it as `ARCHSPACE_DATA=... python benchmarks/training.py`; it prints, and writes benchmarks/results/training.json.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import archspace
from archspace.data.tasks import Split, Task, load_task
from archspace.searching.machine import cores, describe, versions
from archspace.training.device import choose_device, layout_of
from archspace.training.fastest import fastest
from archspace.training.feed import feed
from archspace.training.forward import forward_of, products_of
from archspace.training.loop import train
from archspace.training.mode import Mode
from archspace.training.optimizer import make_optimizer
from archspace.training.recipe import Recipe
from archspace.training.recipefile import load_recipe

NETWORKS = ("ResNet-20_A_c10", "ResNeXt-29_32x4d_c10", "DenseNet-BC-100-k12_c10")
ROUNDS = 5
SECONDS = 10.0
"""About how long each of the three is measured in a round."""
WORKERS = 2
OUT = Path(__file__).parent / "results" / "training.json"


class Images(Dataset[tuple[Tensor, int]]):
    """What a plain loop makes of a split: each image padded, cropped, flipped, normalised by itself."""

    def __init__(self, task: Task, crop: int) -> None:
        self.pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in task.train.images]
        self.labels = task.train.labels.tolist()
        self.mean, self.std = (torch.tensor(numbers).view(-1, 1, 1) for numbers in (task.mean, task.std))
        self.crop = crop

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture, crop = self.pictures[index], self.crop
        width, height = picture.size
        left, top = random.randint(0, 2 * crop), random.randint(0, 2 * crop)
        picture = ImageOps.expand(picture, crop).crop((left, top, left + width, top + height))
        if random.random() < 0.5:
            picture = ImageOps.mirror(picture)
        pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(height, width, 3)
        return (pixels.permute(2, 0, 1).float() - self.mean) / self.std, self.labels[index]


def bare(name: str, task: Task, recipe: Recipe, mode: Mode) -> float:
    """Images a second of the step alone."""
    network = archspace.build(name, task.input, task.classes).train()
    network.to(mode.device, memory_format=layout_of(mode))  # type: ignore[call-overload]
    optimizer, forward = make_optimizer(network, recipe, mode), forward_of(network, mode)
    data = feed(task.train, task, mode)
    images, labels = next(iter(data.in_order(recipe.batch)))
    pixels = data.normalised(images)
    steps = -(-len(task.train.labels) // recipe.batch)
    with products_of(mode):
        for step in range(steps + 1):
            if step == 1:
                wait(mode)
                began = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(forward(network, pixels), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        wait(mode)
    return steps * recipe.batch / (time.perf_counter() - began)


def engine(name: str, task: Task, recipe: Recipe, mode: Mode) -> float:
    """Images a second of archspace's second epoch."""
    few = recipe.model_copy(update={"epochs": 2, "rungs": (2,), "norm_batches": 1, "warmup": 0.0})
    network = archspace.build(name, task.input, task.classes)
    return [epoch.speed for epoch, _ in train(network, task, few, mode, 0)][-1]


def plain(name: str, task: Task, recipe: Recipe, mode: Mode) -> float:
    """Images a second of the loop most people write, workers warm."""
    network = archspace.build(name, task.input, task.classes).to(mode.device).train()
    loader = DataLoader(
        Images(task, recipe.crop), recipe.batch, shuffle=True, num_workers=WORKERS, persistent_workers=True
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    for epoch in range(2):
        began, seen = time.perf_counter(), 0
        for images, labels in loader:
            scores = network(images.to(mode.device))
            loss = F.cross_entropy(scores, labels.to(mode.device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            loss.item()  # a running mean of the loss, as most loops print it
            seen += len(labels) * (epoch == 1)
    wait(mode)
    return seen / (time.perf_counter() - began)


def wait(mode: Mode) -> None:
    """Until the device has done what it was given."""
    if mode.device == "cuda":
        torch.cuda.synchronize()


def part_of(task: Task, images: int) -> Task:
    """A task with so many training images, and few others."""
    return replace(
        task,
        train=Split(task.train.images[:images], task.train.labels[:images]),
        val=Split(task.val.images[:64], task.val.labels[:64]),
    )


def one_network(name: str, task: Task, recipe: Recipe, mode: Mode) -> dict[str, Any]:
    """Rounds of the three in turn, and ratios within each round."""
    works: dict[str, Callable[[str, Task, Recipe, Mode], float]] = {"bare": bare, "archspace": engine, "plain": plain}
    speed = bare(name, part_of(task, recipe.batch), recipe, mode)
    images = max(2, round(speed * SECONDS / 2 / recipe.batch)) * recipe.batch
    some = part_of(task, min(images, len(task.train.labels) // recipe.batch * recipe.batch))
    rounds = [{work: run(name, some, recipe, mode) for work, run in works.items()} for _ in range(ROUNDS)]
    told = {work: quartiles([found[work] for found in rounds]) for work in works}
    told["archspace / bare"] = quartiles([found["archspace"] / found["bare"] for found in rounds])
    told["archspace / plain"] = quartiles([found["archspace"] / found["plain"] for found in rounds])
    print(f"{name:26} {mode}")
    for what, figures in told.items():
        print(f"  {what:20} {figures['median']:10.3f}  ({figures['low']:.3f} to {figures['high']:.3f})", flush=True)
    return {"mode": str(mode), "images": len(some.train.labels), "threads": torch.get_num_threads()} | told


def side_by_side(name: str, processes: int, threads: int) -> float:
    """Images a second of all processes together, each of which trains a network of its own."""
    command = [sys.executable, __file__, "--worker", name, str(threads)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return sum(float(process.communicate()[0].split()[-1]) for process in running)


def worker(name: str, threads: int) -> None:
    """Train for a while and print images a second."""
    torch.set_num_threads(threads)
    task, recipe, mode = setting(name)
    print(engine(name, part_of(task, 12 * recipe.batch), recipe, mode))


def setting(name: str) -> tuple[Task, Recipe, Mode]:
    """The task, the recipe, and the mode that this device trains the network fastest in."""
    task, recipe = load_task("cifar10"), load_recipe("fast")
    genome = archspace.load_genome(name)
    return task, recipe, fastest(genome, task, recipe, choose_device(), lambda words: print(words, file=sys.stderr))


def quartiles(values: list[float]) -> dict[str, Any]:
    """Median, quartiles and number."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high, "n": len(values)}


def main() -> None:
    """Measure, print, write."""
    if sys.argv[1:2] == ["--worker"]:
        return worker(sys.argv[2], int(sys.argv[3]))
    networks = sys.argv[1:] or NETWORKS
    found = {name: one_network(name, *setting(name)) for name in networks}
    result = {
        "machine": describe(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "versions": versions(),
        "workers of the plain loop": WORKERS,
        "networks": found,
    }
    if choose_device() == "cpu" and cores() > 1:
        settings = {
            f"{cores()} processes of one thread": (cores(), 1),
            f"one process of {cores()} threads": (1, cores()),
        }
        rounds = [{what: side_by_side(networks[0], *how) for what, how in settings.items()} for _ in range(ROUNDS)]
        result["images a second of the machine"] = {what: quartiles([one[what] for one in rounds]) for what in settings}
        print(result["images a second of the machine"])
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    return None


if __name__ == "__main__":
    main()
