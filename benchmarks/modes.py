"""Which precision and order of images train networks fastest on this CPU: images a second of the bare step in each.

Forward, backward and step on one batch of random images, one thread, memory kept between steps as the engine keeps it;
rounds of all modes in turn, ratios to fp32 in contiguous order within each round. Grouped convolutions of few channels
are joined in fp32, as the engine joins them; in one more mode they are not.

Run it as `python benchmarks/modes.py [--quick]`; it prints, and writes results/modes.json anew, each network as soon
as it is measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

import archspace
from archspace.genome import Shape
from archspace.searching.machine import describe, versions
from archspace.training.device import cpu_name, has_bf16
from archspace.training.forward import forward_of
from archspace.training.groups import JoinedConv2d
from archspace.training.heap import keep_freed_memory
from archspace.training.mode import Mode
from archspace.training.optimizer import make_optimizer
from archspace.training.place import place
from archspace.training.recipe import Recipe

CASES = (
    ("ResNet-20_A_c10", (3, 32, 32), 64),
    ("ResNet-20_A_c10", (1, 8, 8), 64),
    ("ResNet-20_B_c10", (3, 32, 32), 32),
    ("Plain-20_c10", (3, 32, 32), 64),
    ("Highway-19", (3, 32, 32), 32),
    ("PreResNet-110_A_c10", (3, 32, 32), 32),
    ("ResNeXt-29_32x4d_c10", (3, 32, 32), 16),
    ("DenseNet-40-k12_c10", (3, 32, 32), 32),
    ("DenseNet-BC-100-k12_c10", (3, 32, 32), 16),
    ("googlenet_no_aux", (3, 64, 64), 16),
    ("resnext50_32x4d", (3, 64, 64), 8),
    ("RegNetX-400MF", (3, 64, 64), 16),
    ("WRN-16-8_c10", (3, 32, 32), 8),
    ("ResNeXt-29_8x64d_c10", (1, 8, 8), 16),
    ("resnet18", (3, 64, 64), 16),
    ("vgg11_bn", (3, 64, 64), 16),
    ("resnet50", (3, 128, 128), 8),
)
"""Networks, images and batches."""
USUAL, ALONE = "fp32, contiguous", "fp32, channels_last, groups alone"
ROUNDS, SECONDS = 5, 1.5
OUT = Path(__file__).parent / "results" / "modes.json"


def modes() -> dict[str, Mode]:
    """What is measured; bfloat16 where the CPU has it."""
    both = [(False, False), (False, True), *([(True, True)] if has_bf16("cpu") else [])]
    every = [Mode("cpu", bf16, last, fused=True) for bf16, last in both]
    return {mode.words.removesuffix(", fused step"): mode for mode in every} | {ALONE: every[1]}


def stepper(name: str, input: Shape, batch: int, mode: Mode, joined: bool) -> Callable[[], None] | None:
    """One training step of a network in a mode; None where groups are to stay alone and none are joined."""
    network = archspace.build(name, input, 10).train()
    place(network, mode)
    apart = [module for module in network.modules() if isinstance(module, JoinedConv2d)]
    if not joined and not apart:
        return None
    for module in apart if not joined else ():
        module.__class__ = nn.Conv2d  # type: ignore[assignment]
    optimizer, forward = make_optimizer(network, Recipe(), mode), forward_of(network, mode)
    order = torch.channels_last if mode.channels_last else torch.contiguous_format
    images, labels = torch.randn(batch, *input).clone(memory_format=order), torch.randint(10, (batch,))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(forward(network, images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def measure(name: str, input: Shape, batch: int, rounds: int) -> dict[str, Any]:
    """Images a second in each mode, and their ratios to the first."""
    made = {what: stepper(name, input, batch, mode, what != ALONE) for what, mode in modes().items()}
    steps = {what: step for what, step in made.items() if step is not None}
    for step in steps.values():
        step()  # the first one warms up
    counts = {what: max(2, int(SECONDS / seconds_of(step, 1))) for what, step in steps.items()}
    speeds: dict[str, list[float]] = {what: [] for what in steps}
    for _ in range(rounds):
        for what, step in steps.items():
            speeds[what].append(batch * counts[what] / seconds_of(step, counts[what]))
    ratios = {
        f"{what} / {USUAL}": [a / b for a, b in zip(speeds[what], speeds[USUAL], strict=True)]
        for what in steps
        if what != USUAL
    }
    return {"batch": batch} | {what: spread(values) for what, values in (speeds | ratios).items()}


def seconds_of(step: Callable[[], None], times: int) -> float:
    """How long so many steps take."""
    began = time.perf_counter()
    for _ in range(times):
        step()
    return time.perf_counter() - began


def spread(values: list[float]) -> dict[str, Any]:
    """Median, ends and number."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "n": len(values)}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one round of two networks, not written")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    torch.manual_seed(0)
    capabilities = {name: value for name, value in torch.cpu.get_capabilities().items() if value is True}
    about = {"machine": describe(), "instructions": [cpu_name(), *capabilities], "versions": versions()}
    result: dict[str, Any] = about | {"threads": 1, "memory kept": keep_freed_memory()}
    for name, image, batch in CASES[:2] if quick else CASES:
        title = f"{name} at {'x'.join(map(str, image))}"
        result[title] = measure(name, image, batch, 1 if quick else ROUNDS)
        ratios = {what: one["median"] for what, one in result[title].items() if "/" in what}
        print(title, {what.partition(" /")[0]: round(ratio, 2) for what, ratio in ratios.items()}, flush=True)
        if not quick:
            OUT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
