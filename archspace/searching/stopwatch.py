"""A process that times short trainings as a worker of a search would run them.

`python -m archspace.searching.stopwatch` reads lines of JSON from stdin and answers each with one on stdout: the job
(task, recipe, device, GPU) with what the process itself takes, then each genome with its timing.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from archspace.blueprint import draw
from archspace.data.tasks import Split, Task, load_task
from archspace.genome import Genome
from archspace.genomefile import genome_from_data
from archspace.network import Network, build
from archspace.searching.trial import reason_for
from archspace.training.auxiliary import auxiliary_heads
from archspace.training.checkpoint import Checkpoint, save_checkpoint
from archspace.training.evaluation import EVAL_BATCH, evaluate
from archspace.training.fastest import mode_for
from archspace.training.feed import Feed, feed
from archspace.training.loop import Epoch, train
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe

STEPS = 2
"""Training steps in a round; a round ends as an epoch does, with norms and an evaluation."""
SECONDS = 1.0
"""Rounds go on for so long, the first, which warms up, among them."""
LONG = 5.0
"""Seconds of a first round that make a second one superfluous: warming up is a small part of them."""
ROUNDS = 10_000


@dataclass(frozen=True)
class Timing:
    """Seconds: to draw and build a network, of an epoch of the recipe on the task, to write a checkpoint.

    `core` is the share of a CPU core that the training had.
    """

    build: float
    epoch: float
    save: float
    core: float


def steps_of(task: Task, recipe: Recipe) -> int:
    """Training steps in an epoch."""
    return math.ceil(len(task.train.labels) / recipe.batch)


def time_training(genome: Genome, task: Task, recipe: Recipe, mode: Mode) -> Timing:
    """Train a genome for a few steps; nothing is left of it.

    An epoch's steps and norms are scaled up from rounds of STEPS steps, its evaluation from that of a part of val.
    Raises GenomeError where the task's images are too small, Diverged where the loss is not finite.
    """
    began = time.perf_counter()
    blueprint = draw(genome, task.input, task.classes)
    network = build(blueprint, torch.Generator().manual_seed(0))
    heads = auxiliary_heads(blueprint, 0)
    built = time.perf_counter() - began
    steps = steps_of(task, recipe)
    single, short = _part(task.val, 1), min(STEPS, steps)
    cut = replace(task, train=_part(task.train, short * recipe.batch), val=single)
    began, worked = time.perf_counter(), time.process_time()
    rounds, checkpoint = _rounds(train(network, cut, _briefly(recipe, short, steps), mode, 0, heads=heads))
    core = (time.process_time() - worked) / (time.perf_counter() - began)
    with tempfile.TemporaryDirectory(prefix="archspace-") as folder:
        began = time.perf_counter()
        save_checkpoint(checkpoint, Path(folder))
        saved = time.perf_counter() - began
    # The mean, not the median: what else runs on the machine takes its time from a search too.
    ends = min(_evaluation(network, feed(single, task, mode)) for _ in range(3))
    trained = statistics.fmean(rounds[1:] or rounds) - ends
    some = _part(task.val, EVAL_BATCH)
    evaluated = _evaluation(network, feed(some, task, mode)) * len(task.val.labels) / len(some.labels)
    return Timing(built, max(trained, 0.0) * steps / short + evaluated, saved, core)


def _rounds(epochs: Iterator[tuple[Epoch, Checkpoint]]) -> tuple[list[float], Checkpoint]:
    """Seconds of each round, and the network after the last."""
    rounds: list[float] = []
    while True:
        epoch, checkpoint = next(epochs)
        rounds.append(epoch.seconds)
        if rounds[0] > LONG or (len(rounds) > 1 and sum(rounds) > SECONDS):
            return rounds, checkpoint


def _briefly(recipe: Recipe, short: int, steps: int) -> Recipe:
    """The recipe for `short` of a task's `steps`: its norms in proportion, its rate too low to diverge."""
    norms = max(1, round(min(recipe.norm_batches, steps) * short / steps))
    return recipe.model_copy(
        update={"epochs": ROUNDS, "rungs": (ROUNDS,), "norm_batches": norms, "lr": 1e-9, "warmup": 0.0}
    )


def _part(split: Split, images: int) -> Split:
    return Split(split.images[:images], split.labels[:images])


def _evaluation(network: Network, data: Feed) -> float:
    began = time.perf_counter()
    evaluate(network, data)
    return time.perf_counter() - began


def _resident() -> int | None:
    """Bytes of memory that this process takes; None where the system does not tell as Linux does."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def _timed(data: dict[str, Any], task: Task, recipe: Recipe, modes: dict[str, Mode], device: str) -> dict[str, Any]:
    try:
        genome = genome_from_data(data)
        return asdict(time_training(genome, task, recipe, mode_for(genome, modes, recipe, device)))
    except Exception as error:  # one network that cannot be trained is no reason to end
        return {"failed": reason_for(error)}


def main() -> None:
    """Answer line by line until stdin ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer

    def answer(data: dict[str, Any]) -> None:
        answers.write(json.dumps(data) + "\n")
        answers.flush()

    job = json.loads(sys.stdin.readline())
    torch.set_num_threads(1)  # as in a worker
    if job["device"] == "cuda":
        torch.cuda.set_device(job["gpu"])
    task, recipe = load_task(job["task"]), Recipe.model_validate(job["recipe"])
    modes = {kind: Mode(**mode) for kind, mode in job["modes"].items()}
    answer({"resident": _resident(), "at": time.time()})
    for line in sys.stdin:
        answer(_timed(json.loads(line), task, recipe, modes, job["device"]))


if __name__ == "__main__":
    main()
