"""Plain blocks: convolutions without shortcuts (Krizhevsky et al. 2012, AlexNet; Simonyan & Zisserman 2015, VGG)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from archspace.blocks.registry import Entry, Family
from archspace.errors import GenomeError
from archspace.genome import require_positive
from archspace.parts.convolution import BIASED_CONV_NORM_RELU, BIASED_CONV_RELU, CONV_NORM_RELU, MAX_POOL
from archspace.plan import Planned


@dataclass(frozen=True)
class PlainGenes:
    """Genes of the plain block, one convolution with an odd `kernel`.

    `norm`: `batch` (normalisation in place of a bias), `batch-and-bias` (as in VGG with normalisation), or `none`
    (a bias). A stage with a stride above 1 halves the map with its first convolution (`downsample: conv`) or by
    max-pooling before it, 2x2 or 3x3 (`pool2`, `pool3`).
    """

    kernel: int = 3
    norm: Literal["batch", "batch-and-bias", "none"] = "batch"
    downsample: Literal["conv", "pool2", "pool3"] = "conv"

    def __post_init__(self) -> None:
        require_positive(self, "kernel")
        if self.kernel % 2 == 0:
            raise GenomeError(f"kernel must be odd, not {self.kernel}")


def enter_plain(genes: PlainGenes, in_width: int, width: int | None, stride: int) -> Entry:
    """Max pooling where a stage pools instead of striding."""
    if stride == 1 or genes.downsample == "conv":
        return Entry(None, in_width, stride)
    kernel = int(genes.downsample.removeprefix("pool"))
    return Entry(MAX_POOL(kernel_size=kernel, stride=stride, ceil_mode=True), in_width, 1)


def lay_out_plain(
    genes: PlainGenes, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]
) -> Planned:
    """One plain block."""
    if genes.norm == "none":
        return BIASED_CONV_RELU(
            in_width=in_width, width=width, kernel=genes.kernel, stride=stride, padding=genes.kernel // 2
        )
    part = CONV_NORM_RELU if genes.norm == "batch" else BIASED_CONV_NORM_RELU
    return part(in_width=in_width, width=width, kernel=genes.kernel, stride=stride)


FAMILIES = (
    Family(
        "plain",
        PlainGenes,
        lay_out_plain,
        (
            PlainGenes(),
            PlainGenes(5, "none", "pool3"),
            PlainGenes(3, "batch-and-bias", "pool2"),
            PlainGenes(1),
        ),
        residual=False,
        enter=enter_plain,
        sees_image=True,
    ),
)
