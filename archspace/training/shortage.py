"""Memory that ran out."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import torch

from archspace.training.heap import hand_back

SIGNS = ("out of memory", "can't allocate memory", "cannot allocate memory", "alloc_failed", "bad_alloc")
"""What errors of CUDA's libraries, of torch and of the system say, in small letters."""
_PROCESS = Path("/proc/self")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or for a process."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, (RuntimeError, OSError)) and any(sign in str(error).lower() for sign in SIGNS)


def forget_peak() -> None:
    """Have `peak_memory` count from now on, where the system lets it."""
    hand_back()  # else what the training before has left would count
    if _on_gpu():
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")


def peak_memory() -> int:
    """The most bytes that tensors took on the GPU of this process so far, or this process on the CPU."""
    if _on_gpu():
        return int(torch.cuda.max_memory_allocated())
    with contextlib.suppress(OSError):
        for line in (_PROCESS / "status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _on_gpu() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
