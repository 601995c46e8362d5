"""Memory of tensors that were let go stays with a process, and is handed back where a peak is counted anew."""

import os
import platform
import subprocess
import sys

import pytest

from archspace.training.heap import SETTINGS, keep_freed_memory

STEPS = """
import resource, sys, torch
from archspace.training.heap import keep_freed_memory
from archspace.training.shortage import forget_peak, peak_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()

def faults():
    for _ in range(20):
        x = torch.ones(2**21)
        held = [x + number for number in range(8)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

before = faults()
print(faults() - before)
full = peak_memory()
forget_peak()
print((full - peak_memory()) // 2**20)
"""


def steps(how: str) -> tuple[int, int]:
    """Pages that the system filled for steps of 72 MiB, and MiB by which the peak fell once it was forgotten."""
    usual = {name: value for name, value in os.environ.items() if name not in (*SETTINGS, "LD_PRELOAD")}
    ran = subprocess.run([sys.executable, "-c", STEPS, how], env=usual, capture_output=True, text=True, check=True)
    filled, fell = map(int, ran.stdout.split())
    return filled, fell


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_memory_is_kept_between_steps_and_handed_back_between_trainings() -> None:
    filled, fell = steps("kept")
    usual, _ = steps("usual")
    assert filled * 3 < usual
    assert fell >= 60


def test_what_a_user_told_the_library_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert not keep_freed_memory()
