"""How long networks take to train on this machine, from a few that are trained for some steps."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from archspace.closed_form import Cost
from archspace.errors import RunFailed
from archspace.genome import Genome, genome_data
from archspace.searching.machine import Share
from archspace.searching.stopwatch import Timing
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe

NETWORKS = 6
"""Measured where SECONDS allow it."""
FEWEST = 3
"""Networks measured even where that takes longer than SECONDS."""
SECONDS = 8.0
"""No further network is begun after these."""
NO_MODES: Mapping[str, Mode] = {}
MOST_AT_ONCE = 8
"""Processes that measure side by side, at most: more would take longer to start than to measure."""


@dataclass(frozen=True)
class Network:
    """A genome and what it costs at the task's input."""

    genome: Genome
    cost: Cost


@dataclass(frozen=True)
class Measured:
    """A network and its timing, the mean of all processes that trained it side by side."""

    network: Network
    timing: Timing


@dataclass(frozen=True)
class Pace:
    """Seconds of an epoch for each layer and each training flop of an image; others for each parameter.

    A layer costs what calling its kernels does, whatever its size.
    """

    layer: float
    flop: float
    build: float
    save: float

    def building(self, cost: Cost) -> float:
        """Seconds before a network's first epoch."""
        return self.build * cost.params

    def epoch(self, cost: Cost) -> float:
        """Seconds of an epoch, its checkpoint written."""
        return self.layer * cost.layers + self.flop * cost.training_flops + self.save * cost.params


@dataclass(frozen=True)
class Calibration:
    """What was measured: networks, processes side by side, seconds that these took to start and the whole took.

    `resident`: bytes of a process before it trains, None where that cannot be told. `failed`: why some networks have
    no timing.
    """

    measured: tuple[Measured, ...]
    side_by_side: int
    start: float
    seconds: float
    resident: int | None
    failed: tuple[str, ...]


def spread(networks: Sequence[Network], n: int = NETWORKS) -> list[Network]:
    """One from the middle of each of `n` parts of the networks, ranked by training flops; the outer parts first.

    So that the first few span the costs. The very ends are left out: the dearest network of a space may take as long
    as all others together.
    """
    ordered = sorted(networks, key=lambda network: network.cost.training_flops, reverse=True)
    parts = min(n, len(ordered))
    picked = [ordered[int((part + 0.5) * len(ordered) / parts)] for part in range(parts)]
    return [*picked[:1], *picked[-1:], *picked[1:-1]] if parts > 1 else picked


def pace_of(measured: Sequence[Measured]) -> Pace:
    """Least squares with variances in proportion to the time, so that sums of many trials come out right."""
    import numpy as np
    from scipy.optimize import nnls

    costs = [(item.network.cost.layers, item.network.cost.training_flops) for item in measured]
    seconds = np.array([item.timing.epoch for item in measured]).clip(1e-9)
    weighted = np.array(costs, dtype=float) / np.sqrt(seconds)[:, None]
    sizes = weighted.max(axis=0)
    layer, flop = nnls(weighted / sizes, np.sqrt(seconds))[0] / sizes
    params = sum(item.network.cost.params for item in measured)
    build, save = (sum(getattr(item.timing, what) for item in measured) / params for what in ("build", "save"))
    return Pace(float(layer), float(flop), build, save)


def error_of(measured: Sequence[Measured]) -> float | None:
    """The median size of predicted / measured - 1 of an epoch, each predicted from the others; None for one or two."""
    if len(measured) < FEWEST:
        return None
    errors = []
    for index, item in enumerate(measured):
        pace = pace_of([*measured[:index], *measured[index + 1 :]])
        errors.append(abs(pace.epoch(item.network.cost) / (item.timing.epoch + item.timing.save) - 1))
    return statistics.median(errors)


@dataclass(frozen=True)
class Stopwatches:
    """Processes that time trainings, all the same one at a time; see archspace.searching.stopwatch."""

    processes: tuple[subprocess.Popen[str], ...]
    began: float

    def calibrate(self, networks: Sequence[Network]) -> Calibration:
        """Time these networks, or as many as SECONDS allow but FEWEST; raises RunFailed where none can be trained."""
        ready = [_answer(process) for process in self.processes]
        begun = time.monotonic()
        measured: list[Measured] = []
        failed: list[str] = []
        for network in networks:
            if len(measured) >= FEWEST and time.monotonic() - begun > SECONDS:
                break
            answers = self._all(genome_data(network.genome))
            reasons = [answer["failed"] for answer in answers if "failed" in answer]
            if reasons:
                failed.append(f"genome {network.genome.id}: {reasons[0]}")
            else:
                means = {key: statistics.fmean(answer[key] for answer in answers) for key in answers[0]}
                measured.append(Measured(network, Timing(**means)))
        if not measured:
            raise RunFailed(f"none of {len(failed)} networks could be trained for a few steps; {failed[0]}")
        return Calibration(
            measured=tuple(measured),
            side_by_side=len(self.processes),
            start=max(answer["at"] for answer in ready) - self.began,
            seconds=time.monotonic() - begun,
            resident=max((answer["resident"] for answer in ready if answer["resident"]), default=None),
            failed=tuple(failed),
        )

    def _all(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        for process in self.processes:
            _tell(process, data)
        return [_answer(process) for process in self.processes]


@contextlib.contextmanager
def stopwatches(share: Share, task: str, recipe: Recipe, modes: Mapping[str, Mode] = NO_MODES) -> Iterator[Stopwatches]:
    """As many as a search runs trials side by side, up to MOST_AT_ONCE; they end with the context."""
    command = [sys.executable, "-P", "-m", "archspace.searching.stopwatch"]
    # What can be imported here can be there, a block family in a folder of its own among it.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(place).resolve()) for place in sys.path)}
    began = time.time()
    with contextlib.ExitStack() as stack:
        processes = []
        for number in range(min(share.concurrency, MOST_AT_ONCE)):
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=environment,
                start_new_session=True,  # Ctrl-C is for this process, which ends them
            )
            stack.callback(_end, process)
            gpu = int(number * share.gpus_per_trial + 1e-9)
            how = {kind: asdict(mode) for kind, mode in modes.items()}
            job = {"task": task, "recipe": recipe.model_dump(), "device": share.device, "gpu": gpu, "modes": how}
            _tell(process, job)
            processes.append(process)
        yield Stopwatches(tuple(processes), began)


def _tell(process: subprocess.Popen[str], data: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # whoever waits for the answer will hear of it
        stdin = _pipe(process.stdin)
        stdin.write(json.dumps(data) + "\n")
        stdin.flush()


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    line = _pipe(process.stdout).readline()
    if not line:
        code = process.wait()
        why = ", as where memory runs out" if code == -9 else ""
        raise RunFailed(f"a process that measures trainings ended with exit code {code}{why}")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(BrokenPipeError):  # closing writes what is left
            _pipe(pipe).close()
    process.wait()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
