"""Closed-form cost algebra: a feature map that remembers what it took to compute it."""

from __future__ import annotations

from typing import NamedTuple

from archspace.errors import GenomeError
from archspace.unknown import larger

FLOAT, INDEX = 4, 8
"""Bytes of a float32, and of the place of a maximum that max pooling remembers."""

GRADIENTS = 3
"""Maps that the backward pass holds where paths join: the gradients that two paths send to a map, and their sum."""

_new = tuple.__new__  # half the time of FeatureMap(...), which passes through a function in Python


class FeatureMap(NamedTuple):
    """Channels, height and width of one image's features, and the cost of all layers up to here.

    Cost is counted as fvcore 0.1.5 does, in eval mode at batch 1: convolutions and linear layers one flop per
    multiply-add, batch normalisation 2 per element, adaptive pooling 1 per element of its input, the rest 0.
    `layers` is the number of weighted layers on the longest path. `expected` are the flops of a forward pass while
    training, where stochastic depth skips branches: their expectation.

    `saved` are the bytes that torch's autograd keeps of one image for the backward pass, in float32 and with every
    branch computed; what does not grow with the batch, weights and statistics, is not counted. `held` are the most
    bytes that a joint of paths holds beside them, `kept` says that this very map is among them, `listed` that it is a
    list of maps of which all but the newest are. Raises GenomeError where nothing would be left of a map.
    """

    # The size, what adds up along a path (3 to 9), what does not.
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
    held: int = 0
    kept: bool = False
    listed: bool = False

    @property
    def elements(self) -> int:
        """Scalars in the map."""
        return self.channels * self.height * self.width

    @property
    def state(self) -> tuple[bool, bool]:
        """What autograd keeps of the map."""
        return self[11:]

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
        before, height, width, params, macs, flops, acts, layers, expected, saved, held, kept, _ = self
        if not kept:
            saved += FLOAT * before * height * width
        around = 2 * (kernel // 2 if padding is None else padding) - kernel + stride
        height, width = (height + around) // stride, (width + around) // stride
        if height < 1 or width < 1:
            self._left(0)
        weights, area = channels * (before // groups) * kernel * kernel, height * width
        work, acts = weights * area, acts + channels * area
        params = params + weights + channels if bias else params + weights
        macs, flops, layers, expected = macs + work, flops + work, layers + 1, expected + work
        return _new(
            FeatureMap,
            (channels, height, width, params, macs, flops, acts, layers, expected, saved, held, False, False),
        )

    def norm(self) -> FeatureMap:
        """Batch normalisation with a learned scale and shift per channel; it keeps what it is given."""
        channels, height, width, params, macs, flops, acts, layers, expected, saved, held, kept, _ = self
        elements = channels * height * width
        if not kept:
            saved += FLOAT * elements
        work, params = 2 * elements, params + 2 * channels
        flops, expected = flops + work, expected + work
        return _new(
            FeatureMap,
            (channels, height, width, params, macs, flops, acts, layers, expected, saved, held, False, False),
        )

    def relu(self) -> FeatureMap:
        """A ReLU; its result is kept. Other activations keep what they are given (ReLU6, SiLU): `keep().copied()`."""
        channels, height, width, params, macs, flops, acts, layers, expected, saved, held, _, _ = self
        saved += FLOAT * channels * height * width
        return _new(
            FeatureMap, (channels, height, width, params, macs, flops, acts, layers, expected, saved, held, True, False)
        )

    def norm_relu(self) -> FeatureMap:
        """`norm().relu()`, which nearly every convolution has before or behind it, in half the time."""
        channels, height, width, params, macs, flops, acts, layers, expected, saved, held, kept, _ = self
        elements = channels * height * width
        work, params = 2 * elements, params + 2 * channels
        flops, expected, saved = flops + work, expected + work, saved + (FLOAT if kept else 2 * FLOAT) * elements
        return _new(
            FeatureMap, (channels, height, width, params, macs, flops, acts, layers, expected, saved, held, True, False)
        )

    def sigmoid(self) -> FeatureMap:
        """A sigmoid; its result is kept."""
        return self.relu()

    def keep(self) -> FeatureMap:
        """The map, kept for the backward pass. Before branches that each keep it: so it counts once."""
        channels, height, width, params, macs, flops, acts, layers, expected, saved, held, kept, _ = self
        if kept:
            return self
        saved += FLOAT * channels * height * width
        return _new(
            FeatureMap, (channels, height, width, params, macs, flops, acts, layers, expected, saved, held, True, False)
        )

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
        places = INDEX * pooled.elements
        # Behind it in the backward pass, where its places are free again, stand two gradients of its input's size.
        held = larger(self.held, 2 * FLOAT * self.elements - places)
        return _new(FeatureMap, (*pooled[:9], pooled.saved + places, held, False, False))

    def average_pool(self, kernel: int, stride: int) -> FeatureMap:
        """Average pooling without padding, a last window may reach over the edge (ceil_mode): no cost."""
        height, width = (self._left(_pooled(side, kernel, stride)) for side in (self.height, self.width))
        return _new(FeatureMap, (self.channels, height, width, *self.keep()[3:11], False, False))

    def subsample(self, channels: int, stride: int) -> FeatureMap:
        """Every `stride`-th position, missing channels filled with zeros: no cost."""
        height, width = (self.height + stride - 1) // stride, (self.width + stride - 1) // stride
        return _new(FeatureMap, (channels, height, width, *self[3:11], False, False))

    def adaptive_pool(self, side: int = 1) -> FeatureMap:
        """Adaptive average pooling to side x side; to a single pixel it is a mean, which needs nothing kept."""
        channels, height, width, params, macs, flops, acts, layers, expected, saved, held, kept, _ = self
        work = channels * height * width
        if not kept:
            saved += FLOAT * work * (1 - 1 // side)
        costs = params, macs, flops + work, acts, layers, expected + work
        return _new(FeatureMap, (channels, side, side, *costs, saved, held, False, False))

    def linear(self, outputs: int) -> FeatureMap:
        """A linear layer with bias on the flattened map."""
        channels, height, width, params, macs, flops, acts, layers, expected, saved, held, _, _ = self.keep()
        work = channels * height * width * outputs
        costs = params + work + outputs, macs + work, flops + work, acts, layers + 1, expected + work
        return _new(FeatureMap, (outputs, 1, 1, *costs, saved, held, False, False))

    def plus(self, other: FeatureMap, start: FeatureMap) -> FeatureMap:
        """The sum of two paths that both began at `start`; where both keep that, let them begin at `start.keep()`."""
        return self._joined(other, start, self.channels)

    def times(self, other: FeatureMap, start: FeatureMap) -> FeatureMap:
        """The product of two paths that both began at `start`; both factors are kept."""
        return self.keep().plus(other.keep(), start)

    def beside(self, other: FeatureMap, start: FeatureMap) -> FeatureMap:
        """The concatenation of two paths that both began at `start`; as for their sum, see there."""
        return self._joined(other, start, self.channels + other.channels)

    def paths(self, path: FeatureMap, count: int, channels: int | None = None) -> FeatureMap:
        """`count` paths that all began here and each lead to `path`: summed, or side by side as `channels`.

        Where they keep this map, let them begin at `keep()`. To be summed, their ends are stacked first.
        """
        pairs = zip(self[3:10], path[3:10], strict=True)
        params, macs, flops, acts, _, expected, saved = (start + count * (end - start) for start, end in pairs)
        costs = params, macs, flops, acts, path.layers, expected, saved
        if channels is not None:
            return _new(FeatureMap, (channels, *path[1:3], *costs, path.held, False, False))
        held = larger(path.held, 2 * count * FLOAT * path.elements)
        return _new(FeatureMap, (*path[:3], *costs, held, False, False))

    def keep_each(self, newest: int) -> FeatureMap:
        """A list of maps, each of them kept by itself: the `newest` channels, all where the list is not begun yet."""
        saved = self.saved + FLOAT * newest * self.height * self.width if self.listed else self.keep().saved
        return _new(FeatureMap, (*self[:9], saved, self.held, True, True))

    def appended(self, new: FeatureMap) -> FeatureMap:
        """The map with the channels of `new`, which was computed from it, behind its own."""
        channels = self.channels + new.channels
        held = larger(new.held, GRADIENTS * FLOAT * channels * self.height * self.width)
        return _new(FeatureMap, (channels, *new[1:10], held, False, self.listed))

    def recomputed(self, end: FeatureMap) -> FeatureMap:
        """The end of a path that began here and is computed again in the backward pass: it keeps nothing."""
        gradients = FLOAT * (GRADIENTS * self.elements + end.elements)
        held = larger(end.held, end.saved - self.saved + gradients)
        return _new(FeatureMap, (*end[:9], self.saved, held, False, False))

    def scaled_by(self, gate: FeatureMap) -> FeatureMap:
        """The map times a gate that was computed from it; both are kept; the gate is no layer of the path."""
        saved = gate.keep().saved + self.keep().saved - self.saved
        return _new(FeatureMap, (*self[:3], *gate[3:7], self.layers, gate.expected, saved, gate.held, False, False))

    def surviving(self, branch: FeatureMap, p: float) -> FeatureMap:
        """The end of a `branch` that began here and is computed with probability `p` while training."""
        expected = self.expected + p * (branch.expected - self.expected)
        return _new(FeatureMap, (*branch[:8], expected, *branch[9:]))

    def repeated(self, step: FeatureMap, times: int) -> FeatureMap:
        """`times` equal steps, of which `step` is the end of the first."""
        more = times - 1
        sums = [end + more * (end - start) for start, end in zip(self[3:10], step[3:10], strict=True)]
        return _new(FeatureMap, (*step[:3], *sums, *step[10:]))

    def series(self, first: FeatureMap, second: FeatureMap, times: int) -> FeatureMap:
        """`times` steps of which `first` and `second` are the ends of the first two: an arithmetic series.

        From step to step the cost grows by the same amount (by none where all are equal), and so do the channels.
        """
        more, pairs = times - 1, times * (times - 1) // 2
        ends = zip(self[3:10], first[3:10], second[3:10], strict=True)
        sums = [start + times * (one - start) + pairs * (start + two - 2 * one) for start, one, two in ends]
        channels, held = (one + more * (two - one) for one, two in ((first[0], second[0]), (first.held, second.held)))
        return _new(FeatureMap, (channels, *first[1:3], *sums, held, *second[11:]))

    def begun(self) -> FeatureMap:
        """The map as the first of a row, from which on `held` is counted."""
        return _new(FeatureMap, (*self[:10], 0, *self[11:]))

    def _joined(self, other: FeatureMap, start: FeatureMap, channels: int) -> FeatureMap:
        _, height, width, params, macs, flops, acts, layers, expected, saved, held, _, _ = self
        costs = (
            params + other.params - start.params,
            macs + other.macs - start.macs,
            flops + other.flops - start.flops,
            acts + other.acts - start.acts,
            larger(layers, other.layers),
            expected + other.expected - start.expected,
            saved + other.saved - start.saved,
        )
        held = larger(larger(held, other.held), GRADIENTS * FLOAT * channels * height * width)
        return _new(FeatureMap, (channels, height, width, *costs, held, False, False))

    def _with_saved(self, saved: int, kept: bool) -> FeatureMap:
        return _new(FeatureMap, (*self[:9], saved, self.held, kept, False))

    def _left(self, side: int) -> int:
        if side < 1:
            raise GenomeError(
                f"a map of {self.height}x{self.width} is too small for what comes next; use larger images"
            )
        return side


def _pooled(side: int, kernel: int, stride: int) -> int:
    """How many windows fit; torch drops a last one that would begin beyond the edge."""
    count = (side - kernel + 2 * stride - 1) // stride
    return count - 1 if (count - 1) * stride >= side else count
