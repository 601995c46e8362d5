"""Highway blocks: a learned gate decides how much is transformed and how much is carried (Srivastava et al. 2015).

1505.00387 and 1507.06228. H, T and C are the paper's transform, transform gate and carry gate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from archspace.blocks.registry import Entry, Family
from archspace.errors import GenomeError
from archspace.featuremap import FeatureMap
from archspace.parts.convolution import CONV_NORM_RELU
from archspace.parts.shortcut import PROJECTION
from archspace.plan import Part, Planned


class Gate(nn.Module):
    """sigmoid(conv(x) + bias), a number between 0 and 1 for every element of the map."""

    def __init__(self, width: int, bias: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.conv.bias = nn.Parameter(torch.full((width,), bias))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.conv(x))


def gate_cost(x: FeatureMap, width: int, bias: float) -> FeatureMap:
    """Closed form of Gate."""
    return x.conv(width, 3, bias=True).sigmoid()


class TwoLayers(nn.Module):
    """One layer after another."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(self.first(x))
        return out


def two_layers_cost(x: FeatureMap, first: Planned, second: Planned) -> FeatureMap:
    """Closed form of TwoLayers."""
    return second.cost(first.cost(x))


class CoupledBranch(nn.Module):
    """(H(x) - x) T(x): what y = H(x) T(x) + x (1 - T(x)) adds to x (1505.00387, Eq. 3)."""

    def __init__(self, transform: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.transform = transform
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = (self.transform(x) - x) * self.gate(x)
        return out


def coupled_branch_cost(x: FeatureMap, transform: Planned, gate: Planned) -> FeatureMap:
    """Closed form of CoupledBranch; the gate stands beside the transform."""
    x = x.keep()
    return transform.cost(x).copied().times(gate.cost(x), start=x)


class UncoupledBranch(nn.Module):
    """H(x) T(x) + x (C(x) - 1): what y = H(x) T(x) + x C(x) adds to x (1505.00387, Eq. 2)."""

    def __init__(self, transform: nn.Module, gate: nn.Module, carry: nn.Module) -> None:
        super().__init__()
        self.transform = transform
        self.gate = gate
        self.carry = carry

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.transform(x) * self.gate(x) + x * (self.carry(x) - 1.0)
        return out


def uncoupled_branch_cost(x: FeatureMap, transform: Planned, gate: Planned, carry: Planned) -> FeatureMap:
    """Closed form of UncoupledBranch."""
    x = x.keep()
    transformed = transform.cost(x).times(gate.cost(x), start=x)
    return transformed.plus(x.times(carry.cost(x).copied(), start=x), start=x)


class Highway(nn.Module):
    """y = x + branch(x): written so, a block that stochastic depth skips is the identity."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.branch(x)
        return out


def highway_cost(x: FeatureMap, branch: Planned) -> FeatureMap:
    """Closed form of Highway; the sum is free."""
    return branch.cost(x).copied()


GATE = Part(Gate, gate_cost)
TWO_LAYERS = Part(TwoLayers, two_layers_cost)
COUPLED_BRANCH = Part(CoupledBranch, coupled_branch_cost)
UNCOUPLED_BRANCH = Part(UncoupledBranch, uncoupled_branch_cost)
HIGHWAY = Part(Highway, highway_cost)


@dataclass(frozen=True)
class HighwayGenes:
    """Genes of the highway block.

    `transform_layers` is how many 3x3 convolutions (each normalised and rectified) H has, 1 or 2. `gate_bias` is the
    bias at which gate T starts, negative so that the block begins by carrying; an uncoupled carry gate C starts at its
    opposite. `gates`: `coupled`, C = 1 - T, or `uncoupled`.
    """

    transform_layers: int = 1
    gate_bias: float = -2.0
    gates: Literal["coupled", "uncoupled"] = "coupled"

    def __post_init__(self) -> None:
        if self.transform_layers not in (1, 2):
            raise GenomeError(f"transform_layers must be 1 or 2, not {self.transform_layers!r}")
        if not -50.0 <= self.gate_bias < 0.0:
            raise GenomeError(f"gate_bias must be below 0 and at least -50, not {self.gate_bias!r}")


def enter_highway(genes: HighwayGenes, in_width: int, width: int | None, stride: int) -> Entry:
    """A projection where shapes change, so that every block carries what it is given."""
    assert width is not None
    if stride == 1 and in_width == width:
        return Entry(None, width, 1)
    return Entry(PROJECTION(in_width=in_width, width=width, stride=stride), width, 1)


def lay_out_highway(
    genes: HighwayGenes, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]
) -> Planned:
    """One highway block."""
    layer = CONV_NORM_RELU(in_width=width, width=width, kernel=3, stride=1)
    transform = layer if genes.transform_layers == 1 else TWO_LAYERS(first=layer, second=layer)
    gate = GATE(width=width, bias=genes.gate_bias)
    if genes.gates == "coupled":
        return HIGHWAY(branch=survive(COUPLED_BRANCH(transform=transform, gate=gate)))
    carry = GATE(width=width, bias=-genes.gate_bias)
    return HIGHWAY(branch=survive(UNCOUPLED_BRANCH(transform=transform, gate=gate, carry=carry)))


FAMILIES = (
    Family(
        "highway",
        HighwayGenes,
        lay_out_highway,
        (HighwayGenes(), HighwayGenes(2, -1.0), HighwayGenes(1, -3.0, "uncoupled")),
        enter=enter_highway,
    ),
)
