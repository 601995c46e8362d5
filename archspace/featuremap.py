"""Closed-form cost algebra: a feature map that remembers what it took to compute it."""

from __future__ import annotations

from typing import Any, NamedTuple

from archspace.errors import GenomeError

SUMS, STATE = slice(3, 10), slice(10, 12)
"""The fields that add up along a path and, but for `layers`, over paths; those that say what is kept of the map."""

FLOAT, INDEX = 4, 8
"""Bytes of a float32, and of the place of a maximum that max pooling remembers."""

_new = tuple.__new__  # half the time of FeatureMap(...), which passes through a function in Python


def larger(a: Any, b: Any) -> Any:
    """The larger of two numbers."""
    return max(a, b)


class FeatureMap(NamedTuple):
    """Channels, height and width of one image's features, and the cost of all layers up to here.

    Cost is counted as fvcore 0.1.5 does, in eval mode at batch 1: convolutions and linear layers one flop per
    multiply-add, batch normalisation 2 per element, adaptive pooling 1 per element of its input, the rest 0.
    `layers` is the number of weighted layers on the longest path. `expected` are the flops of a forward pass while
    training, where stochastic depth skips branches: their expectation.

    `saved` are the bytes that torch's autograd keeps of one image for the backward pass, in float32 and with every
    branch computed; what does not grow with the batch, weights and statistics, is not counted. `kept` says that this
    very map is among them, `listed` that it is a list of maps of which all but the newest are. Raises GenomeError
    where nothing would be left of a map.
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
    saved: int = 0
    kept: bool = False
    listed: bool = False

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
        before, height, width, params, macs, flops, acts, layers, expected, saved, kept, _ = self
        if not kept:
            saved += FLOAT * before * height * width
        around = 2 * (kernel // 2 if padding is None else padding) - kernel
        height, width = self._left((height + around) // stride + 1), self._left((width + around) // stride + 1)
        weights = channels * (before // groups) * kernel * kernel
        area = height * width
        work = weights * area
        return _new(
            FeatureMap,
            (
                channels,
                height,
                width,
                params + weights + channels * bias,
                macs + work,
                flops + work,
                acts + channels * area,
                layers + 1,
                expected + work,
                saved,
                False,
                False,
            ),
        )

    def norm(self) -> FeatureMap:
        """Batch normalisation with a learned scale and shift per channel; it keeps what it is given."""
        channels, height, width, params, macs, flops, acts, layers, expected, saved, kept, _ = self
        elements = channels * height * width
        if not kept:
            saved += FLOAT * elements
        work = 2 * elements
        params += 2 * channels
        fields = channels, height, width, params, macs, flops + work, acts, layers, expected + work, saved, False, False
        return _new(FeatureMap, fields)

    def relu(self) -> FeatureMap:
        """A ReLU; its result is kept. Other activations keep what they are given (ReLU6, SiLU): `keep().copied()`."""
        channels, height, width, params, macs, flops, acts, layers, expected, saved, _, _ = self
        saved += FLOAT * channels * height * width
        return _new(
            FeatureMap, (channels, height, width, params, macs, flops, acts, layers, expected, saved, True, False)
        )

    def sigmoid(self) -> FeatureMap:
        """A sigmoid; its result is kept."""
        return self.relu()

    def keep(self) -> FeatureMap:
        """The map, kept for the backward pass. Before branches that each keep it: so it counts once."""
        return self if self.kept else self._with_saved(self.saved + FLOAT * self.elements, True)

    def copied(self) -> FeatureMap:
        """The map in new memory, not kept: a concatenation, a sum, a product with a number."""
        return self._with_saved(self.saved, False)

    def dropout(self, p: float) -> FeatureMap:
        """Dropout while training: a product with a mask, which is kept (in float32; torch on a GPU takes a byte).

        With `p` 0 it is left out.
        """
        return self if p == 0 else self._with_saved(self.saved + FLOAT * self.elements, False)

    def flagged(self) -> FeatureMap:
        """A product with one flag for each image, a byte, which is kept."""
        return self._with_saved(self.saved + 1, False)

    def max_pool(self, kernel: int, stride: int, padded: bool = False) -> FeatureMap:
        """Max pooling: no cost; its input is kept, and the places of the maxima.

        Without padding a last window may reach over the edge (ceil_mode), else an odd kernel is padded by half of it.
        """
        pooled = self.keep().subsample(self.channels, stride) if padded else self.average_pool(kernel, stride)
        return pooled._with_saved(pooled.saved + INDEX * pooled.elements, False)

    def average_pool(self, kernel: int, stride: int) -> FeatureMap:
        """Average pooling without padding, a last window may reach over the edge (ceil_mode): no cost."""
        height, width = (_pooled(side, kernel, stride) for side in (self.height, self.width))
        return _new(FeatureMap, (self[0], self._left(height), self._left(width), *self.keep()[SUMS], False, False))

    def subsample(self, channels: int, stride: int) -> FeatureMap:
        """Every `stride`-th position, missing channels filled with zeros: no cost."""
        height, width = -(-self.height // stride), -(-self.width // stride)
        return _new(FeatureMap, (channels, height, width, *self[SUMS], False, False))

    def adaptive_pool(self, side: int = 1) -> FeatureMap:
        """Adaptive average pooling to side x side; to a single pixel it is a mean, which needs nothing kept."""
        channels, height, width, params, macs, flops, acts, layers, expected, saved, kept, _ = self
        work = channels * height * width
        if not kept:
            saved += FLOAT * work * (1 - 1 // side)
        fields = channels, side, side, params, macs, flops + work, acts, layers, expected + work, saved, False, False
        return _new(FeatureMap, fields)

    def linear(self, outputs: int) -> FeatureMap:
        """A linear layer with bias on the flattened map."""
        _, _, _, params, macs, flops, acts, layers, expected, saved, _, _ = self.keep()
        work = self.elements * outputs
        params += work + outputs
        fields = outputs, 1, 1, params, macs + work, flops + work, acts, layers + 1, expected + work, saved
        return _new(FeatureMap, (*fields, False, False))

    def plus(self, other: FeatureMap, start: FeatureMap) -> FeatureMap:
        """The sum of two paths that both began at `start`.

        Where both keep `start` itself, let them begin at `start.keep()`.
        """
        channels, height, width, params, macs, flops, acts, layers, expected, saved, _, _ = self
        return _new(
            FeatureMap,
            (
                channels,
                height,
                width,
                params + other.params - start.params,
                macs + other.macs - start.macs,
                flops + other.flops - start.flops,
                acts + other.acts - start.acts,
                larger(layers, other.layers),
                expected + other.expected - start.expected,
                saved + other.saved - start.saved,
                False,
                False,
            ),
        )

    def times(self, other: FeatureMap, start: FeatureMap) -> FeatureMap:
        """The product of two paths that both began at `start`; both factors are kept."""
        return self.keep().plus(other.keep(), start)

    def beside(self, other: FeatureMap, start: FeatureMap) -> FeatureMap:
        """The concatenation of two paths that both began at `start`."""
        both = self.plus(other, start)
        return _new(FeatureMap, (self.channels + other.channels, *both[1:]))

    def paths(self, path: FeatureMap, count: int, channels: int | None = None) -> FeatureMap:
        """`count` paths that all began here and each lead to `path`: summed, or side by side as `channels`.

        Where they keep this map, let them begin at `keep()`.
        """
        pairs = zip(self[SUMS], path[SUMS], strict=True)
        params, macs, flops, acts, _, expected, saved = (start + count * (end - start) for start, end in pairs)
        around = path.channels if channels is None else channels, path.height, path.width
        return _new(FeatureMap, (*around, params, macs, flops, acts, path.layers, expected, saved, False, False))

    def keep_each(self, newest: int) -> FeatureMap:
        """A list of maps, each of them kept by itself: the `newest` channels, all where the list is not begun yet."""
        saved = self.saved + FLOAT * newest * self.height * self.width if self.listed else self.keep().saved
        return _new(FeatureMap, (*self[:9], saved, True, True))

    def appended(self, new: FeatureMap) -> FeatureMap:
        """The map with the channels of `new`, which was computed from it, behind its own."""
        return _new(FeatureMap, (self.channels + new.channels, *new[1:10], False, self.listed))

    def recomputed(self, end: FeatureMap) -> FeatureMap:
        """The end of a path that began here and is computed again in the backward pass: it keeps nothing."""
        return _new(FeatureMap, (*end[:9], self.saved, False, False))

    def scaled_by(self, gate: FeatureMap) -> FeatureMap:
        """The map times a gate that was computed from it; both are kept; the gate is no layer of the path."""
        saved = gate.keep().saved + self.keep().saved - self.saved
        return _new(FeatureMap, (*self[:3], *gate[3:7], self.layers, gate.expected, saved, False, False))

    def surviving(self, branch: FeatureMap, p: float) -> FeatureMap:
        """The end of a `branch` that began here and is computed with probability `p` while training."""
        expected = self.expected + p * (branch.expected - self.expected)
        return _new(FeatureMap, (*branch[:8], expected, *branch[9:]))

    def repeated(self, step: FeatureMap, times: int) -> FeatureMap:
        """`times` equal steps, of which `step` is the end of the first."""
        more = times - 1
        _, _, _, params, macs, flops, acts, layers, expected, saved, _, _ = self
        return _new(
            FeatureMap,
            (
                *step[:3],
                step.params + more * (step.params - params),
                step.macs + more * (step.macs - macs),
                step.flops + more * (step.flops - flops),
                step.acts + more * (step.acts - acts),
                step.layers + more * (step.layers - layers),
                step.expected + more * (step.expected - expected),
                step.saved + more * (step.saved - saved),
                *step[10:],
            ),
        )

    def series(self, first: FeatureMap, second: FeatureMap, times: int) -> FeatureMap:
        """`times` steps of which `first` and `second` are the ends of the first two: an arithmetic series.

        From step to step the cost grows by the same amount (by none where all are equal), and so do the channels.
        """
        pairs = times * (times - 1) // 2
        ends = zip(self[SUMS], first[SUMS], second[SUMS], strict=True)
        sums = [start + times * (one - start) + pairs * (start + two - 2 * one) for start, one, two in ends]
        channels = first.channels + (times - 1) * (second.channels - first.channels)
        return _new(FeatureMap, (channels, *first[1:3], *sums, *second[10:]))

    def _with_saved(self, saved: int, kept: bool) -> FeatureMap:
        return _new(FeatureMap, (*self[:9], saved, kept, False))

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
