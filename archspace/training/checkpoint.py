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

WEIGHTS, BEFORE = "weights.safetensors", "weights-before.safetensors"
BESIDE = ("auxiliary", "average")
"""What of a checkpoint stands in the optimiser's file, beside its state."""
UNREADABLE = (
    *(OSError, EOFError, SafetensorError, pickle.UnpicklingError),
    *(RuntimeError, LookupError, TypeError, AttributeError, ValueError),
)
"""What reading a damaged file may raise."""


@dataclass(frozen=True)
class Checkpoint:
    """A training after `epoch` epochs: the network's state, the optimiser's, and what else there may be.

    That is the state of auxiliary heads, and where the network is an average, what its training goes on with.
    """

    epoch: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    auxiliary: dict[str, Tensor] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write `optimizer-EPOCH.pt`, then `weights.safetensors`, whose metadata name the epoch and so the pair.

    What training alone needs, auxiliary heads too, stands in the first; the second is the network and nothing else. The
    pair before stays, as `weights-before.safetensors` and its optimiser, should this one be damaged.
    """
    state = folder / _optimizer_file(checkpoint.epoch)
    beside = {name: dict(getattr(checkpoint, name)) for name in BESIDE if getattr(checkpoint, name)}
    torch.save(checkpoint.optimizer | beside, _part(state))
    _put(state)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.weights.items()}
    save_file(weights, _part(folder / WEIGHTS), metadata={"epoch": str(checkpoint.epoch)})
    _part(folder / WEIGHTS).chmod(state.stat().st_mode)  # safetensors gives its files to their owner alone
    before = _epoch_of(folder / WEIGHTS)
    if before is not None and before != checkpoint.epoch:
        (folder / WEIGHTS).replace(folder / BEFORE)
    _put(folder / WEIGHTS)
    kept = {_optimizer_file(epoch) for epoch in (checkpoint.epoch, _epoch_of(folder / BEFORE)) if epoch is not None}
    for old in folder.glob("optimizer-*.pt"):
        if old.name not in kept:
            old.unlink()


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint in a folder that can be read whole, or None where there is none."""
    return next(filter(None, (_loaded(folder, folder / name) for name in (WEIGHTS, BEFORE))), None)


def is_damaged(folder: Path, loaded: Checkpoint | None) -> bool:
    """Whether `loaded` is not the newest checkpoint of the folder, since that cannot be read whole."""
    newest = folder / WEIGHTS
    return newest.exists() and (loaded is None or loaded.epoch != _epoch_of(newest))


def _loaded(folder: Path, file: Path) -> Checkpoint | None:
    epoch = _epoch_of(file)
    if epoch is None:
        return None
    try:
        weights = load_file(file)
        optimizer = torch.load(folder / _optimizer_file(epoch), map_location="cpu", weights_only=True)
        beside = {name: optimizer.pop(name, {}) for name in BESIDE}
    except UNREADABLE:
        return None
    return Checkpoint(epoch, weights, optimizer, **beside)


def _epoch_of(file: Path) -> int | None:
    """The epoch after which weights were written, None where the file is missing or damaged."""
    try:
        with safe_open(file, framework="pt") as opened:
            return int(opened.metadata()["epoch"])
    except UNREADABLE:
        return None


def _optimizer_file(epoch: int) -> str:
    return f"optimizer-{epoch}.pt"


def _put(path: Path) -> None:
    """Give the part its name once it is on disk."""
    with _part(path).open("rb+") as file:
        os.fsync(file.fileno())
    _part(path).replace(path)


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")
