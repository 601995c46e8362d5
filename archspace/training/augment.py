"""Augmentation of whole batches, on the device that they lie on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from archspace.errors import UserError
from archspace.genome import Shape
from archspace.training.recipe import Recipe
from archspace.units import shape_text


@dataclass(frozen=True)
class Mixed:
    """Images whose scores answer for `labels` with a weight of `share`, for `others` with the rest."""

    images: Tensor
    labels: Tensor
    others: Tensor
    share: float | Tensor


@dataclass(frozen=True)
class Chance:
    """Where randomness comes from: a generator on the images' device, and one for numbers that the host needs."""

    device: torch.Generator
    host: np.random.Generator


def chance(seed: int, device: str) -> Chance:
    """Both generators of one epoch."""
    return Chance(torch.Generator(device).manual_seed(seed), np.random.default_rng(seed))


def check_augmentation(recipe: Recipe, input: Shape) -> None:
    """Raise UserError where images of (channels, height, width) are too small to be mirrored at their edges or cut."""
    for name, pixels in (("crop", recipe.crop), ("cutout", recipe.cutout)):
        if pixels >= min(input[1:]):
            raise UserError(f"recipe.{name} of {pixels} pixels is as large as the images of {shape_text(input)}")


def cropped(images: Tensor, recipe: Recipe, rng: Chance) -> Tensor:
    """Bytes (N, C, H, W), each image moved by up to `crop` pixels and flipped by half a chance.

    What comes in from the edge mirrors the image; the result lies in channels_last order. Without either, as they are.
    """
    if not recipe.crop and not recipe.flip:
        return images
    count, _, height, width = images.shape
    pad = recipe.crop
    rows, columns = (torch.arange(side, device=images.device).expand(count, side) for side in (height, width))
    if pad:
        rows, columns = (
            places + torch.randint(-pad, pad + 1, (count, 1), generator=rng.device, device=images.device)
            for places in (rows, columns)
        )
    if recipe.flip:
        turned = torch.rand((count, 1), generator=rng.device, device=images.device) < 0.5
        columns = torch.where(turned, columns.flip(1), columns)
    if pad:
        rows, columns = (_mirrored(places, side) for places, side in ((rows, height), (columns, width)))
    each = torch.arange(count, device=images.device)[:, None, None]
    picked: Tensor = images.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


def _mirrored(places: Tensor, side: int) -> Tensor:
    """Places beyond an edge as those that mirror them, the edge itself not twice."""
    return (side - 1) - ((side - 1) - places.abs()).abs()


def cut_out(images: Tensor, recipe: Recipe, rng: Chance) -> Tensor:
    """Normalised images with a square around a random pixel at zero, their mean (DeVries & Taylor 2017, 1708.04552)."""
    if not recipe.cutout:
        return images
    count, _, *sides = images.shape
    inside = []
    for side in sides:
        first = torch.randint(side, (count, 1), generator=rng.device, device=images.device) - recipe.cutout // 2
        places = torch.arange(side, device=images.device)
        inside.append((places >= first) & (places < first + recipe.cutout))
    return images.masked_fill((inside[0][:, :, None] & inside[1][:, None, :])[:, None], 0.0)


def mixed(images: Tensor, labels: Tensor, recipe: Recipe, rng: Chance) -> Mixed:
    """A batch mixed with itself in another order, by mixup or cutmix, whichever is drawn; as it is without either."""
    kinds = [kind for kind, alpha in ((_mixup, recipe.mixup), (_cutmix, recipe.cutmix)) if alpha]
    if not kinds:
        return Mixed(images, labels, labels, 1.0)
    kind = kinds[int(rng.host.integers(len(kinds)))]
    order = torch.randperm(len(labels), generator=rng.device, device=labels.device)
    images, share = kind(images, images[order], recipe, rng.host)
    return Mixed(images, labels, labels[order], share)


def _mixup(images: Tensor, others: Tensor, recipe: Recipe, rng: np.random.Generator) -> tuple[Tensor, float]:
    """Zhang et al. 2018 (1710.09412), Eq. 1."""
    share = float(rng.beta(recipe.mixup, recipe.mixup))
    return torch.lerp(others, images, share), share


def _cutmix(images: Tensor, others: Tensor, recipe: Recipe, rng: np.random.Generator) -> tuple[Tensor, float]:
    """Yun et al. 2019 (1905.04899), Section 3.1: a box of the others, whose area is what the share leaves."""
    height, width = images.shape[2:]
    root = float(1 - rng.beta(recipe.cutmix, recipe.cutmix)) ** 0.5
    middle = int(rng.integers(height)), int(rng.integers(width))
    (top, bottom), (left, right) = (
        (max(0, at - round(root * side / 2)), min(side, at + round(root * side / 2)))
        for at, side in zip(middle, (height, width), strict=True)
    )
    images = images.clone()
    images[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return images, 1 - (bottom - top) * (right - left) / (height * width)
