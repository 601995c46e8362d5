"""Dense blocks: every layer sees the outputs of all layers before it (Huang et al. 2017, 1608.06993)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from archspace.blocks.registry import Entry, Family
from archspace.errors import GenomeError
from archspace.featuremap import FeatureMap
from archspace.genome import require_positive
from archspace.parts.convolution import NORM_RELU
from archspace.plan import Part, Planned


class DenseStage(nn.Sequential):
    """Layers that are each given the list of all maps so far, and append one (Huang et al. 2017, 1608.06993, Eq. 2)."""

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self:
            maps.append(layer(maps))
        return torch.cat(maps, 1)


def dense_stage_cost(x: FeatureMap) -> FeatureMap:
    """Closed form of DenseStage, behind its layers: the last concatenation."""
    return x.copied()


class DenseLayer(nn.Module):
    """Normalisation, ReLU, 3x3 that gives `growth` maps (Huang et al. 2017, 1608.06993, Section 3)."""

    def __init__(self, in_width: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_width)
        self.conv = nn.Conv2d(in_width, growth, kernel_size=3, padding=1, bias=False)

    def join(self, *maps: Tensor) -> Tensor:
        out: Tensor = self.conv(F.relu(self.norm(torch.cat(maps, 1))))
        return out

    def forward(self, maps: list[Tensor]) -> Tensor:
        return self.join(*maps)


def dense_layer_cost(x: FeatureMap, in_width: int, growth: int) -> FeatureMap:
    """Closed form of DenseLayer; concatenation is free."""
    return x.appended(x.copied().norm_relu().conv(growth, 3))


class BottleneckDenseLayer(nn.Module):
    """Normalisation, ReLU, 1x1 to `inner` maps; normalisation, ReLU, 3x3 that gives `growth` maps (DenseNet-B)."""

    def __init__(self, in_width: int, inner: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_width)
        self.narrow = nn.Conv2d(in_width, inner, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.conv = nn.Conv2d(inner, growth, kernel_size=3, padding=1, bias=False)

    def join(self, *maps: Tensor) -> Tensor:
        out: Tensor = self.narrow(F.relu(self.norm1(torch.cat(maps, 1))))
        return out

    def forward(self, maps: list[Tensor]) -> Tensor:
        out: Tensor = self.conv(F.relu(self.norm2(self.join(*maps))))
        return out


def bottleneck_dense_layer_cost(x: FeatureMap, in_width: int, inner: int, growth: int) -> FeatureMap:
    """Closed form of BottleneckDenseLayer."""
    return x.appended(x.copied().norm_relu().conv(inner, 1).norm_relu().conv(growth, 3))


class WithoutStatistics:
    """Within it a norm works on copies of its running statistics: a recomputation would count the batch twice."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        self.norm = norm

    def __enter__(self) -> None:
        self.kept = dict(self.norm.named_buffers())
        for name, buffer in self.kept.items():
            setattr(self.norm, name, buffer.clone())

    def __exit__(self, *_: object) -> None:
        for name, buffer in self.kept.items():
            setattr(self.norm, name, buffer)


def recomputed(join: Callable[..., Tensor], norm: nn.BatchNorm2d, maps: list[Tensor]) -> Tensor:
    """join(*maps), computed again in the backward pass instead of keeping the concatenation (1707.06990)."""
    contexts = contextlib.nullcontext(), WithoutStatistics(norm)
    # No randomness is in it; to keep its state would take time for each layer.
    out: Tensor = checkpoint(join, *maps, use_reentrant=False, context_fn=lambda: contexts, preserve_rng_state=False)
    return out


class FrugalDenseLayer(DenseLayer):
    """As DenseLayer, in memory that grows with the depth and not with its square."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        return recomputed(self.join, self.norm, maps) if self.training else self.join(*maps)


def frugal_dense_layer_cost(x: FeatureMap, in_width: int, growth: int) -> FeatureMap:
    """Closed form of FrugalDenseLayer."""
    x = x.keep_each(growth)
    return x.appended(x.recomputed(x.copied().norm_relu().conv(growth, 3)))


class FrugalBottleneckDenseLayer(BottleneckDenseLayer):
    """As BottleneckDenseLayer, in memory that grows with the depth and not with its square."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        joined = recomputed(self.join, self.norm1, maps) if self.training else self.join(*maps)
        out: Tensor = self.conv(F.relu(self.norm2(joined)))
        return out


def frugal_bottleneck_dense_layer_cost(x: FeatureMap, in_width: int, inner: int, growth: int) -> FeatureMap:
    """Closed form of FrugalBottleneckDenseLayer."""
    x = x.keep_each(growth)
    joined = x.recomputed(x.copied().norm_relu().conv(inner, 1))
    return x.appended(joined.norm_relu().conv(growth, 3))


class Transition(nn.Module):
    """Normalisation, ReLU, 1x1 to `width` maps, average pooling: what stands between two dense stages."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_width)
        self.conv = nn.Conv2d(in_width, width, kernel_size=1, bias=False)
        self.pool = nn.AvgPool2d(stride, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pool(self.conv(F.relu(self.norm(x))))
        return out


def transition_cost(x: FeatureMap, in_width: int, width: int, stride: int) -> FeatureMap:
    """Closed form of Transition."""
    return x.norm_relu().conv(width, 1).average_pool(stride, stride)


RECOMPUTES = (WithoutStatistics, recomputed)
DENSE_LAYER = Part(DenseLayer, dense_layer_cost)
FRUGAL_DENSE_LAYER = Part(FrugalDenseLayer, frugal_dense_layer_cost, needs=(DenseLayer, *RECOMPUTES))
BOTTLENECK_DENSE_LAYER = Part(BottleneckDenseLayer, bottleneck_dense_layer_cost)
FRUGAL_BOTTLENECK_DENSE_LAYER = Part(
    FrugalBottleneckDenseLayer, frugal_bottleneck_dense_layer_cost, needs=(BottleneckDenseLayer, *RECOMPUTES)
)
TRANSITION = Part(Transition, transition_cost)
DENSE_STAGE = Part(DenseStage, dense_stage_cost)


@dataclass(frozen=True)
class DenseGenes:
    """Genes of the dense block, one layer that appends `growth_rate` maps.

    `layer`: `bottleneck` (a 1x1 to `bottleneck` x growth rate maps comes first, DenseNet-B) or `basic`. `compression`
    is the share of the maps that the transition before the stage keeps (there is one where the stage's stride is above
    1). `memory`: `frugal` computes concatenations again in the backward pass.
    """

    growth_rate: int
    layer: Literal["bottleneck", "basic"] = "bottleneck"
    bottleneck: int = 4
    compression: float = 0.5
    memory: Literal["usual", "frugal"] = "usual"

    def __post_init__(self) -> None:
        require_positive(self, "growth_rate", "bottleneck")
        if not 0.0 < self.compression <= 1.0:
            raise GenomeError(f"compression must be above 0 and at most 1, not {self.compression!r}")
        if self.layer == "basic" and self.bottleneck != 4:
            raise GenomeError("bottleneck: a basic layer has none; leave it out")


def enter_dense(genes: DenseGenes, in_width: int, width: int | None, stride: int) -> Entry:
    """A transition where the stage strides."""
    if stride == 1:
        return Entry(None, in_width, 1)
    kept = math.floor(in_width * genes.compression)
    if kept < 1:
        raise GenomeError(f"compression {genes.compression} keeps none of {in_width} maps")
    return Entry(TRANSITION(in_width=in_width, width=kept, stride=stride), kept, 1)


def lay_out_dense(
    genes: DenseGenes, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]
) -> Planned:
    """One dense layer."""
    frugal = genes.memory == "frugal"
    if genes.layer == "basic":
        return (FRUGAL_DENSE_LAYER if frugal else DENSE_LAYER)(in_width=in_width, growth=genes.growth_rate)
    part = FRUGAL_BOTTLENECK_DENSE_LAYER if frugal else BOTTLENECK_DENSE_LAYER
    return part(in_width=in_width, inner=genes.bottleneck * genes.growth_rate, growth=genes.growth_rate)


def close_dense(genes: DenseGenes, width: int) -> Planned | None:
    """Maps are appended as convolutions give them."""
    return NORM_RELU(width=width)


FAMILIES = (
    Family(
        "dense",
        DenseGenes,
        lay_out_dense,
        (
            DenseGenes(12),
            DenseGenes(7, "basic", compression=1.0),
            DenseGenes(5, "bottleneck", 2, 0.7, "frugal"),
            DenseGenes(6, "basic", memory="frugal"),
        ),
        residual=False,
        enter=enter_dense,
        close=close_dense,
        growth=lambda genes: genes.growth_rate,
        container=DENSE_STAGE,
    ),
)
