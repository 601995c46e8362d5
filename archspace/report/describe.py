"""Genomes in words, from their canonical JSON."""

from __future__ import annotations

import json
from typing import Any


def stage_lines(genome: str) -> list[str]:
    """One line per stage, `3 x bottleneck, width 256, 32x4d, stride 2`, then one for every other choice.

    `genome` is canonical JSON, in which a gene that is left out has its default.
    """
    data: dict[str, Any] = json.loads(genome)
    lines = [f"stage {number}: {_stage(stage)}" for number, stage in enumerate(data.pop("stages"), start=1)]
    return lines + [f"{key}: {_value(value)}" for key, value in data.items()]


def short(genome: str) -> str:
    """Depths and widths of the stages: `3-4-6-3 / 256-512-1024-2048`."""
    stages = json.loads(genome)["stages"]
    depths, widths = ("-".join(str(stage[key]) for stage in stages) for key in ("depth", "width"))
    return f"{depths} / {widths}"


def _stage(stage: dict[str, Any]) -> str:
    genes = dict(stage)
    block, depth, width, stride = (genes.pop(key) for key in ("block", "depth", "width", "stride"))
    words = [f"{depth} x {block}", f"width {width}"]
    if "group_width" in genes:
        words.append(f"{genes.pop('cardinality', 1)}x{genes.pop('group_width')}d")
    if stride != 1:
        words.append(f"stride {stride}")
    return ", ".join(words + [f"{_spoken(key)} {_value(value)}" for key, value in genes.items()])


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_spoken(key)} {_value(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return "-".join(_value(inner) for inner in value)
    return str(value)


def _spoken(key: str) -> str:
    return key.replace("_", " ")
