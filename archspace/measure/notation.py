"""Layers in the notation of the papers' tables: `[1x1, 64; 3x3, 64; 1x1, 256] x 3`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from archspace.blueprint import Blueprint
    from archspace.plan import Planned


def notation(blueprint: Blueprint) -> Mapping[str, str]:
    """What each row of `cost(blueprint).stages` consists of, by the row's name; projections of shortcuts left out."""
    rows: dict[str, str] = {}
    if blueprint.stem is not None:
        rows["stem"] = _layers(blueprint.stem.bind(in_channels=blueprint.input[0]))
    for number, stage in enumerate(blueprint.stages, start=1):
        for name, plan in (("entry", stage.entry), ("exit", stage.exit)):
            if plan is not None:
                rows[f"stage{number}.{name}"] = _layers(plan)
        blocks = [next(run.blocks()).bind(in_channels=blueprint.input[0]) for run in stage.runs]
        first, last = _layers(blocks[0]), _layers(blocks[-1])
        # That the first block strides, the output says; squeeze-and-excitation may be narrower in it.
        alike = re.sub(r", stride \d+", "", first) == last or len(blocks) == 1
        rows[f"stage{number}"] = f"[{last}] x {stage.depth}" if alike else f"[{first}]; [{last}] x {stage.depth - 1}"
    rows["head"] = _layers(blueprint.head.bind(num_classes=blueprint.classes))
    return rows


def _layers(plan: Planned) -> str:
    import torch

    with torch.device("meta"):
        return "; ".join(_said(plan.build())) or plan.part.module.__name__


def _said(module: nn.Module) -> Iterator[str]:
    """The layers of a module with weights or pooling, in the order in which they are defined."""
    from torch import nn

    from archspace.parts.squeeze import SqueezeExcitation

    if isinstance(module, SqueezeExcitation):
        yield f"squeeze-and-excitation, {module.squeeze.out_channels}"
        return
    if isinstance(module, nn.ModuleList):
        yield f"{len(module)} paths of ({'; '.join(_said(module[0]))})"
        return
    if isinstance(module, nn.Conv2d):
        groups = f", {module.groups} groups" if module.groups > 1 else ""
        yield f"{_square(module.kernel_size)}, {module.out_channels}{groups}{_strided(module.stride)}"
    elif isinstance(module, nn.Linear):
        yield f"linear, {module.out_features}"
    elif isinstance(module, nn.MaxPool2d):
        yield f"max-pool {_square(module.kernel_size)}{_strided(module.stride)}"
    elif isinstance(module, nn.AvgPool2d):
        yield f"average-pool {_square(module.kernel_size)}{_strided(module.stride)}"
    elif isinstance(module, nn.AdaptiveAvgPool2d):
        yield "global average-pool" if module.output_size == 1 else f"average-pool to {_square(module.output_size)}"
    for name, child in module.named_children():
        if name != "shortcut":
            yield from _said(child)


def _square(size: object) -> str:
    height, width = size if isinstance(size, tuple) else (size, size)
    return f"{height}x{width}"


def _strided(stride: object) -> str:
    step = stride[0] if isinstance(stride, tuple) else stride
    return f", stride {step}" if step != 1 else ""
