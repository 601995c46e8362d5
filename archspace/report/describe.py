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
    """Blocks, depths and widths of the stages: `bottleneck 3-4-6-3 / 256-512-1024-2048`.

    Where widths follow from growth rates, these: `dense 6-12-24-16 / k32`.
    """
    stages = json.loads(genome)["stages"]
    blocks = "+".join(dict.fromkeys(stage["block"] for stage in stages))
    depths = "-".join(str(stage["depth"]) for stage in stages)
    widths = [str(stage.get("width") or f"k{stage.get('growth_rate', '')}") for stage in stages]
    same = len(set(widths)) == 1 and widths[0].startswith("k")
    return f"{blocks} {depths} / {widths[0] if same else '-'.join(widths)}"


def _stage(stage: dict[str, Any]) -> str:
    genes = dict(stage)
    block, depth, stride = (genes.pop(key) for key in ("block", "depth", "stride"))
    words = [f"{depth} x {block}"]
    if "width" in genes:
        words.append(f"width {genes.pop('width')}")
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
