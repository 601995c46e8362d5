"""How a network's arithmetic is done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """A device, and how it computes.

    `bf16`: autocast in bfloat16; `channels_last`: the order of images; `fused`: one kernel for the optimiser's step;
    `tf32`: float32 products in TensorFloat-32 where the device has it; `compiled`: torch.compile, or with
    `graphs` whole steps recorded as CUDA graphs.
    """

    device: str
    bf16: bool
    channels_last: bool
    fused: bool = False
    tf32: bool = False
    compiled: str = "off"

    def __str__(self) -> str:
        return f"{self.device}, {self.words}"

    @property
    def words(self) -> str:
        """All of it but the device."""
        words = ["bf16 autocast" if self.bf16 else "fp32", "channels_last" if self.channels_last else "contiguous"]
        words += ["fused step"] * self.fused + ["TF32"] * self.tf32
        words += {"off": [], "on": ["compiled"], "graphs": ["CUDA graphs"]}[self.compiled]
        return ", ".join(words)
