"""Closed-form cost algebra: a feature map that remembers what it took to compute it."""

from __future__ import annotations

from typing import NamedTuple

from archspace.errors import GenomeError

COSTS = ("params", "macs", "flops", "acts", "expected")
"""What adds up along a path and over paths."""


class FeatureMap(NamedTuple):
    """Channels, height and width of one image's features, and the cost of all layers up to here.

    Cost is counted as fvcore 0.1.5 does, in eval mode at batch 1: convolutions and linear layers one flop per
    multiply-add, batch normalisation 2 per element, adaptive pooling 1 per element of its input, the rest 0.
    `layers` is the number of weighted layers on the longest path. `expected` are the flops of a forward pass while
    training, where stochastic depth skips branches: their expectation. Raises GenomeError where nothing would be left
    of a map.
    """

    channels: int
    height: int
    width: int
    params: int = 0
    macs: int = 0
    flops: int = 0
    acts: int = 0
    layers: int = 0
    expected: float = 0

    @property
    def elements(self) -> int:
        """Scalars in the map."""
        return self.channels * self.height * self.width

    def conv(
        self,
        channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
        padding: int | None = None,
    ) -> FeatureMap:
        """A square convolution, padded by kernel // 2 unless told (odd kernels then keep the size at stride 1)."""
        around = 2 * (kernel // 2 if padding is None else padding) - kernel
        height, width = (self.height + around) // stride + 1, (self.width + around) // stride + 1
        weights = channels * (self.channels // groups) * kernel * kernel
        macs = weights * height * width
        return FeatureMap(
            channels,
            self._left(height),
            self._left(width),
            self.params + weights + channels * bias,
            self.macs + macs,
            self.flops + macs,
            self.acts + channels * height * width,
            self.layers + 1,
            self.expected + macs,
        )

    def norm(self) -> FeatureMap:
        """Batch normalisation with a learned scale and shift per channel."""
        return self._adding(params=2 * self.channels, flops=2 * self.elements)

    def pool(self, kernel: int, stride: int) -> FeatureMap:
        """Max or average pooling without padding; a last window may reach over the edge (ceil_mode): no cost."""
        height, width = (_pooled(side, kernel, stride) for side in (self.height, self.width))
        return self._replace(height=self._left(height), width=self._left(width))

    def subsample(self, channels: int, stride: int) -> FeatureMap:
        """Every `stride`-th position, missing channels filled with zeros: no cost.

        Pooling with an odd kernel, padded by kernel // 2, leaves the same size.
        """
        return self._replace(channels=channels, height=-(-self.height // stride), width=-(-self.width // stride))

    def adaptive_pool(self, side: int = 1) -> FeatureMap:
        """Adaptive average pooling to side x side."""
        return self._adding(flops=self.elements)._replace(height=side, width=side)

    def linear(self, outputs: int) -> FeatureMap:
        """A linear layer with bias on the flattened map."""
        weights = self.elements * outputs
        flat = self._replace(channels=outputs, height=1, width=1, layers=self.layers + 1)
        return flat._adding(params=weights + outputs, macs=weights, flops=weights)

    def plus(self, other: FeatureMap, start: FeatureMap) -> FeatureMap:
        """The sum of two paths that both began at `start`."""
        return FeatureMap(
            self.channels,
            self.height,
            self.width,
            self.params + other.params - start.params,
            self.macs + other.macs - start.macs,
            self.flops + other.flops - start.flops,
            self.acts + other.acts - start.acts,
            max(self.layers, other.layers),
            self.expected + other.expected - start.expected,
        )

    def beside(self, other: FeatureMap, start: FeatureMap) -> FeatureMap:
        """The concatenation of two paths that both began at `start`."""
        return self.plus(other, start)._replace(channels=self.channels + other.channels)

    def paths(self, path: FeatureMap, count: int, channels: int | None = None) -> FeatureMap:
        """`count` paths that all began here and each lead to `path`: summed, or side by side as `channels`."""
        costs = {name: getattr(self, name) + count * (getattr(path, name) - getattr(self, name)) for name in COSTS}
        return path._replace(channels=path.channels if channels is None else channels, **costs)

    def appended(self, new: FeatureMap) -> FeatureMap:
        """The map with the channels of `new`, which was computed from it, behind its own."""
        return new._replace(channels=self.channels + new.channels)

    def scaled_by(self, gate: FeatureMap) -> FeatureMap:
        """The map times a gate that was computed from it; the gate is no layer of the path."""
        return self._replace(**{name: getattr(gate, name) for name in COSTS})

    def surviving(self, branch: FeatureMap, p: float) -> FeatureMap:
        """The end of a `branch` that began here and is computed with probability `p` while training."""
        return branch._replace(expected=self.expected + p * (branch.expected - self.expected))

    def repeated(self, first: FeatureMap, second: FeatureMap, times: int) -> FeatureMap:
        """`times` steps of which `first` and `second` are the ends of the first two: an arithmetic series.

        From step to step the cost grows by the same amount (by none where all are equal), and so do the channels.
        """
        pairs = times * (times - 1) // 2
        sums = {}
        for name in (*COSTS, "layers"):
            step = getattr(first, name) - getattr(self, name)
            growth = getattr(second, name) - getattr(first, name) - step
            sums[name] = getattr(self, name) + times * step + pairs * growth
        return first._replace(channels=first.channels + (times - 1) * (second.channels - first.channels), **sums)

    def _adding(self, params: int = 0, macs: int = 0, flops: int = 0) -> FeatureMap:
        return FeatureMap(
            self.channels,
            self.height,
            self.width,
            self.params + params,
            self.macs + macs,
            self.flops + flops,
            self.acts,
            self.layers,
            self.expected + flops,
        )

    def _left(self, side: int) -> int:
        if side < 1:
            raise GenomeError(
                f"a map of {self.height}x{self.width} is too small for what comes next; use larger images"
            )
        return side


def _pooled(side: int, kernel: int, stride: int) -> int:
    """How many windows fit; torch drops a last one that would begin beyond the edge."""
    count = -(-(side - kernel) // stride) + 1
    return count - 1 if (count - 1) * stride >= side else count
