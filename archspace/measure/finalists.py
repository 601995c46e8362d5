"""Latency of a run's finalists, measured: what was predicted of them, put to the test."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archspace.errors import RunFailed, UserError
from archspace.genome import Genome, Shape
from archspace.measure.latency import Setting, device_name, measure_latency
from archspace.units import si

FILE = "latency.json"


@dataclass(frozen=True)
class Finalist:
    """Seconds per batch of a network: median and quartiles, or None where it could not be measured, and why."""

    median: float | None
    low: float | None
    high: float | None
    reason: str = ""


def measure_finalists(
    genomes: Mapping[str, Genome],
    input: Shape,
    classes: int,
    setting: Setting,
    machine: str,
    folder: Path,
    tell: Callable[[str], None],
) -> dict[str, Finalist]:
    """The latency of each genome (by id) at `input`, measured once and kept in `folder`.

    On another device than `machine`, of which latency was predicted, nothing is measured. A measurement that is too
    noisy is told and tried again the next time.
    """
    import torch

    from archspace.blueprint import draw
    from archspace.network import build

    known = read_finalists(folder)
    try:
        here = device_name(setting.device)
    except UserError as error:  # a device that this machine lacks is no mistake here
        here = str(error)
    for name, genome in genomes.items():
        if name in known and known[name].median is not None:
            continue
        if here != machine:
            known[name] = Finalist(None, None, None, f"latency was predicted for {machine}, this is {here}")
            continue
        tell(f"measuring the latency of genome {name}")
        try:
            network = build(draw(genome, input, classes), torch.Generator().manual_seed(0))
            timing = measure_latency(network, input, setting)
            known[name] = Finalist(timing.median, timing.low, timing.high)
        except RunFailed as error:
            known[name] = Finalist(None, None, None, str(error).splitlines()[0])
    text = json.dumps({name: asdict(finalist) for name, finalist in known.items()}, indent=1)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")
    return known


def latency_text(finalist: Finalist | None) -> str:
    """What was measured, with its quartiles; a dash where nothing was."""
    if finalist is None or finalist.median is None or finalist.low is None or finalist.high is None:
        return "–"
    return f"{si(finalist.median, 's')} ({si(finalist.low, 's')} to {si(finalist.high, 's')})"


def read_finalists(folder: Path) -> dict[str, Finalist]:
    """What was measured in a run's folder; nothing where nothing was, or where it cannot be read."""
    try:
        data: dict[str, dict[str, Any]] = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return {name: Finalist(**finalist) for name, finalist in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
