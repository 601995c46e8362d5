"""What recomputing concatenations saves and costs: DenseNet-BC with usual and with frugal layers at three depths.

Memory that the forward pass keeps for the backward pass, the peak of one training step, and the time of steps that
alternate between the two. Run it as `python benchmarks/dense_memory.py`; it prints a table and writes
benchmarks/results/dense_memory.json.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archspace.blocks.dense import DenseGenes, DenseStage
from archspace.blueprint import draw
from archspace.genome import Genome, Stage, Stem
from archspace.network import Network, build
from archspace.searching.machine import describe, versions
from archspace.training.device import choose_device
from archspace.training.mode import Mode
from archspace.training.optimizer import make_optimizer
from archspace.training.recipe import Recipe

MEMORIES = ("usual", "frugal")
GROWTH, LAYERS = 12, (6, 16, 31)
"""Layers in each of three stages; the network is 6 x layers + 4 deep: 40, 100, 190."""
INPUT, CLASSES = (3, 32, 32), 10
BATCH, WARM_UP, STEPS, SEED = 16, 1, 9, 0
OUT = Path(__file__).parent / "results" / "dense_memory.json"


def network_of(layers: int, memory: Any, device: str) -> Network:
    """DenseNet-BC (Huang et al. 2017, Section 3 and 4.2: stem of 2 k, compression 0.5)."""
    genes = DenseGenes(GROWTH, memory=memory)
    stages = tuple(Stage("dense", layers, None, stride, genes) for stride in (1, 2, 2))
    genome = Genome(stages, Stem("bare", 2 * GROWTH))
    return build(draw(genome, INPUT, CLASSES), torch.Generator().manual_seed(SEED)).to(device).train()


def batch_of(device: str) -> tuple[Tensor, Tensor]:
    """Random images and labels."""
    generator = torch.Generator().manual_seed(SEED)
    images = torch.randn(BATCH, *INPUT, generator=generator)
    return images.to(device), torch.randint(CLASSES, (BATCH,), generator=generator).to(device)


def step(network: nn.Module, optimizer: torch.optim.SGD, images: Tensor, labels: Tensor) -> None:
    """One training step."""
    loss = F.cross_entropy(network(images), labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def kept_bytes(network: Network, images: Tensor) -> int:
    """Bytes of the storages that autograd saves and of the layers' outputs, which a recomputation starts from."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    kept: dict[int, tuple[int, Tensor]] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    def keep_output(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        keep(output)

    stages = [module for module in network.modules() if isinstance(module, DenseStage)]
    hooks = [layer.register_forward_hook(keep_output) for stage in stages for layer in stage]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(images)
    for hook in hooks:
        hook.remove()
    return sum(size for size, _ in kept.values())


def peak_bytes(layers: int, memory: str, device: str) -> int | None:
    """By how much one training step raises the highest memory in use, in a process of its own."""
    command = [sys.executable, __file__, "--peak", str(layers), memory, device]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return None if told == "None" else int(told)


def peak_here(layers: int, memory: str, device: str) -> int | None:
    """The same in this process: torch's own count on a GPU, resident memory on Linux, else None."""
    torch.set_num_threads(1)
    network, batch = network_of(layers, memory, device), batch_of(device)
    optimizer = make_optimizer(network, Recipe(), Mode("cpu", False, False))
    # Libraries and kernels are loaded by a small step before.
    step(network, optimizer, batch[0][:2], batch[1][:2])
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(network, optimizer, *batch)
        return torch.cuda.max_memory_allocated() - before
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    before = _resident(status, "VmRSS")
    step(network, optimizer, *batch)
    return _resident(status, "VmHWM") - before


def _resident(status: Path, key: str) -> int:
    found = re.search(rf"{key}:\s+(\d+) kB", status.read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1]) * 1024


def spread(values: list[float]) -> dict[str, float]:
    """Median, quartiles and extremes."""
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": middle, "quartile1": low, "quartile3": high, "min": min(values), "max": max(values)}


def clock(device: str) -> float:
    """Seconds: of the wall on a GPU, once it has done what it was given; on a CPU those that this process computed.

    With one thread that is the wall time of a machine that does nothing else.
    """
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def seconds_of(layers: int, device: str) -> dict[str, list[float]]:
    """Seconds of training steps, usual and frugal alternating."""
    batch = batch_of(device)
    networks = {memory: network_of(layers, memory, device) for memory in MEMORIES}
    optimizers = {
        memory: make_optimizer(network, Recipe(), Mode("cpu", False, False)) for memory, network in networks.items()
    }
    taken: dict[str, list[float]] = {memory: [] for memory in MEMORIES}
    for index in range(WARM_UP + STEPS):
        for memory in MEMORIES if index % 2 else MEMORIES[::-1]:
            began = clock(device)
            step(networks[memory], optimizers[memory], *batch)
            taken[memory].append(clock(device) - began)
    return {memory: values[WARM_UP:] for memory, values in taken.items()}


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    device = choose_device()
    table: dict[str, Any] = {}
    print(f"{'DenseNet-BC, k = 12':<20} {'kept MiB':>16} {'peak MiB':>16} {'s a step':>16} {'time ratio':>12}")
    for layers in LAYERS:
        taken = seconds_of(layers, device)
        row: dict[str, Any] = {
            memory: {
                "kept_bytes": kept_bytes(network_of(layers, memory, device), batch_of(device)[0]),
                "peak_bytes": peak_bytes(layers, memory, device),
                "seconds": spread(taken[memory]),
            }
            for memory in MEMORIES
        }
        row["time_ratio"] = spread([a / b for a, b in zip(taken["frugal"], taken["usual"], strict=True)])
        table[str(6 * layers + 4)] = row
        pairs = [[row[memory][key] for memory in MEMORIES] for key in ("kept_bytes", "peak_bytes")]
        cells = ["{:.0f} / {:.0f}".format(*(float("nan") if b is None else b / 2**20 for b in pair)) for pair in pairs]
        cells.append("{:.2f} / {:.2f}".format(*(row[memory]["seconds"]["median"] for memory in MEMORIES)))
        cells.append(f"{row['time_ratio']['median']:.2f}")
        print(f"depth {6 * layers + 4:<14} {cells[0]:>16} {cells[1]:>16} {cells[2]:>16} {cells[3]:>12}", flush=True)
    result = {
        "network": f"DenseNet-BC, growth rate {GROWTH}; by depth",
        "step": "forward, backward, SGD; fp32",
        "kept_bytes": "storages autograd saves in one forward pass and the layers' outputs, each once",
        "peak_bytes": "rise of the highest memory in one training step: resident on a CPU, allocated on a GPU",
        "device": device,
        "clock": "wall" if device == "cuda" else "CPU time of the process",
        "threads": torch.get_num_threads(),
        "machine": describe(),
        "versions": versions(),
        "input": INPUT,
        "batch": BATCH,
        "n": STEPS,
        "warm_up": WARM_UP,
        "seed": SEED,
        "by_depth": table,
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        print(peak_here(int(sys.argv[2]), sys.argv[3], sys.argv[4]))
    else:
        main()
