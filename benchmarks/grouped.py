"""What helps grouped convolutions on this CPU: layout, bfloat16, batch, oneDNN, groups joined or written out as paths.

The 3x3 convolution of ResNeXt-29 32x4d's three stages (CIFAR-10), one of a small network and a depthwise one, forward
and backward pass, one thread. Each case runs in a process of its own, so that a crash is reported as one. Cases of a
convolution take turns, for rounds.

Run it as `python benchmarks/grouped.py [--quick]`; it prints a table and writes benchmarks/results/grouped.json.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archspace.searching.machine import describe, versions
from archspace.training.mode import Mode
from archspace.training.place import place

ROUNDS, SECONDS, LIMIT = 5, 0.4, 120.0
"""Rounds of each case, how long a round's passes go on, and after how many seconds a case is given up."""
BATCH = 32
CONVOLUTIONS = {
    "32 groups of 4, 32x32": (128, 32, 32),
    "32 groups of 8, 16x16": (256, 32, 16),
    "32 groups of 16, 8x8": (512, 32, 8),
    "8 groups of 4, 16x16": (32, 8, 16),
    "depthwise 128, 32x32": (128, 128, 32),
}
"""Channels, groups, side."""
USUAL: dict[str, Any] = {"last": False, "bf16": False, "batch": BATCH, "onednn": True, "form": "grouped"}
CASES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "channels_last": {"last": True},
    "bf16": {"bf16": True},
    "bf16, channels_last": {"bf16": True, "last": True},
    "batch 8": {"batch": 8},
    "batch 128": {"batch": 128},
    "without oneDNN": {"onednn": False},
    "groups joined": {"form": "joined"},
    "groups joined, batch 128": {"form": "joined", "batch": 128},
    "concatenated paths": {"form": "paths"},
    "one group, 1/groups of it used": {"form": "dense"},
}
OUT = Path(__file__).parent / "results" / "grouped.json"


class Paths(nn.Module):
    """A convolution for each group, their maps concatenated."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        width = channels // groups
        self.paths = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(groups))

    def forward(self, x: Tensor) -> Tensor:
        """Maps of all groups."""
        parts = x.chunk(len(self.paths), 1)
        return torch.cat([path(part) for path, part in zip(self.paths, parts, strict=True)], 1)


def module_of(form: str, channels: int, groups: int) -> nn.Module:
    """The convolution as it is, as archspace places it, as paths, or with as many channels and no groups."""
    if form == "paths":
        return Paths(channels, groups)
    conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False, groups=1 if form == "dense" else groups)
    if form == "joined":
        place(conv, Mode("cpu", bf16=False, channels_last=False))
    return conv


def one(convolution: str, case: str, seconds: float) -> float:
    """Milliseconds of a forward and backward pass for an image, the least of several."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    channels, groups, side = CONVOLUTIONS[convolution]
    asked = USUAL | CASES[case]
    order = torch.channels_last if asked["last"] else torch.contiguous_format
    module = module_of(asked["form"], channels, groups).to(memory_format=order)
    images = torch.randn(asked["batch"], channels, side, side).to(memory_format=order).requires_grad_()
    times: list[float] = []
    with torch.backends.mkldnn.flags(enabled=asked["onednn"]):
        until = time.perf_counter() + seconds
        while len(times) < 3 or time.perf_counter() < until:
            began = time.process_time()
            with torch.autocast("cpu", torch.bfloat16, enabled=asked["bf16"]):
                maps = module(images)
            maps.float().square().sum().backward()
            times.append(time.process_time() - began)
    return 1000 * min(times[1:]) / asked["batch"]


def measured(convolution: str, case: str, seconds: float) -> float | str:
    """The same in a process of its own, or in words why there is no time."""
    context = multiprocessing.get_context("fork")  # which need not import torch again
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(one(convolution, case, seconds)))
    process.start()
    sender.close()
    try:
        found: float | str = receiver.recv() if receiver.poll(LIMIT) else f"took more than {LIMIT:.0f} s"
    except EOFError:
        process.join()
        code = process.exitcode or 0
        return f"crashed: {signal.Signals(-code).name}" if code < 0 else f"failed with status {code}"
    process.kill() if isinstance(found, str) else process.join()
    return found if isinstance(found, str) or process.exitcode == 0 else f"crashed at its end: {process.exitcode}"


def summary(found: list[float | str], usual: list[float | str]) -> dict[str, Any]:
    """Milliseconds, and how many times as fast as the usual case in the same round: medians, quartiles, crashes."""
    pairs = [(a, b) for a, b in zip(found, usual, strict=True) if isinstance(a, float) and isinstance(b, float)]
    words = sorted({one for one in found if isinstance(one, str)})
    told: dict[str, Any] = {"runs": len(found), "without a time": sum(isinstance(one, str) for one in found)}
    told |= {"why": words} if words else {}
    if len(pairs) > 1:
        for name, values in (("ms an image", [a for a, _ in pairs]), ("times as fast", [b / a for a, b in pairs])):
            low, median, high = statistics.quantiles(values, n=4, method="inclusive")
            told[name] = {"median": median, "low": low, "high": high}
    return told


def main() -> None:
    """Measure, print, write."""
    quick = "--quick" in sys.argv
    rounds, seconds = (2, 0.05) if quick else (ROUNDS, SECONDS)
    results: dict[str, dict[str, Any]] = {}
    for convolution in list(CONVOLUTIONS)[: 1 if quick else None]:
        runs = [{case: measured(convolution, case, seconds) for case in CASES} for _ in range(rounds)]
        usual = [found["as it is"] for found in runs]
        results[convolution] = {case: summary([found[case] for found in runs], usual) for case in CASES}
        for case, told in results[convolution].items():
            shown = f"{told['times as fast']['median']:6.2f} times as fast" if "times as fast" in told else "no time"
            print(f"{convolution:26} {case:32} {shown} {'; '.join(told.get('why', ()))}", flush=True)
    about = {"machine": describe(), "instructions": torch.backends.cpu.get_cpu_capability(), "versions": versions()}
    about |= {"threads": 1, "rounds": rounds, "seed": 0, "batch": BATCH, "clock": "CPU seconds of the process"}
    if not quick:
        OUT.write_text(json.dumps(about | {"results": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
