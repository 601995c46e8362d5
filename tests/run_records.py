"""Runs made up for tests: real genomes at their real cost, with curves that fall as curves do."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random

import pandas as pd

from archspace.blocks.basic import BasicGenes
from archspace.blocks.bottleneck import BottleneckGenes
from archspace.closed_form import cost_of
from archspace.genome import Genome, Stage, Stem, canonical_json
from archspace.records.config import RunConfig, TaskConfig
from archspace.records.record import RunRecord
from archspace.training.recipe import Recipe

CURVES = ["number", "epoch", "train_loss", "error", "cross_entropy", "seconds", "at"]
TRIALS = [
    *("number", "id", "name", "state", "reason", "epochs", "error", "cross_entropy", "layers", "params", "macs"),
    *("flops", "acts", "seed", "seconds", "started", "finished", "genome"),
]
ATTACK = "RuntimeError: <script>alert('x')</script> in\n" + "a very long line of a traceback " * 40


def a_genome(random: Random) -> Genome:
    depths = [random.randint(1, 6) for _ in range(3)]
    width = 16 * random.randint(2, 8)
    basic = random.random() < 0.2
    genes = BasicGenes() if basic else BottleneckGenes(random.choice((2, 4, 8)), random.choice((1, 8, 16)))
    block = "basic" if basic else "bottleneck"
    stages = tuple(Stage(block, depth, width * 2**i, 1 + (i > 0), genes) for i, depth in enumerate(depths))
    return Genome(stages, Stem("cifar", 32))


def a_config(**changes: object) -> RunConfig:
    values: dict[str, object] = {
        "name": "first",
        "created": "2026-01-02T03:04:05+00:00",
        "space_name": "resnext",
        "space": {"stages": 3, "block": "bottleneck", "depth": [1, 6]},
        "budget": ("600MFLOPs",),
        "measure": "flops",
        "cap": 600_000_000,
        "target_input": (3, 32, 32),
        "target_classes": 10,
        "task": TaskConfig(name="digits", input=(1, 8, 8), classes=10),
        "recipe": Recipe(epochs=9, rungs=(1, 3, 9)),
        "trials": 60,
        "seconds": 1800.0,
        "seed": 7,
        "concurrency": 2,
        "gpus_per_trial": 0.0,
        "device": "cpu",
        "versions": {"archspace": "0.1.0", "torch": "2.9.0", "python": "3.11.7"},
        "machine": "Linux, 2 cores, 8 GiB",
    }
    return RunConfig.model_validate({**values, **changes})


def a_record(states: list[str], names: tuple[str, ...] = (), reason: str = "", **changes: object) -> RunRecord:
    """A run with one trial per state; the first ones carry `names`, failed ones `reason`."""
    random = Random(3)
    config = a_config(**changes)
    epochs_of = {"complete": config.recipe.epochs, "stopped": config.recipe.rungs[0], "failed": 0, "unfinished": 2}
    trials: list[list[object]] = []
    curves: list[list[object]] = []
    clock = 0.0
    while len(trials) < len(states):
        genome = a_genome(random)
        cost = cost_of(genome, config.target_input, config.target_classes)
        if cost.flops > config.cap:
            continue
        number, state = len(trials), states[len(trials)]
        floor = 0.5 / math.log(cost.flops) + random.random() * 0.06
        error = cross_entropy = math.nan
        for epoch in range(1, epochs_of[state] + 1):
            error = min(0.9, floor + 0.75 * math.exp(-0.7 * epoch) + random.gauss(0, 0.004))
            cross_entropy = 3 * error
            curves.append([number, epoch, 4 * error, error, cross_entropy, 2.0, clock + 2.0 * epoch])
        clock += 2.0 * epochs_of[state] + 1.0
        ended = clock if state != "unfinished" else math.nan
        trials.append([
            *(number, genome.id, names[number] if number < len(names) else "", state),
            *(reason if state == "failed" else "behind at rung 1" if state == "stopped" else "", epochs_of[state]),
            *(error, cross_entropy, cost.layers, cost.params, cost.macs, cost.flops, cost.acts, number),
            *(2.0 * epochs_of[state], clock - 3.0, ended, canonical_json(genome)),
        ])  # fmt: skip
    return RunRecord(
        config.name,
        Path("runs/first"),
        config,
        pd.DataFrame(trials, columns=TRIALS),
        pd.DataFrame(curves, columns=CURVES),
    )


RECORDS = {
    "empty": lambda: a_record([]),
    "none complete": lambda: a_record(["failed", "stopped", "unfinished"], reason=ATTACK),
    "one": lambda: a_record(["complete"]),
    "mixed": lambda: a_record(["complete", "failed", "stopped", "complete", "unfinished"], ("resnet-20",), ATTACK),
    "many": lambda: a_record(["complete", "stopped", "stopped", "stopped", "failed"] * 100, reason=ATTACK),
}
