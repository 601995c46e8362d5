"""What this machine offers a search, and the versions a result depends on."""

from __future__ import annotations

import math
import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from archspace.errors import UserError

GPU_SHARE = 0.25
"""Of a GPU for one trial: networks for small images leave most of a GPU idle."""
RESERVE = 2**30
"""Bytes on a GPU that a trial takes beside its tensors: CUDA's context, workspaces of kernels."""
MOST_ON_GPU = 99
"""Ray counts GPUs in ten-thousandths: shares of more trials than these cannot be told apart."""


@dataclass(frozen=True)
class Share:
    """How many trials run side by side, on which device, each with how much of a GPU."""

    device: str
    concurrency: int
    gpus_per_trial: float


@dataclass(frozen=True)
class GpuFit:
    """How many trials fit a GPU together, and the share of it that lets so many run on it; 0 and 1 where none fits."""

    trials: int
    share: float


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def plan_share(concurrency: int | None, gpus_per_trial: float | None) -> Share:
    """One trial per core, or as many as share the GPUs found; raises UserError for what the machine lacks."""
    import torch

    gpus = torch.cuda.device_count()
    if gpus_per_trial is not None and not gpus_per_trial >= 0:
        raise UserError(f"--gpus-per-trial {gpus_per_trial:g}: must be at least 0")
    if gpus_per_trial is not None and gpus_per_trial > gpus:
        raise UserError(f"--gpus-per-trial {gpus_per_trial:g}: this machine has {gpus} GPUs")
    share = (GPU_SHARE if gpus else 0.0) if gpus_per_trial is None else gpus_per_trial
    fit = min(cores(), int(gpus / share + 1e-9)) if share else cores()
    if concurrency is not None and concurrency < 1:
        raise UserError(f"--concurrency {concurrency}: at least one trial must run")
    return Share("cuda" if share else "cpu", min(concurrency or fit, fit) if share else concurrency or fit, share)


def refuse_without_gpu(device: str, address: str | None) -> None:
    """Raise UserError where trials began on a GPU and this machine, or the cluster's driver, has none to go on with."""
    import torch

    if device == "cuda" and not address and not torch.cuda.is_available():
        raise UserError("its trials began on a GPU, and torch finds none here; go on with it where there is one")


def fit_on_gpu(free: int, need: int, reserve: int = RESERVE) -> GpuFit:
    """By memory alone: `free` bytes of a GPU, `need` bytes of tensors and `reserve` of all else for each trial."""
    trials = min(max(free, 0) // (need + reserve), MOST_ON_GPU)
    # Rounded down: a third rounded up lets two trials run.
    return GpuFit(trials, math.floor(10_000 / trials) / 10_000 if trials else 1.0)


def trials_on_gpu(share: float) -> int:
    """How many trials of this share of a GPU, above 0, run on one; 1 where a trial takes a whole one or several."""
    return max(1, int(1 / share + 1e-9))


def gpu_memory() -> tuple[int, ...]:
    """Free bytes of each GPU; empty where there is none."""
    import torch

    return tuple(torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count()))


def versions() -> dict[str, str]:
    """Python and the packages that decide a result; archspace runs from its folder too, parts of it without ray."""
    found = {"python": platform.python_version()}
    for name in ("archspace", "torch", "optuna", "ray", "numpy", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def describe() -> str:
    """One line that names this machine."""
    import torch

    parts = [_cpu_name(), f"{cores()} cores", f"{platform.system()} {platform.machine()}"]
    parts += [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ", ".join(parts)


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
