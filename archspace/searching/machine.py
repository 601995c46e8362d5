"""What this machine offers a search, and the versions a result depends on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from archspace.errors import UserError

GPU_SHARE = 0.25
"""Of a GPU for one trial: networks for small images leave most of a GPU idle."""


@dataclass(frozen=True)
class Share:
    """How many trials run side by side, on which device, each with how much of a GPU."""

    device: str
    concurrency: int
    gpus_per_trial: float


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def plan_share(concurrency: int | None, gpus_per_trial: float | None) -> Share:
    """One trial per core, or as many as share the GPUs found; raises UserError for what the machine lacks."""
    import torch

    gpus = torch.cuda.device_count()
    if gpus_per_trial is not None and gpus_per_trial < 0:
        raise UserError(f"--gpus-per-trial {gpus_per_trial:g}: must be at least 0")
    if gpus_per_trial is not None and gpus_per_trial > gpus:
        raise UserError(f"--gpus-per-trial {gpus_per_trial:g}: this machine has {gpus} GPUs")
    share = (GPU_SHARE if gpus else 0.0) if gpus_per_trial is None else gpus_per_trial
    fit = min(cores(), int(gpus / share + 1e-9)) if share else cores()
    if concurrency is not None and concurrency < 1:
        raise UserError(f"--concurrency {concurrency}: at least one trial must run")
    return Share("cuda" if share else "cpu", min(concurrency or fit, fit) if share else concurrency or fit, share)


def versions() -> dict[str, str]:
    """Python and the packages that decide a result."""
    names = ("archspace", "torch", "optuna", "ray", "numpy", "scikit-learn")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


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
