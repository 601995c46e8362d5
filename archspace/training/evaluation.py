"""What a network makes of a split."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archspace.training.feed import Feed
from archspace.training.forward import Forward

EVAL_BATCH = 256


def evaluate(network: nn.Module, data: Feed, forward: Forward | None = None) -> tuple[float, float]:
    """Error (a fraction) and cross-entropy (nats) of a network on a split, in eval mode."""
    forward = forward or Forward(data.mode)
    network.eval()
    wrong, nats = torch.zeros((2,), dtype=torch.float64, device=data.mode.device)
    with torch.inference_mode():
        for images, labels in data.in_order(EVAL_BATCH):
            scores = forward(network, data.normalised(images))
            wrong = wrong + (scores.argmax(1) != labels).sum()
            nats = nats + F.cross_entropy(scores, labels, reduction="sum")
    return float(wrong) / len(data), float(nats) / len(data)


def wrong_images(network: nn.Module, data: Feed, forward: Forward | None = None) -> Tensor:
    """Which images of a split a network gets wrong, in eval mode: bool (images), on the CPU."""
    forward = forward or Forward(data.mode)
    network.eval()
    with torch.inference_mode():
        found = [
            forward(network, data.normalised(images)).argmax(1) != labels
            for images, labels in data.in_order(EVAL_BATCH)
        ]
    return torch.cat(found).cpu()
