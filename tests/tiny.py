"""A space of tiny networks and runs over it: real digits, real training, seconds."""

from pathlib import Path
from typing import Any

from archspace.document import read_text
from archspace.genome import Genome
from archspace.records.config import RunConfig, TaskConfig
from archspace.searching.run import Request
from archspace.space.budget import parse_budget
from archspace.space.file import read_space
from archspace.space.sampler import sample
from archspace.training.recipe import Recipe

SPACE = read_space(
    read_text(
        """\
name: tiny
target: {input: [1, 32, 32], classes: 10}
stem: {kind: imagenet, width: 4}
stages:
  number: 2
  block: bottleneck
  depth: {range: [1, 2], per: stage}
  width: {range: [4, 24], step: 4, times: [1, 2]}
  cardinality: {choices: [1, 2]}
  group_width: {choices: [2, 4]}
""",
        "tiny.yaml",
    )
)
BUDGET = parse_budget(["150kFLOPs"])
RECIPE = Recipe(epochs=2, rungs=(1, 2), batch=128, lr=0.1, norm_batches=2, precision="fp32", layout="contiguous")


def request(runs: Path, **changes: Any) -> Request:
    usual: dict[str, Any] = {"recipe": RECIPE, "trials": 4, "seed": 36, "concurrency": 1}
    return Request(SPACE, BUDGET, runs=runs, **usual | changes)


def genomes(count: int) -> list[Genome]:
    return [found.genome for found in sample(SPACE, BUDGET, count, 0)]


def config(**changes: Any) -> RunConfig:
    values: dict[str, Any] = {
        "name": "t",
        "created": "2026-01-02T03:04:05+00:00",
        "space_name": SPACE.name,
        "space": dict(SPACE.source),
        "budget": BUDGET.text,
        "measure": "flops",
        "cap": 150_000,
        "target_input": SPACE.input,
        "target_classes": SPACE.classes,
        "task": TaskConfig(name="digits", input=(1, 32, 32), classes=10),
        "recipe": RECIPE,
        "trials": 4,
        "seconds": 60.0,
        "seed": 1,
        "concurrency": 1,
        "gpus_per_trial": 0.0,
        "device": "cpu",
        "versions": {"python": "3.11.2"},
        "machine": "a machine: made up",
    }
    return RunConfig(**values | changes)
