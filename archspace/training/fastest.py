"""Which mode trains a kind of network fastest on a device: measured for seconds, remembered."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from archspace.blueprint import draw
from archspace.data.tasks import Split, Task
from archspace.genome import Genome
from archspace.measure.calibration import cache_folder
from archspace.network import build
from archspace.training.augment import Mixed
from archspace.training.device import check_compiler, choose_mode, cpu_name, has_avx512, has_bf16
from archspace.training.feed import feed
from archspace.training.forward import forward_of, products_of
from archspace.training.heap import hand_back, keep_freed_memory
from archspace.training.mode import Mode
from archspace.training.optimizer import make_optimizer
from archspace.training.place import place
from archspace.training.recipe import Recipe
from archspace.training.shortage import out_of_memory
from archspace.training.step import Stepper

IMAGES = 16
"""A batch that is measured on a CPU: enough to tell modes apart, few enough that a slow one does not take long. A GPU
is given whole batches: with few images it waits for the host in any mode."""
SECONDS = 0.5
"""How long each mode is measured; the first step, which warms up, is not counted."""
HOPELESS = 3.0
"""A mode whose first step takes so many times the best one's is measured no further on a CPU. On a GPU a first step
loads kernels and says nothing."""
GAIN = 1.1
"""By what a mode must beat the usual one to be taken: less is noise."""


@dataclass(frozen=True)
class Measured:
    """A mode and the seconds of a step, the least of several."""

    mode: Mode
    seconds: float


def kind_of(genome: Genome) -> str:
    """What decides which mode is fastest: blocks, and whether they are grouped: `basic`, `bottleneck grouped`."""
    kinds = {f"{stage.block}{' grouped' * (getattr(stage.genes, 'cardinality', 1) > 1)}" for stage in genome.stages}
    return ", ".join(sorted(kinds))


def candidates(recipe: Recipe, device: str) -> tuple[Mode, ...]:
    """The modes that a recipe leaves open, the usual one first; bfloat16 only where the device has it.

    On a CPU other orders of images are not tried, nor a step that is not fused: on many networks that makes a tenth,
    which is the noise of measuring, and the last bits of a curve would hang on that.
    """
    usual = choose_mode(recipe, device)
    precisions = {usual.bf16} if recipe.precision != "auto" else {False, has_bf16(device)}
    others = [
        replace(usual, bf16=bf16, channels_last=last, fused=fused)
        for bf16 in sorted(precisions)
        for last in _layouts(recipe, usual, bf16)
        for fused in _steps(usual)
    ]
    return (usual, *(mode for mode in others if mode != usual))


def _layouts(recipe: Recipe, usual: Mode, bf16: bool) -> tuple[bool, ...]:
    """Whether images lie in channels_last order: what may be tried in a precision."""
    if recipe.layout != "auto":
        return (usual.channels_last,)
    return (bf16 or has_avx512(),) if usual.device == "cpu" else (False, True)


def _steps(usual: Mode) -> tuple[bool, ...]:
    """Whether the optimiser's step is one kernel: what may be tried. In a recorded step others ask the host for the
    rate."""
    return (True,) if usual.device == "cpu" or usual.compiled == "graphs" else (True, False)


def fastest(genome: Genome, task: Task, recipe: Recipe, device: str, tell: Callable[[str], None]) -> Mode:
    """The fastest mode for a kind of network, of which `genome` is one: remembered, or measured and told.

    What is remembered lies in the cache folder, one file for each device, kind, input, batch, thread count and version
    of torch. Raises GenomeError where the task's images are too small, UserError where a compiler is needed that is not
    there.
    """
    check_compiler(recipe, device)
    open_modes = candidates(recipe, device)
    if len(open_modes) == 1 or recipe.compile == "on":  # each mode would be compiled, for minutes
        return open_modes[0]
    file = _file(genome, task, recipe, open_modes)
    known = _remembered(file, open_modes)
    if known is not None:
        return known
    measured: list[Measured] = []
    for mode in open_modes:
        best_yet = min((one.seconds for one in measured), default=math.inf)
        measured.append(Measured(mode, _seconds(genome, task, recipe, mode, best_yet)))
    best = min(measured, key=lambda one: one.seconds)
    chosen = best if best.seconds * GAIN < measured[0].seconds else measured[0]
    tell(f"{kind_of(genome)}: {chosen.mode} ({_told(measured)})")
    if math.isfinite(chosen.seconds):
        _remember(file, genome, chosen, measured)
    return chosen.mode


def fastest_of_each(
    genomes: Iterable[Genome], task: Task, recipe: Recipe, device: str, tell: Callable[[str], None]
) -> dict[str, Mode]:
    """The fastest mode of each kind among these genomes, measured on the first of the kind."""
    firsts: dict[str, Genome] = {}
    for genome in genomes:
        firsts.setdefault(kind_of(genome), genome)
    return {kind: fastest(genome, task, recipe, device, tell) for kind, genome in sorted(firsts.items())}


def mode_for(genome: Genome, modes: Mapping[str, Mode], recipe: Recipe, device: str) -> Mode:
    """The mode measured for a genome's kind, or the usual one where none was."""
    return modes.get(kind_of(genome)) or choose_mode(recipe, device)


def alike(modes: Mapping[str, Mode], recipe: Recipe, device: str) -> dict[str, Mode]:
    """One mode for networks of all kinds, that comparisons between kinds are fair: theirs if it is one, else the usual.

    Precision may move errors, and which is fastest differs by kind.
    """
    same = shared_mode(modes) or choose_mode(recipe, device)
    return dict.fromkeys(modes, same)


def shared_mode(modes: Mapping[str, Mode]) -> Mode | None:
    """The mode that all kinds share, None where there is none."""
    return next(iter(modes.values())) if len(set(modes.values())) == 1 else None


def modes_text(modes: Mapping[str, Mode]) -> str:
    """The modes of a search in a few words, each with its kinds where they differ."""
    kinds: dict[str, list[str]] = {}
    for kind, mode in modes.items():
        kinds.setdefault(str(mode), []).append(kind)
    if len(kinds) == 1:
        return next(iter(kinds))
    return "; ".join(f"{mode} ({', '.join(names)})" for mode, names in kinds.items())


def _seconds(genome: Genome, task: Task, recipe: Recipe, mode: Mode, best: float) -> float:
    """Seconds of a step, infinite where memory ends, as with whole batches it may in some modes and not in others."""
    try:
        return _step(genome, task, recipe, mode, best)
    except Exception as error:
        if not out_of_memory(error):
            raise
        return math.inf
    finally:
        if mode.device == "cuda":
            torch.cuda.empty_cache()  # else held beside the workers while the search runs
        else:
            hand_back()


def _step(genome: Genome, task: Task, recipe: Recipe, mode: Mode, best: float) -> float:
    """Seconds of a training step on one batch, the least of several."""
    if mode.device == "cpu":
        keep_freed_memory()
    network = build(draw(genome, task.input, task.classes), torch.Generator().manual_seed(0)).train()
    place(network, mode)
    step = Stepper(network, None, make_optimizer(network, recipe, mode), None, recipe, forward_of(network, mode), 1)
    count = IMAGES if mode.device == "cpu" else recipe.batch
    few = feed(Split(task.train.images[:count], task.train.labels[:count]), task, mode)
    images, labels = next(iter(few.in_order(count)))
    times: list[float] = []
    with torch.random.fork_rng(devices=[mode.device] if mode.device == "cuda" else []), products_of(mode):
        try:
            until = time.perf_counter() + SECONDS
            while len(times) < 3 or time.perf_counter() < until:
                began = time.perf_counter()
                step(Mixed(few.normalised(images), labels, labels, 1.0), recipe.peak)
                if mode.device == "cuda":
                    torch.cuda.synchronize()
                times.append(time.perf_counter() - began)
                if mode.device == "cpu" and times[0] > HOPELESS * best:
                    return times[0]
        finally:
            step.release()
    return min(times[1:])


def _told(measured: list[Measured]) -> str:
    ordered = sorted(measured, key=lambda one: one.seconds)
    return "; ".join(f"{one.mode.words}: {_time(one.seconds)}" for one in ordered)


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms a step" if math.isfinite(seconds) else "out of memory"


def _file(genome: Genome, task: Task, recipe: Recipe, open_modes: tuple[Mode, ...]) -> Path:
    device = open_modes[0].device
    name = torch.cuda.get_device_name() if device == "cuda" else cpu_name()
    key = (
        open_modes,
        name,
        torch.__version__,
        torch.get_num_threads(),
        kind_of(genome),
        task.input,
        recipe.batch,
    )
    return cache_folder() / "modes" / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.json"


def _remembered(file: Path, open_modes: tuple[Mode, ...]) -> Mode | None:
    try:
        mode = Mode(**json.loads(file.read_text(encoding="utf-8"))["mode"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return mode if mode in open_modes else None


def _remember(file: Path, genome: Genome, chosen: Measured, measured: list[Measured]) -> None:
    seconds = [{"mode": str(one.mode), "seconds": one.seconds} for one in measured]
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        data = {"kind": kind_of(genome), "mode": asdict(chosen.mode), "measured": seconds}
        part.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        part.replace(file)
    except OSError:  # a folder that cannot be written: it is measured again next time
        return
