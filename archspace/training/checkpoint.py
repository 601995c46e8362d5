"""Checkpoints: weights as safetensors, the optimiser beside them, each file written whole or not at all."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A training after `epoch` epochs: the network's state, the optimiser's, and that of auxiliary heads if any."""

    epoch: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    auxiliary: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write `optimizer-EPOCH.pt`, then `weights.safetensors`, whose metadata name the epoch and so the pair.

    What training alone needs, auxiliary heads too, stands in the first; the second is the network and nothing else.
    """
    state = folder / _optimizer_file(checkpoint.epoch)
    training = {"auxiliary": dict(checkpoint.auxiliary)} if checkpoint.auxiliary else {}
    torch.save(checkpoint.optimizer | training, _part(state))
    _put(state)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.weights.items()}
    save_file(weights, _part(folder / WEIGHTS), metadata={"epoch": str(checkpoint.epoch)})
    _part(folder / WEIGHTS).chmod(state.stat().st_mode)  # safetensors gives its files to their owner alone
    _put(folder / WEIGHTS)
    for old in folder.glob("optimizer-*.pt"):
        if old != state:
            old.unlink()


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint in a folder, or None where there is none that can be read whole."""
    unreadable = (OSError, EOFError, SafetensorError, pickle.UnpicklingError, RuntimeError, LookupError, TypeError)
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            epoch = int(file.metadata()["epoch"])
        weights = load_file(folder / WEIGHTS)
        optimizer = torch.load(folder / _optimizer_file(epoch), map_location="cpu", weights_only=True)
        auxiliary = optimizer.pop("auxiliary", {})
    except (*unreadable, ValueError):
        return None
    return Checkpoint(epoch, weights, optimizer, auxiliary)


def _optimizer_file(epoch: int) -> str:
    return f"optimizer-{epoch}.pt"


def _put(path: Path) -> None:
    """Give the part its name once it is on disk."""
    with _part(path).open("rb+") as file:
        os.fsync(file.fileno())
    _part(path).replace(path)


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")
