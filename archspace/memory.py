"""Peak memory of a training step, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

from archspace.closed_form import Cost
from archspace.featuremap import FLOAT
from archspace.genome import Shape
from archspace.unknown import larger


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes by what they are for, each at its most, which is not at the same time for all: their sum is no peak.

    `saved` is what the forward pass keeps for the backward pass, which frees it as gradients come.
    """

    weights: int
    gradients: int
    optimizer: int
    saved: int


def breakdown(cost: Cost, batch: int) -> TrainingMemory:
    """What a training step of `batch` images holds in float32, by kind."""
    weights = FLOAT * cost.params
    return TrainingMemory(weights, weights, weights, batch * cost.saved)


def training_memory(cost: Cost, batch: int, device: str = "cpu") -> int:
    """Most bytes that tensors take at one time in a training step of `batch` images in float32.

    The step is that of recipes, SGD with momentum, gradients set to None before it; no branch is skipped. Weights and
    momenta are there throughout. To them comes the larger of what the backward pass and the optimiser hold. Left out
    are workspaces of kernels, and statistics of norms, which are less than one in a hundred.

    Measured in float32 on a CPU. In bfloat16 autocast, autograd saves half as much (but as much for the places of
    maxima in max pooling, 8 bytes each) and a copy of the weights in 2 bytes each: seen on a CPU.
    """
    held: int = larger(_backward(cost, batch), _update(cost, batch, device))
    return 2 * FLOAT * cost.params + held


def _backward(cost: Cost, batch: int) -> int:
    """The most that is saved, plus the gradients of the weights that are done with, plus those of maps on their way.

    Along a stage what is saved and what is done with change steadily, so the most is found where stages meet.
    """
    most, saved, done = 0, batch * cost.saved, 0
    for row in reversed(cost.stages):
        most = larger(most, saved + done + batch * row.held)
        saved -= batch * row.saved
        done += FLOAT * row.params
    return most


def _update(cost: Cost, batch: int, device: str) -> int:
    """All gradients, and the copies of them that weight decay and Nesterov momentum make.

    On a GPU all are copied at once; on a CPU one after the other, twice. How large the largest is, costs do not tell:
    taken is three quarters of a block.
    """
    if device != "cpu":
        return 2 * FLOAT * cost.params + _bytes(cost.input, batch)
    copies = 0
    for row in cost.stages:
        copies = larger(copies, 2 * 3 * FLOAT // 4 * row.block_params)
    return FLOAT * cost.params + copies + _bytes(cost.input, batch)


def _bytes(shape: Shape, batch: int) -> int:
    channels, height, width = shape
    return FLOAT * batch * channels * height * width
