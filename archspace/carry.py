"""Weights carried between the three forms of a ResNeXt block (Xie et al. 2017, 1611.05431, Figure 3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from archspace.blocks.bottleneck import BottleneckGenes, Form
from archspace.errors import GenomeError
from archspace.genome import Genome

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
IN_PATH = (
    "narrow.weight",
    *(f"norm1.{name}" for name in NORM),
    "conv.weight",
    *(f"norm2.{name}" for name in NORM),
)
"""What a path holds up to its 3x3: along its first axis, paths one after another are the grouped form."""
WIDEN = "widen.weight"
"""The last 1x1: paths lie along its second axis."""

_BRANCH = re.compile(r"(stages\.(\d+)\.\d+\.(?:branch\.)+)(.+)")
"""A key inside a residual branch, whatever it is wrapped in (stochastic depth, an ordering): prefix, stage, rest."""


def carried(weights: Mapping[str, Tensor], genome: Genome, form: Form) -> tuple[Genome, dict[str, Tensor]]:
    """The genome with every bottleneck stage of cardinality above 1 in `form`, and the state dict of its network.

    `weights` is the state dict of a network of `genome`; both networks compute the same function, and every tensor
    that changes is a copy. Raises GenomeError where a stage has no other form (squeeze, orderings with an open branch).
    """
    stages = list(genome.stages)
    forms: dict[int, tuple[Form, int]] = {}
    for index, stage in enumerate(genome.stages):
        if isinstance(stage.genes, BottleneckGenes) and stage.genes.cardinality > 1:
            try:
                stages[index] = replace(stage, genes=replace(stage.genes, form=form))
            except GenomeError as error:
                raise GenomeError(f"stage {index + 1}: {error}") from None
            forms[index] = stage.genes.form, stage.genes.cardinality

    branches: dict[str, dict[str, Tensor]] = {}
    kept: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        inside = _BRANCH.fullmatch(key)
        if inside and int(inside[2]) in forms:
            branches.setdefault(inside[1], {})[inside[3]] = tensor
        else:
            kept[key] = tensor
    for prefix, branch in branches.items():
        before, cardinality = forms[int(prefix.split(".")[1])]
        after = _parted(_grouped(branch, before, cardinality), form, cardinality)
        kept |= {prefix + name: tensor for name, tensor in after.items()}
    return replace(genome, stages=tuple(stages)), kept


def _names(form: Form, cardinality: int) -> dict[str, list[str]]:
    """For each tensor of the grouped form that `form` keeps in paths: its name in each of them."""
    if form == "grouped":
        return {}
    within = "open." if form == "separate" else ""
    names = {name: [f"paths.{path}.{within}{name}" for path in range(cardinality)] for name in IN_PATH}
    if form == "separate":
        names[WIDEN] = [f"paths.{path}.{WIDEN}" for path in range(cardinality)]
    return names


def _grouped(branch: Mapping[str, Tensor], form: Form, cardinality: int) -> dict[str, Tensor]:
    """The branch as the grouped form has it."""
    names = _names(form, cardinality)
    joined = {name: _joined(name, [branch[one] for one in paths]) for name, paths in names.items()}
    taken = {one for paths in names.values() for one in paths}
    return joined | {name: tensor for name, tensor in branch.items() if name not in taken}


def _parted(branch: Mapping[str, Tensor], form: Form, cardinality: int) -> dict[str, Tensor]:
    """The grouped form's branch as `form` has it."""
    names = _names(form, cardinality)
    parted: dict[str, Tensor] = {}
    for name, tensor in branch.items():
        if name in names:
            parted |= zip(names[name], _split(name, tensor, cardinality), strict=True)
        else:
            parted[name] = tensor.clone()
    return parted


def _joined(name: str, paths: list[Tensor]) -> Tensor:
    # Every path counts the same mini-batches.
    return paths[0].clone() if paths[0].ndim == 0 else torch.cat(paths, _axis(name))


def _split(name: str, tensor: Tensor, cardinality: int) -> list[Tensor]:
    # Clones: views of one storage would change together, and safetensors refuses them.
    pieces = [tensor] * cardinality if tensor.ndim == 0 else list(tensor.chunk(cardinality, _axis(name)))
    return [piece.clone(memory_format=torch.contiguous_format) for piece in pieces]


def _axis(name: str) -> int:
    return 1 if name == WIDEN else 0
