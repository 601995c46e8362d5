"""Which of the three forms of a ResNeXt block is fastest? Grouped convolution, early concatenation, separate paths.

The same function of the same weights (archspace.carry), forward alone and forward with backward. In each round every
form runs once, in an order that rotates, so that what else the machine does meets all three. Run it as
`python benchmarks/forms.py`; it prints a table and writes benchmarks/results/forms.json.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn

from archspace.blocks.bottleneck import BottleneckGenes, Form
from archspace.blueprint import draw
from archspace.carry import carried
from archspace.genome import Genome, Stage, Stem
from archspace.network import build
from archspace.searching.machine import describe, versions
from archspace.training.device import choose_device

FORMS: tuple[Form, ...] = get_args(Form)
# width, cardinality, group width, side of the map
BLOCKS = {
    "ResNeXt-29 8x64d, stage 1": (256, 8, 64, 32),
    "ResNeXt-29 8x64d, stage 3": (1024, 8, 256, 8),
    "ResNeXt-50 32x4d, stage 1": (256, 32, 4, 56),
    "ResNeXt-50 32x4d, stage 3": (1024, 32, 16, 14),
}
BATCH = {"cpu": 2, "cuda": 64}
WARM_UP, ROUNDS, SEED = 2, 21, 0
OUT = Path(__file__).parent / "results" / "forms.json"


def blocks_of(width: int, cardinality: int, group_width: int, side: int) -> dict[str, nn.Module]:
    """One block in each form, all of the same weights, as it stands inside a stage."""
    genes = BottleneckGenes(group_width, cardinality)
    genome = Genome((Stage("bottleneck", 1, width, 1, genes),), Stem("cifar", width), initialisation="he")
    weights = build(draw(genome, (3, side, side)), torch.Generator().manual_seed(SEED)).state_dict()
    found: dict[str, nn.Module] = {}
    for form in FORMS:
        moved, state = carried(weights, genome, form)
        network = build(draw(moved, (3, side, side)))
        network.load_state_dict(state)
        found[form] = network.stages
    return found


def clock(device: str) -> float:
    """Seconds: of the wall on a GPU, once it has done what it was given; on a CPU those that this process computed.

    With one thread that is the wall time of a machine that does nothing else.
    """
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def seconds(device: str, run: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = clock(device)
    run()
    return clock(device) - began


def forward(block: nn.Module, x: Tensor) -> None:
    """One pass in eval mode, without gradients."""
    with torch.inference_mode():
        block(x)


def forward_backward(block: nn.Module, x: Tensor) -> None:
    """One pass in training mode, and gradients of weights and input."""
    block.zero_grad()
    block(x).sum().backward()


def measured(device: str, blocks: dict[str, nn.Module], run: Callable[[nn.Module, Tensor], None], x: Tensor) -> Any:
    """Seconds of each form, and their ratios to the grouped form's of the same round."""
    taken: dict[str, list[float]] = {form: [] for form in FORMS}
    for index in range(WARM_UP + ROUNDS):
        for place in range(len(FORMS)):
            form = FORMS[(index + place) % len(FORMS)]
            taken[form].append(seconds(device, lambda block=blocks[form]: run(block, x)))
    kept = {form: values[WARM_UP:] for form, values in taken.items()}
    ratios = {form: [a / b for a, b in zip(values, kept["grouped"], strict=True)] for form, values in kept.items()}
    return {form: {"seconds": spread(kept[form]), "ratio_to_grouped": spread(ratios[form])} for form in FORMS}


def spread(values: list[float]) -> dict[str, float]:
    """Median, quartiles and extremes."""
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": middle, "quartile1": low, "quartile3": high, "min": min(values), "max": max(values)}


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    device = choose_device()
    table: dict[str, Any] = {}
    print(f"{'milliseconds (ratio to grouped)':<32}" + "".join(f"{form:>24}" for form in FORMS))
    for name, (width, cardinality, group_width, side) in BLOCKS.items():
        blocks = {form: block.to(device) for form, block in blocks_of(width, cardinality, group_width, side).items()}
        x = torch.randn(BATCH[device], width, side, side, generator=torch.Generator().manual_seed(SEED)).to(device)
        with torch.inference_mode():
            outputs = {form: block.eval()(x) for form, block in blocks.items()}
        largest = max(float((out - outputs["grouped"]).abs().max()) for out in outputs.values())
        row: dict[str, Any] = {
            "block": {"width": width, "cardinality": cardinality, "group_width": group_width, "side": side},
            "largest_difference": largest,
            "largest_output": float(outputs["grouped"].abs().max()),
            "forward": measured(device, blocks, forward, x),
        }
        for block in blocks.values():
            block.train()
        row["forward_backward"] = measured(device, blocks, forward_backward, x.requires_grad_())
        table[name] = row
        for what in ("forward", "forward_backward"):
            medians = [[row[what][form][key]["median"] for key in ("seconds", "ratio_to_grouped")] for form in FORMS]
            cells = [f"{1e3 * taken:.1f} ({ratio:.2f})" for taken, ratio in medians]
            label = name if what == "forward" else "    and backward"
            print(f"{label:<32}" + "".join(f"{cell:>24}" for cell in cells), flush=True)
    result = {
        "device": device,
        "clock": "wall" if device == "cuda" else "CPU time of the process",
        "threads": torch.get_num_threads(),
        "machine": describe(),
        "versions": versions(),
        "format": "fp32, contiguous",
        "batch": BATCH[device],
        "n": ROUNDS,
        "warm_up": WARM_UP,
        "seed": SEED,
        "blocks": table,
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
