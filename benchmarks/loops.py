"""Ways to train a network, each in images a second: a bare step, archspace, the loop most people write."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import archspace
from archspace.data.tasks import Split, Task
from archspace.training.feed import feed
from archspace.training.forward import forward_of, products_of
from archspace.training.heap import keep_freed_memory
from archspace.training.loop import Epoch, train
from archspace.training.mode import Mode
from archspace.training.optimizer import make_optimizer, set_rate
from archspace.training.place import place
from archspace.training.recipe import Recipe
from archspace.training.step import WARM_UP, Replay


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
    """Images a second of the step alone: forward, backward, optimiser, on one batch that lies there already."""
    if mode.device == "cpu":
        keep_freed_memory()
    network = archspace.build(name, task.input, task.classes).train()
    place(network, mode)
    optimizer, forward = make_optimizer(network, recipe, mode), forward_of(network, mode)
    data = feed(task.train, task, mode)
    images, labels = next(iter(data.in_order(recipe.batch)))
    pixels = data.normalised(images)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(forward(network, pixels), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    with products_of(mode):
        once = recorded(step, optimizer, recipe) if mode.compiled == "graphs" else step
        for _ in range(1 if mode.device == "cpu" else 20):
            once()
        wait(mode.device)
        began, steps = time.perf_counter(), -(-len(task.train.labels) // recipe.batch)
        for _ in range(steps):
            once()
        wait(mode.device)
    return steps * recipe.batch / (time.perf_counter() - began)


def recorded(step: Callable[[], None], optimizer: torch.optim.SGD, recipe: Recipe) -> Callable[[], None]:
    """The step as a CUDA graph, with nothing around it."""
    set_rate(optimizer, torch.tensor(recipe.peak, device="cuda"))
    replay = Replay(step)
    for _ in range(WARM_UP + 1):
        replay()
    assert replay.graph is not None
    graph: torch.cuda.CUDAGraph = replay.graph
    return graph.replay


def engine(name: str, task: Task, recipe: Recipe, mode: Mode, epochs: int = 2) -> list[Epoch]:
    """Archspace's epochs after the first."""
    few = recipe.model_copy(update={"epochs": epochs, "rungs": (epochs,), "norm_batches": 1, "warmup": 0.0})
    network = archspace.build(name, task.input, task.classes)
    return [epoch for epoch, _ in train(network, task, few, mode, 0)][1:]


def plain(name: str, task: Task, recipe: Recipe, device: str, workers: int) -> float:
    """Images a second of the loop most people write, in float32 as torch has it by default.

    Meant for a process of its own, in which nobody has set up memory. The second epoch counts, of workers that are
    there already; all that they fetch for it falls into its time.
    """
    network, on_gpu = archspace.build(name, task.input, task.classes).to(device).train(), device == "cuda"
    pictures = Images(task, recipe.crop)
    loader = DataLoader(
        pictures, recipe.batch, shuffle=True, num_workers=workers, pin_memory=on_gpu, persistent_workers=True
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    for _ in range(2):
        wait(device)
        began = time.perf_counter()
        for images, labels in loader:
            scores = network(images.to(device, non_blocking=on_gpu))
            loss = F.cross_entropy(scores, labels.to(device, non_blocking=on_gpu))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            loss.item()  # a running mean of the loss, as most loops print it
        wait(device)
    return len(pictures) / (time.perf_counter() - began)


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def part_of(task: Task, images: int, others: int = 64) -> Task:
    """A task with so many training images, and few others."""
    return replace(
        task,
        train=Split(task.train.images[:images], task.train.labels[:images]),
        val=Split(task.val.images[:others], task.val.labels[:others]),
        test=Split(task.test.images[:others], task.test.labels[:others]),
    )
