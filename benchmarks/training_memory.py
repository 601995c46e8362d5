"""Training memory in closed form against what is measured: networks of all families, two batch sizes.

Measured is the peak of all tensors in one steady training step, which the closed form stands for. Beside it, on a CPU,
stands the peak of torch's allocator, to which oneDNN's reordered weights and workspaces belong as well. Run it as
`python benchmarks/training_memory.py`; it prints a table and writes benchmarks/results/training_memory.json.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from archspace.blueprint import Blueprint, draw
from archspace.closed_form import cost
from archspace.genome import Genome, Shape
from archspace.measure.memory import peak_training_bytes, saved_bytes
from archspace.memory import training_memory
from archspace.network import build
from archspace.parts.survival import BatchSurvival, SampleSurvival
from archspace.searching.machine import describe, versions
from archspace.training.device import choose_device
from archspace.training.mode import Mode
from archspace.training.optimizer import make_optimizer
from archspace.training.recipe import Recipe
from archspace.zoo import entry

BATCHES = (4, 32)
OUT = Path(__file__).parent / "results" / "training_memory.json"


@dataclass(frozen=True)
class Case:
    """A network of the zoo, at a side that a CPU trains on in seconds, some of its genes changed."""

    name: str
    family: str
    side: int
    genes: tuple[tuple[str, Any], ...] = ()

    @property
    def title(self) -> str:
        """Its name, and what is changed."""
        return ", ".join((self.name, *(f"{gene} {value}" for gene, value in self.genes)))

    @property
    def input(self) -> Shape:
        """Of one image."""
        return 3, self.side, self.side

    def blueprint(self) -> Blueprint:
        """Drawn at its input and the published classes."""
        published = entry(self.name)
        stages = (replace(stage, genes=replace(stage.genes, **dict(self.genes))) for stage in published.genome.stages)
        genome: Genome = replace(published.genome, stages=tuple(stages))
        return draw(genome, self.input, published.classes)


CASES = (
    Case("alexnet", "plain", 128),
    Case("plain18", "plain", 96),
    Case("googlenet_no_aux", "inception", 96),
    Case("Highway-19", "highway", 32),
    Case("resnet18", "basic", 96),
    Case("PreResNet-110_A_c10", "basic, pre-activation", 32),
    Case("resnet50", "bottleneck", 96),
    Case("resnext50_32x4d", "bottleneck, cardinality", 96),
    Case("ResNeXt-29_8x64d_c10", "bottleneck, separate paths", 32, (("form", "separate"),)),
    Case("RegNetY-400MF", "RegNet, squeeze", 96),
    Case("densenet121", "dense", 64),
    Case("DenseNet-BC-100-k12_c10", "dense, frugal", 32, (("memory", "frugal"),)),
    Case("StochDepth-ResNet-110_c10", "stochastic depth", 32),
)


def allocator_peak(blueprint: Blueprint, batch: int) -> int:
    """Most bytes that torch's CPU allocator has given out at one time, from the second training step of a recipe on."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        _two_steps(blueprint, batch)  # all that it makes is gone before the profiler stops
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    memory = sorted(
        (float(event["ts"]), event["args"]["Total Allocated"], event["args"]["Bytes"])
        for event in events
        if event["name"] == "[memory]"
    )
    _, first, change = memory[0]
    (began,) = (float(event["ts"]) for event in events if event["name"] == "second step" and event["ph"] == "X")
    return int(max(total for when, total, _ in memory if when >= began) - (first - change))


def _two_steps(blueprint: Blueprint, batch: int) -> None:
    network = build(blueprint, torch.Generator().manual_seed(0)).train()
    for module in network.modules():
        if isinstance(module, BatchSurvival | SampleSurvival):
            module.p = 1.0  # no branch skipped
    optimizer = make_optimizer(network, Recipe(), Mode("cpu", False, False))
    images, labels = torch.zeros(batch, *blueprint.input), torch.zeros(batch, dtype=torch.long)
    for name in ("first step", "second step"):
        optimizer.zero_grad(set_to_none=True)
        with torch.profiler.record_function(name):
            loss = F.cross_entropy(network(images), labels, label_smoothing=Recipe().label_smoothing)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()


def measured(blueprint: Blueprint, batch: int, device: str) -> dict[str, float]:
    """Bytes in closed form and as measured, with their ratio."""
    closed = cost(blueprint)
    predicted, peak = training_memory(closed, batch, device), peak_training_bytes(blueprint, batch, device)
    told: dict[str, float] = {"closed_form": predicted, "measured": peak, "ratio": predicted / peak}
    if device == "cpu":
        allocator = allocator_peak(blueprint, batch)
        told |= {"allocator": allocator, "allocator_ratio": predicted / allocator}
    return told | {"saved_closed_form": batch * closed.saved, "saved_measured": saved_bytes(blueprint, batch)}


def line(title: str, batch: int, row: dict[str, Any]) -> str:
    """One row of the printed table."""
    sizes = [f"{row[key] / 1e6:.1f} MB" if key in row else "-" for key in ("closed_form", "measured", "allocator")]
    ratios = [f"{row[key]:.3f}" if key in row else "-" for key in ("ratio", "allocator_ratio")]
    cells = sizes[0], sizes[1], ratios[0], sizes[2], ratios[1]
    return f"{title:<42} {batch:>5} " + " ".join(f"{cell:>11}" for cell in cells)


def main() -> None:
    """Measure, print, write."""
    device = choose_device()
    rows: list[dict[str, Any]] = []
    heads = "closed form", "measured", "ratio", "allocator", "ratio"
    print(f"{'network':<42} {'batch':>5} " + " ".join(f"{head:>11}" for head in heads))
    for case in CASES:
        blueprint = case.blueprint()
        for batch in BATCHES:
            row = measured(blueprint, batch, device)
            rows.append({"network": case.title, "family": case.family, "input": case.input, "batch": batch} | row)
            print(line(case.title, batch, row), flush=True)
    ratios = [row["ratio"] for row in rows]
    within = sum(abs(ratio - 1) <= 0.1 for ratio in ratios)
    print(f"{within} of {len(rows)} within 10 %; {min(ratios):.3f} to {max(ratios):.3f}")
    on_cpu, on_gpu = "bytes of tensors at one time, from operation to operation", "torch.cuda.max_memory_allocated"
    result = {
        "step": "forward, loss, backward, SGD with Nesterov momentum; fp32; no gradients before; no branch skipped",
        "measured": on_cpu if device == "cpu" else on_gpu,
        "allocator": "bytes that torch's CPU allocator has given out at one time, oneDNN's workspaces included",
        "saved": "what autograd saves of the images, seen by saved_tensors_hooks; a part of the peak",
        "unit": "bytes",
        "device": device,
        "threads": torch.get_num_threads(),
        "machine": describe(),
        "versions": versions(),
        "n": len(rows),
        "within_10_percent": within,
        "rows": rows,
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
