"""One pass through a network, in a mode."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from archspace.training.mode import Mode


@dataclass(frozen=True)
class Forward:
    """How networks are passed through: in the mode's precision, compiled where it says so."""

    mode: Mode
    compiled: Callable[[Tensor], Tensor] | None = None

    def __call__(self, network: nn.Module, images: Tensor) -> Tensor:
        """Scores (N, classes) in float32; images in the mode's layout."""
        # Asked for its truth, a compiled module raises: torch 2.13 takes it for a list.
        way = self.compiled if self.compiled is not None and network.training else network
        with self.autocast():
            scores: Tensor = way(images)
        return scores.float()

    def autocast(self) -> torch.autocast:
        """The mode's precision, as a context."""
        return torch.autocast(self.mode.device, torch.bfloat16, enabled=self.mode.bf16)


def forward_of(network: nn.Module, mode: Mode) -> Forward:
    """Passes through `network`, compiled for training where the mode says so; it may see others, which are not."""
    return Forward(mode, torch.compile(network) if mode.compiled == "on" else None)


@contextlib.contextmanager
def products_of(mode: Mode) -> Iterator[None]:
    """How float32 products are taken while the context lasts, which torch keeps for the whole process."""
    if mode.device != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if mode.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = mode.tf32
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
