"""Images on their way to a network: bytes on the device, or fetched ahead of time where they do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from archspace.data.tasks import Split, Task
from archspace.training.device import free_bytes
from archspace.training.mode import Mode

SHARE = 0.5
"""Of the memory that is free, what a split may take to be kept on the device."""
AHEAD = 2
"""Batches fetched before they are asked for."""


@dataclass(frozen=True, eq=False)
class Feed:
    """A split as a network's batches: `resident` on the device, or read from memory or a mapped file batch by batch.

    `mean` and `std` (channels x 1 x 1) normalise.
    """

    images: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor
    mode: Mode
    resident: bool

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, places: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Bytes and labels on the device of each batch, given by its images' places."""
        if self.resident and places:
            # One copy for all places: at each, the host waits until the device has done what it was told before.
            there = torch.cat(list(places)).to(self.mode.device)
            for some in torch.split(there, [len(some) for some in places]):
                yield self.images[some], self.labels[some]
            return
        with ThreadPoolExecutor(1) as fetcher:  # one thread keeps up: it copies memory while the network computes
            coming = [fetcher.submit(self._fetched, some) for some in places[:AHEAD]]
            for number in range(len(places)):
                images, labels = coming.pop(0).result()
                if number + AHEAD < len(places):
                    coming.append(fetcher.submit(self._fetched, places[number + AHEAD]))
                yield (
                    images.to(self.mode.device, non_blocking=True),
                    labels.to(self.mode.device, non_blocking=True),
                )

    def in_order(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All of them once, `size` together."""
        if self.resident:
            yield from zip(torch.split(self.images, size), torch.split(self.labels, size), strict=True)
        else:
            yield from self.batches(torch.split(torch.arange(len(self)), size))

    def normalised(self, images: Tensor) -> Tensor:
        """Bytes as numbers of mean 0 and variance 1, in the mode's layout."""
        order = torch.channels_last if self.mode.channels_last else torch.contiguous_format
        pixels = (images.float() - self.mean) / self.std
        # Images of one channel pass for both orders, whichever their strides are, and strides are what a convolution
        # goes by: in channels_last ones a network placed for the other order meets a kernel that damages memory.
        return pixels.clone(memory_format=order) if pixels.shape[1] == 1 else pixels.contiguous(memory_format=order)

    def _fetched(self, places: Tensor) -> tuple[Tensor, Tensor]:
        images, labels = self.images[places], self.labels[places]
        return (images.pin_memory(), labels.pin_memory()) if self.mode.device == "cuda" else (images, labels)


def feed(split: Split, task: Task, mode: Mode, free: int | None = None) -> Feed:
    """A split of a task on its way to the mode's device; `free` bytes there, asked of the device where not given."""
    size = split.images.numel() * split.images.element_size()
    free = free_bytes(mode.device) if free is None else free
    resident = size <= SHARE * free
    images, labels = split.images, split.labels
    if resident and mode.device != "cpu":
        images, labels = images.to(mode.device), labels.to(mode.device)
    mean, std = (torch.tensor(numbers, device=mode.device).view(-1, 1, 1) for numbers in (task.mean, task.std))
    return Feed(images, labels, mean, std, mode, resident)
