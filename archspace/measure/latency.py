"""How long the forward pass of a network takes, measured until it can be trusted."""

from __future__ import annotations

import copy
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from archspace.errors import RunFailed, UserError
from archspace.genome import Shape
from archspace.units import percent, si

if TYPE_CHECKING:
    from torch import Tensor, nn

NOISE = 0.1
"""Share of the median that a measurement's quartiles may lie apart, and of its core that it may go without."""
SECONDS = 1.0
"""How long the first measurement goes on; each further one takes twice as long."""
ATTEMPTS = 3
RUNS = 9
"""Passes timed at least: quartiles of fewer say little."""
WARM_UP = 10
"""Passes on a GPU before the first that counts; on a CPU torch's Timer warms up."""


@dataclass(frozen=True)
class Setting:
    """Where and how a forward pass is timed.

    `device` is `cpu`, `cuda` or `cuda:N`; `threads` are torch's on the CPU and do not matter on a GPU; `bf16` has
    weights and images in bfloat16, `fp32` lets torch decide whether a GPU multiplies in TF32.
    """

    device: str = "cpu"
    threads: Annotated[int, Field(ge=1)] = 1
    batch: Annotated[int, Field(ge=1)] = 1
    dtype: Literal["fp32", "bf16"] = "fp32"
    layout: Literal["contiguous", "channels_last"] = "contiguous"

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"{self.device}, {threads}, batch {self.batch}, {self.dtype}, {self.layout}"

    def options(self) -> str:
        """What has to stand behind `archspace profile` for this setting: empty for the default one."""
        changed = (item for item in fields(self) if getattr(self, item.name) != item.default)
        return "".join(f" --{item.name} {getattr(self, item.name)}" for item in changed)


@dataclass(frozen=True)
class Timing:
    """Seconds per batch: the median and the quartiles `low` and `high` of `n` values, each one pass or a mean of some.

    `share` is how much of a core the calling thread was given meanwhile (1 on a GPU, whose own clock is read);
    `refused` counts the measurements before this one that were too noisy.
    """

    median: float
    low: float
    high: float
    n: int
    share: float = 1.0
    refused: int = 0

    @property
    def noise(self) -> float:
        """The greater of (high - low) / median and the share of a core that was missing.

        Quartiles alone do not tell: a process that gets every other time slice is steady, at twice its time.
        """
        return max((self.high - self.low) / self.median, 1 - self.share)


class TooNoisy(RunFailed):
    """A latency that could not be measured well enough; `timing` is the last one refused."""

    def __init__(self, timing: Timing, setting: Setting, noise: float) -> None:
        super().__init__(_too_noisy(timing, setting, noise))
        self.timing = timing


def measure_latency(
    network: nn.Module, input: Shape, setting: Setting, noise: float = NOISE, seconds: float = SECONDS
) -> Timing:
    """Time the eval-mode forward pass of a batch of `input` (channels, height, width), without gradients.

    A copy is timed: the network stays as it is, and so do torch's threads. A measurement noisier than `noise` is
    refused and repeated, twice as long each time; raises TooNoisy (a RunFailed) where all are, UserError where the
    device is not there. On a CPU torch.utils.benchmark's Timer reads the clock, on a GPU CUDA events do.
    """
    import torch

    device_name(setting.device)
    once = _measure_on_cpu if torch.device(setting.device).type == "cpu" else _measure_on_gpu
    timed, images = _prepared(network, input, setting)
    with torch.inference_mode():
        for attempt in range(ATTEMPTS):
            timing = once(timed, images, setting, seconds * 2**attempt)
            if timing.noise <= noise:
                return replace(timing, refused=attempt)
    raise TooNoisy(timing, setting, noise)


def device_name(device: str) -> str:
    """The name of the processor behind `cpu`, `cuda` or `cuda:N`; raises UserError where there is no such device."""
    if device == "cpu":
        return _cpu_name()
    import torch

    kind, _, number = device.partition(":")
    count = torch.cuda.device_count()
    if kind != "cuda" or not (number.isdigit() or device == "cuda"):
        raise UserError(f"device {device!r}: write cpu, cuda, or cuda:1 for the second GPU")
    if int(number or 0) >= count:
        raise UserError(f"device {device!r}: torch finds {count or 'no'} GPU{'s' * (count != 1)} here; use cpu")
    return torch.cuda.get_device_name(int(number or 0))


def noise_text(timing: Timing) -> str:
    """How steady a measurement was: its quartiles, and how much of a core it was given."""
    quartiles = f"quartiles {si(timing.low, 's')} and {si(timing.high, 's')}"
    return f"{si(timing.median, 's')}, {quartiles}, with {timing.share:.0%} of a core"


def _prepared(network: nn.Module, input: Shape, setting: Setting) -> tuple[nn.Module, Tensor]:
    """A copy of the network, and a batch of images, as the setting wants them."""
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[setting.dtype]
    order = torch.channels_last if setting.layout == "channels_last" else torch.contiguous_format
    images = torch.randn(setting.batch, *input, generator=torch.Generator().manual_seed(0))
    timed = copy.deepcopy(network).to(setting.device, dtype).to(memory_format=order)  # type: ignore[call-overload]
    return timed.eval(), images.to(setting.device, dtype).to(memory_format=order)


def _measure_on_cpu(network: nn.Module, images: Tensor, setting: Setting, seconds: float) -> Timing:
    from torch.utils.benchmark import Timer

    passes = {"network": network, "images": images}
    timer = Timer("network(images)", globals=passes, num_threads=setting.threads)
    one = timer.timeit(1).median
    wall, own = time.perf_counter(), time.thread_time()
    times: list[float] = []
    while len(times) < RUNS:
        times += timer.blocked_autorange(min_run_time=max(seconds, RUNS * one)).times
    share = (time.thread_time() - own) / (time.perf_counter() - wall)
    return _timing(times, share)


def _measure_on_gpu(network: nn.Module, images: Tensor, setting: Setting, seconds: float) -> Timing:
    import torch

    times: list[float] = []
    with torch.cuda.device(setting.device):
        for _ in range(WARM_UP):
            network(images)
        torch.cuda.synchronize()
        until = time.perf_counter() + seconds
        while len(times) < RUNS or time.perf_counter() < until:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            start.record()
            network(images)
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) / 1000)  # CUDA counts in milliseconds
    return _timing(times, share=1.0)


def _timing(times: Sequence[float], share: float) -> Timing:
    low, median, high = statistics.quantiles(times, n=4, method="inclusive")
    return Timing(median, low, high, len(times), min(share, 1.0))


def _too_noisy(timing: Timing, setting: Setting, noise: float) -> str:
    """What was measured last, and what a person can do."""
    return (
        f"latency ({setting}): all {ATTEMPTS} measurements were too noisy, the last of {timing.n} values: "
        f"{noise_text(timing)}. Either may differ by {percent(noise)}: end what else runs here, take fewer threads, or "
        f"allow more with `--noise {_above(timing.noise)}`"
    )


def _above(noise: float) -> str:
    """The next tenth above."""
    return f"{int(noise * 10 + 1) / 10:g}"


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
