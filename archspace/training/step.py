"""One training step: gradients, their clipping, the optimiser; told to a GPU kernel by kernel, or replayed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archspace.network import Network
from archspace.parts.survival import BatchSurvival
from archspace.training.augment import Mixed
from archspace.training.auxiliary import AuxiliaryHeads
from archspace.training.average import Average
from archspace.training.forward import Forward
from archspace.training.optimizer import set_rate
from archspace.training.recipe import Recipe

WARM_UP = 3
"""Steps done one kernel at a time before one is recorded: libraries choose and load their kernels meanwhile."""


class Replay:
    """`work` on tensors of one shape, recorded as a CUDA graph after a few calls and replayed from then on.

    What a replay does is told to the GPU at once, which is worth much where kernels are short. `work` must do the same
    kernels at each call, wait for none and draw randomness from torch's own generator alone. Tensors of another shape
    than the first are worked on as they come.
    """

    def __init__(self, work: Callable[..., object]) -> None:
        self.work = work
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self.done = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: tuple[Tensor, ...] = ()

    def __call__(self, *inputs: Tensor) -> None:
        """Do the work, or have it done."""
        if self.inputs and inputs[0].shape != self.inputs[0].shape:
            self._plainly(inputs)
            return
        if self.graph is None:
            self.inputs = self.inputs or tuple(given.clone() for given in inputs)
            if self.done < WARM_UP:
                self._plainly(inputs)
                self.done += 1
                return
            self.graph = self._recorded()
        for held, given in zip(self.inputs, inputs, strict=True):
            held.copy_(given)
        self.graph.replay()

    def _plainly(self, inputs: tuple[Tensor, ...]) -> None:
        """On the stream that is recorded later: autograd remembers on which a parameter's gradient was summed first."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            self.work(*inputs)
        torch.cuda.current_stream().wait_stream(self.stream)

    def _recorded(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        # Of this thread alone: another may pin memory for the next batches meanwhile.
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            self.work(*self.inputs)
        return graph


@dataclass(eq=False)
class Stepper:
    """Steps of one network; a batch goes through in `parts` of it, one after another.

    `total` is the sum of the losses of the network's own scores over images, on the device.
    """

    network: Network
    heads: AuxiliaryHeads | None
    optimizer: torch.optim.SGD
    average: Average | None
    recipe: Recipe
    forward: Forward
    parts: int

    def __post_init__(self) -> None:
        device = self.forward.mode.device
        self.total, self.rate, self.share = (torch.zeros((), device=device) for _ in range(3))
        recorded = self.forward.mode.compiled == "graphs" and self.parts == 1 and is_steady(self.network)
        self.replay = Replay(self._replayed) if recorded else None

    def __call__(self, batch: Mixed, rate: float) -> None:
        """Learn from a batch at this rate; the host does not wait for a GPU."""
        if self.replay is None:
            set_rate(self.optimizer, rate)
            self._learn(batch)
        else:
            # Numbers that change from step to step lie on the device, where a recording reads them anew.
            self.rate.fill_(rate)
            self.share.fill_(batch.share)
            set_rate(self.optimizer, self.rate)
            self.replay(batch.images, batch.labels, batch.others)
            set_rate(self.optimizer, rate)  # a checkpoint keeps numbers
        if self.average is not None:
            self.average.update(self.network)

    def release(self) -> None:
        """Let a recording go, which refers back to the stepper: a GPU's memory would wait for the garbage collector."""
        self.replay = None

    def _replayed(self, images: Tensor, labels: Tensor, others: Tensor) -> None:
        mixes = bool(self.recipe.mixup or self.recipe.cutmix)
        self._learn(Mixed(images, labels, others, self.share if mixes else 1.0))

    def _learn(self, batch: Mixed) -> None:
        self.optimizer.zero_grad(set_to_none=True)  # before the forward pass, whose maps would lie beside them
        self.total += self._gradients(batch) * len(batch.labels)
        if self.recipe.clip:
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.recipe.clip)
        self.optimizer.step()

    def _gradients(self, batch: Mixed) -> Tensor:
        """Add up the gradients of a batch, part by part; the loss of the network's own scores."""
        # As equal as can be, and none of a single image, on which batch normalisation cannot train.
        count = max(min(self.parts, len(batch.labels) // 2), 1)
        if count == 1:
            loss, whole = self._losses(batch)
            whole.backward()  # type: ignore[no-untyped-call]
            return loss.detach()
        total = torch.zeros((), device=batch.images.device)
        pieces = (torch.tensor_split(tensor, count) for tensor in (batch.images, batch.labels, batch.others))
        for images, labels, others in zip(*pieces, strict=True):
            part = replace(batch, images=images, labels=labels, others=others)
            weight = len(part.labels) / len(batch.labels)
            loss, whole = self._losses(part)
            (whole * weight).backward()  # type: ignore[no-untyped-call]
            total += loss.detach() * weight
        return total

    def _losses(self, batch: Mixed) -> tuple[Tensor, Tensor]:
        """The loss of the network's own scores, and what is minimised: that loss and the weighted ones of the heads."""
        smoothing, share = self.recipe.label_smoothing, batch.share

        def loss_of(scores: Tensor) -> Tensor:
            loss = F.cross_entropy(scores.float(), batch.labels, label_smoothing=smoothing)
            if isinstance(share, float) and share == 1.0:
                return loss
            return torch.lerp(F.cross_entropy(scores.float(), batch.others, label_smoothing=smoothing), loss, share)

        if self.heads is None:
            loss = loss_of(self.forward(self.network, batch.images))
            return loss, loss
        with self.forward.autocast():
            scores, *others = self.heads(self.network, batch.images)
        loss = loss_of(scores)
        return loss, loss + self.heads.weight * torch.stack([loss_of(other) for other in others]).sum()


def is_steady(network: nn.Module) -> bool:
    """Whether training does the same kernels at each step: no block is left out by a throw of the host's dice."""
    return not any(isinstance(module, BatchSurvival) and module.p < 1 for module in network.modules())
