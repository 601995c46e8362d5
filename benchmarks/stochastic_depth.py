"""How much training time does stochastic depth save? ResNet-110 at p_L = 0.5 (linear, whole mini-batches) and p_L = 1.

Full training steps on random 3x32x32 images, the two networks alternating, so that what else the machine does meets
both. Run it as `python benchmarks/stochastic_depth.py`; it prints the saving and writes
benchmarks/results/stochastic_depth.json.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archspace.blocks.basic import BasicGenes
from archspace.blueprint import draw
from archspace.closed_form import cost
from archspace.genome import Genome, Stage, Stem, Survival
from archspace.network import Network, build
from archspace.parts.survival import BatchSurvival
from archspace.searching.machine import describe, versions
from archspace.training.device import choose_device
from archspace.training.mode import Mode
from archspace.training.optimizer import make_optimizer
from archspace.training.recipe import Recipe

RESNET_110 = Genome(
    tuple(Stage("basic", 18, width, stride, BasicGenes("A")) for width, stride in ((16, 1), (32, 2), (64, 2))),
    Stem("cifar", 16),
)
P_L = (1.0, 0.5)
INPUT, CLASSES = (3, 32, 32), 10
BATCH, WARM_UP, STEPS, SEED, RESAMPLES = 64, 2, 48, 0, 10_000
EXPECTED = round(sum(Survival(P_L[1]).probabilities(54)), 2)
"""Active blocks: 40.25 of 54 (Huang et al. 2016, Section 3)."""
GOAL = 0.20
OUT = Path(__file__).parent / "results" / "stochastic_depth.json"


class Training:
    """One network in training: its steps, their seconds, and how many of its branches each step computed."""

    def __init__(self, p: float, device: str) -> None:
        blueprint = draw(replace(RESNET_110, survival=Survival(p)), INPUT, CLASSES)
        self.flops = cost(blueprint).training_flops
        self.network: Network = build(blueprint, torch.Generator().manual_seed(SEED)).to(device).train()
        self.optimizer = make_optimizer(self.network, Recipe(), Mode("cpu", False, False))
        self.seconds: list[float] = []
        self.wall: list[float] = []
        self.active: list[int] = []
        self.drawn = 0
        blocks = [block for stage in self.network.stages for block in stage]
        self.always = sum(not isinstance(block.branch, BatchSurvival) for block in blocks)
        for block in blocks:
            if isinstance(block.branch, BatchSurvival):
                block.branch.register_forward_hook(self.count)

    def count(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor | float) -> None:
        """Whether a branch was computed: a skipped one gives the number zero."""
        self.drawn += isinstance(output, Tensor)

    def step(self, seed: int, images: Tensor, labels: Tensor) -> None:
        """One training step on this mini-batch, its survival drawn from `seed`."""
        torch.manual_seed(seed)
        self.drawn = self.always
        began, wall = clock(images.device.type), time.perf_counter()
        loss = F.cross_entropy(self.network(images), labels, label_smoothing=0.1)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.seconds.append(clock(images.device.type) - began)
        self.wall.append(time.perf_counter() - wall)
        self.active.append(self.drawn)


def clock(device: str) -> float:
    """Seconds: of the wall on a GPU, once it has done what it was given; on a CPU those that this process computed.

    With one thread that is the wall time of a machine that does nothing else.
    """
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def saving(whole: list[float], dropped: list[float]) -> float:
    """The share of time that is saved: of means, since the steps differ by what they skip."""
    return 1 - statistics.fmean(dropped) / statistics.fmean(whole)


def interval(whole: list[float], dropped: list[float]) -> tuple[float, float]:
    """95 % of the saving, from resampled pairs of steps."""
    draws = random.Random(SEED)
    pairs = list(zip(whole, dropped, strict=True))
    found = sorted(saving(*zip(*draws.choices(pairs, k=len(pairs)), strict=True)) for _ in range(RESAMPLES))
    return found[round(0.025 * RESAMPLES)], found[round(0.975 * RESAMPLES) - 1]


def spread(values: list[float]) -> dict[str, float]:
    """Median, quartiles and extremes."""
    low, middle, high = statistics.quantiles(values, n=4)
    ends = {"min": min(values), "max": max(values)}
    return {"median": middle, "quartile1": low, "quartile3": high, "mean": statistics.fmean(values), **ends}


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    device = choose_device()
    generator = torch.Generator().manual_seed(SEED)
    images = torch.randn(BATCH, *INPUT, generator=generator).to(device)
    labels = torch.randint(CLASSES, (BATCH,), generator=generator).to(device)
    trainings = [Training(p, device) for p in P_L]
    for step in range(WARM_UP + STEPS):
        for training in trainings if step % 2 else trainings[::-1]:
            training.step(step, images, labels)
    seconds = [training.seconds[WARM_UP:] for training in trainings]
    wall = [training.wall[WARM_UP:] for training in trainings]
    active = [training.active[WARM_UP:] for training in trainings]
    low, high = interval(*seconds)
    blocks = statistics.fmean(active[1])
    whole, dropped = trainings
    table: dict[str, Any] = {
        "saving": saving(*seconds),
        "saving_interval_95": [low, high],
        "saving_of_wall_time": saving(*wall),
        "saving_of_wall_time_interval_95": interval(*wall),
        "saving_of_medians": 1 - statistics.median(seconds[1]) / statistics.median(seconds[0]),
        "theory": 1 - dropped.flops / whole.flops,
        "theory_at_active_blocks_drawn": 1 - blocks / active[0][0],
        "goal": GOAL,
    }
    result = {
        "network": "ResNet-110, shortcut A; survival of whole mini-batches, linear",
        "step": "forward, backward, SGD with Nesterov momentum (archspace.training.optimizer.make_optimizer), fp32",
        "device": device,
        "clock": "wall" if device == "cuda" else "CPU time of the process; wall time beside it",
        "threads": torch.get_num_threads(),
        "machine": describe(),
        "versions": versions(),
        "input": INPUT,
        "batch": BATCH,
        "n": STEPS,
        "warm_up": WARM_UP,
        "seeds": f"weights and images {SEED}; survival of step s: s, from 0",
        "training_flops_per_image": {f"p_L = {p}": t.flops for p, t in zip(P_L, trainings, strict=True)},
        "seconds_per_step": {f"p_L = {p}": spread(values) for p, values in zip(P_L, seconds, strict=True)},
        "wall_seconds_per_step": {f"p_L = {p}": spread(values) for p, values in zip(P_L, wall, strict=True)},
        "active_blocks": {
            "of": active[0][0],
            "expected": EXPECTED,
            "mean": blocks,
            "drawn": active[1],
        },
        **table,
    }
    for p, values in zip(P_L, seconds, strict=True):
        print(f"p_L = {p}: {statistics.median(values):.3f} s a step, median of {STEPS}")
    print(f"active blocks: {blocks:.2f} on average, expected {EXPECTED} of {active[0][0]}")
    print(f"saved {table['saving']:.1%} (95 %: {low:.1%} to {high:.1%}); in flops {table['theory']:.1%}")
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    if table["saving"] < GOAL:
        raise SystemExit(f"stochastic depth saves {table['saving']:.1%}, less than {GOAL:.0%}")


if __name__ == "__main__":
    main()
