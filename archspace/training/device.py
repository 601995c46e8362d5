"""Where a network's arithmetic is done, and how it usually is."""

from __future__ import annotations

import os
import shutil
import sys

import torch

from archspace.errors import UserError
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe
from archspace.training.room import free_memory


def choose_device() -> str:
    """`cuda` where a GPU is present, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_mode(recipe: Recipe, device: str) -> Mode:
    """The mode a recipe asks for; `auto` takes what usually is fastest: see archspace.training.fastest to measure it.

    bf16 on GPUs that have it and on CPUs with AMX; channels_last with it, on every GPU, and on CPUs with AVX-512.
    CUDA graphs only where there is CUDA.
    """
    bf16 = bf16_is_usual(device) if recipe.precision == "auto" else recipe.precision == "bf16"
    usually_last = bf16 or device == "cuda" or has_avx512()
    last = usually_last if recipe.layout == "auto" else recipe.layout == "channels_last"
    compiled = "off" if recipe.compile == "graphs" and device != "cuda" else recipe.compile
    return Mode(device, bf16, last, fused=True, tf32=device == "cuda", compiled=compiled)


def has_bf16(device: str) -> bool:
    """Whether the device has bfloat16 arithmetic (AVX512-BF16 or AMX on CPUs, Ampere or later on GPUs)."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def has_avx512() -> bool:
    """Whether torch computes with vectors of 512 bits on this machine's CPU."""
    return bool(torch.backends.cpu.get_cpu_capability() == "AVX512")


def bf16_is_usual(device: str) -> bool:
    """Whether most networks are faster in bfloat16: of CPUs that have it without AMX some gain by it, others lose."""
    return has_bf16(device) if device == "cuda" else bool(torch.cpu.get_capabilities().get("amx_bf16"))


def cpu_name() -> str:
    """This machine's CPU as torch sees it: its name, and the vectors that are used."""
    return f"{torch.cpu.get_capabilities().get('cpu_name', '')} {torch.backends.cpu.get_cpu_capability()}"


def cxx_compiler() -> str:
    """The C++ compiler that compiles networks for a CPU."""
    return os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")


def check_compiler(recipe: Recipe, device: str) -> None:
    """Raise UserError where a recipe compiles networks and the compiler it takes is missing."""
    if recipe.compile == "on" and device == "cpu" and not shutil.which(cxx_compiler()):
        raise UserError(
            f"recipe.compile=on needs a C++ compiler on a CPU, and {cxx_compiler()} is not found: install it, name "
            "another in the variable CXX, or leave compile off"
        )


def free_bytes(device: str) -> int:
    """Bytes of memory that are free on a device."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    return free_memory() or 0
