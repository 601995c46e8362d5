"""Closed-form cost algebra: a feature map that remembers what it took to compute it."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """Channels, height and width of one image's features, and the cost of all layers up to here.

    Cost is counted as fvcore 0.1.5 does, in eval mode at batch 1: convolutions and linear layers one flop per
    multiply-add, batch normalisation 2 per element, adaptive pooling 1 per element of its input, the rest 0.
    `layers` is the number of weighted layers on the longest path.
    """

    channels: int
    height: int
    width: int
    params: int = 0
    macs: int = 0
    flops: int = 0
    acts: int = 0
    layers: int = 0

    @property
    def elements(self) -> int:
        """Scalars in the map."""
        return self.channels * self.height * self.width

    def conv(self, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> FeatureMap:
        """A square convolution without bias, padded by kernel // 2 (odd kernels keep the size at stride 1)."""
        height, width = -(-self.height // stride), -(-self.width // stride)
        weights = channels * (self.channels // groups) * kernel * kernel
        macs = weights * height * width
        return FeatureMap(
            channels,
            height,
            width,
            self.params + weights,
            self.macs + macs,
            self.flops + macs,
            self.acts + channels * height * width,
            self.layers + 1,
        )

    def norm(self) -> FeatureMap:
        """Batch normalisation with a learned scale and shift per channel."""
        return replace(self, params=self.params + 2 * self.channels, flops=self.flops + 2 * self.elements)

    def max_pool(self, stride: int) -> FeatureMap:
        """Max pooling with odd kernel, padded by kernel // 2."""
        return replace(self, height=-(-self.height // stride), width=-(-self.width // stride))

    def subsample(self, channels: int, stride: int) -> FeatureMap:
        """Every `stride`-th position, missing channels filled with zeros: no cost."""
        return replace(self, channels=channels, height=-(-self.height // stride), width=-(-self.width // stride))

    def average_pool(self) -> FeatureMap:
        """Adaptive average pooling to 1x1."""
        return replace(self, height=1, width=1, flops=self.flops + self.elements)

    def linear(self, outputs: int) -> FeatureMap:
        """A linear layer with bias on the flattened map."""
        weights = self.elements * outputs
        return FeatureMap(
            outputs,
            1,
            1,
            self.params + weights + outputs,
            self.macs + weights,
            self.flops + weights,
            self.acts,
            self.layers + 1,
        )

    def plus(self, other: FeatureMap, start: FeatureMap) -> FeatureMap:
        """The sum of two paths that both began at `start`."""
        return replace(
            self,
            params=self.params + other.params - start.params,
            macs=self.macs + other.macs - start.macs,
            flops=self.flops + other.flops - start.flops,
            acts=self.acts + other.acts - start.acts,
            layers=max(self.layers, other.layers),
        )

    def repeated(self, after: FeatureMap, times: int) -> FeatureMap:
        """`times` further steps, each of the cost that led from this map to `after`, which has the same shape."""
        return replace(
            self,
            params=self.params + times * (after.params - self.params),
            macs=self.macs + times * (after.macs - self.macs),
            flops=self.flops + times * (after.flops - self.flops),
            acts=self.acts + times * (after.acts - self.acts),
            layers=self.layers + times * (after.layers - self.layers),
        )
