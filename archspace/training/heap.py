"""Memory that a process keeps between the steps of a training."""

from __future__ import annotations

import ctypes
import os
import sys

TRIM, MAPPED = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD, as glibc's malloc.h numbers them."""
KEPT = 512 * 2**20
"""Bytes at the heap's end that are kept though nobody uses them."""
LARGEST = 32 * 2**20
"""Bytes up to which a tensor lies on the heap; glibc takes no more."""
SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")
"""Variables by which a user tells glibc how to keep memory."""


def keep_freed_memory() -> bool:
    """Let this process keep the memory of tensors that are let go, for those of the next step; whether it does so.

    By itself glibc hands it back to the system, which fills each page with zeros once it is asked for again: a tenth
    of the time of a step on a CPU. It holds for the whole process, and no number changes. False where the C library
    is another one, or the user has told it how to keep memory.
    """
    library = None if any(name in os.environ for name in SETTINGS) else _library()
    # Either one ends glibc's own adjustment of the other, so both are given.
    return library is not None and bool(library.mallopt(TRIM, KEPT) and library.mallopt(MAPPED, LARGEST))


def hand_back() -> None:
    """Give the system what is kept and nobody uses."""
    library = _library()
    if library is not None:
        library.malloc_trim(ctypes.c_size_t(0))


def _library() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
