"""Where and in which number format a network trains."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from archspace.training.recipe import Recipe


@dataclass(frozen=True)
class Mode:
    """A device, whether autocast computes in bfloat16, and whether images lie in channels_last order."""

    device: str
    bf16: bool
    channels_last: bool

    def __str__(self) -> str:
        layout = "channels_last" if self.channels_last else "contiguous"
        return f"{self.device}, {'bf16 autocast' if self.bf16 else 'fp32'}, {layout}"


def choose_device() -> str:
    """`cuda` where a GPU is present, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_mode(recipe: Recipe, device: str) -> Mode:
    """The mode a recipe asks for; `auto` takes bf16 where the hardware multiplies it natively.

    On a CPU without such instructions bf16 is slower than fp32, and channels_last gains nothing in fp32.
    """
    bf16 = has_bf16(device) if recipe.precision == "auto" else recipe.precision == "bf16"
    return Mode(device, bf16, bf16 or device == "cuda")


def has_bf16(device: str) -> bool:
    """Whether the device has bfloat16 arithmetic (AVX512-BF16 or AMX on CPUs, Ampere or later on GPUs)."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
