"""Calibration of a device: networks of every family across the range of cost, measured one after another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from archspace.errors import BudgetError, GenomeError, RunFailed, UserError
from archspace.genome import Shape
from archspace.measure.calibration import LatencyModel, Point, find_model, fit_model, load_model
from archspace.measure.latency import NOISE, SECONDS, Setting, Timing, TooNoisy
from archspace.seeds import derive
from archspace.space.budget import Budget, Latency, Limit
from archspace.space.reach import reachable
from archspace.space.sampler import Candidate, sample
from archspace.space.space import Space
from archspace.units import si

NETWORKS = 45
"""One of each shipped family in each part of the range: 3 to 4 minutes on one core at batch 1."""
LEAST, GREATEST, PARTS = 100e6, 10e9, 5
"""Flops at 224x224 from the cheapest network that every shipped family reaches, and into how many parts they fall."""
PIXELS = 224 * 224
MOST_PARAMS = 100_000_000
"""Larger networks take longer to build than to measure."""
REFUSED = (0.5, 0.25)
"""Share of the networks that may be too noisy, at their first turn and at their second, before calibration ends."""
FEWEST_NETWORKS = 8
"""So that as many as a fit needs are left when a quarter is refused."""
SEED = 0


@dataclass(frozen=True)
class Chosen:
    """A network to be measured: the space that it is from, its genome, its cost."""

    space: str
    candidate: Candidate


@dataclass(frozen=True)
class Measured:
    """News of a calibration: the timing of the `number`-th of `total` networks, `refused` where it is too noisy."""

    number: int
    total: int
    chosen: Chosen
    timing: Timing
    refused: bool


def choose_networks(input: Shape, classes: int, n: int, seed: int = SEED) -> list[Chosen]:
    """About `n` networks of all shipped families within PARTS parts of the range of flops, equal in its logarithm.

    The range is that of 224x224 scaled by the pixels of `input` (channels, height, width). Family and part change from
    one to the next, so that any first few spread over both. Raises UserError where fewer than FEWEST_NETWORKS fit it.
    """
    spaces = _families(input, classes)
    bands = _bands(input)
    cells = len(spaces) * PARTS
    found: dict[str, Chosen] = {}
    for index in range(min(n, cells)):
        space = spaces[index % len(spaces)]
        part = (index % len(spaces) + index // len(spaces)) % PARTS
        own_seed = derive(seed, space.name, part)  # one seed for all parts would give all of them like depths
        for candidate in _drawn(space, bands[part], len(range(index, n, cells)), own_seed):
            found.setdefault(candidate.genome.id, Chosen(space.name, candidate))
    if len(found) < FEWEST_NETWORKS:
        raise UserError(
            f"calibration at {'x'.join(map(str, input))}: {len(found)} networks of the shipped spaces fit this input, "
            f"and {FEWEST_NETWORKS} are needed; take a larger --size"
        )
    return list(found.values())


def calibrate(
    setting: Setting,
    input: Shape,
    classes: int,
    n: int = NETWORKS,
    noise: float = NOISE,
    progress: Callable[[Measured], None] = lambda _: None,
    seconds: float = SECONDS,
) -> LatencyModel:
    """Measure about `n` networks, each for at least so many seconds, and fit the model of this device.

    What is too noisy gets a second turn at the end, and is left out if that is no better. Raises RunFailed where too
    many are (REFUSED), UserError where the device is not there or no networks fit the input.
    """
    from archspace.searching.machine import versions

    chosen = choose_networks(input, classes, n)
    points: list[Point] = []
    for news in _measured(chosen, setting, noise, seconds):
        progress(news)
        if not news.refused:
            genome, costs = news.chosen.candidate.genome, news.chosen.candidate.cost
            points.append(Point(genome.id, news.chosen.space, costs.macs, costs.acts, news.timing))
    return fit_model(setting, versions(), input, classes, points)


def _families(input: Shape, classes: int) -> list[Space]:
    """The shipped spaces of one family each, their costs counted at this input and these classes."""
    from archspace.space.file import load_space, shipped_spaces

    spaces = [load_space(name) for name in shipped_spaces()]
    return [replace(space, input=input, classes=classes) for space in spaces if not space.families]


def _bands(input: Shape) -> list[Budget]:
    scale = input[1] * input[2] / PIXELS
    ends = [round(scale * LEAST * (GREATEST / LEAST) ** (part / PARTS)) for part in range(PARTS + 1)]
    return [
        Budget(
            (Limit("flops", low, high), Limit("params", 0, MOST_PARAMS)),
            (f"{si(low, 'FLOPs')} to {si(high, 'FLOPs')}", si(MOST_PARAMS, "params")),
        )
        for low, high in pairwise(ends)
    ]


def _drawn(space: Space, band: Budget, n: int, seed: int) -> list[Candidate]:
    """Genomes of a space in a part of the range: none where it reaches none there, or none that the input fits."""
    flops = band.limits[0]
    try:
        low, high = reachable(space, flops.measure)  # told in milliseconds, where sampling would try for a second
        return sample(space, band, n, seed) if low <= flops.high and flops.low <= high else []
    except (BudgetError, GenomeError):
        return []


def _measured(chosen: list[Chosen], setting: Setting, noise: float, seconds: float) -> Iterator[Measured]:
    """Each network's timing; those that were refused come again behind all others."""
    turns = deque((number, item, 0) for number, item in enumerate(chosen, start=1))
    refused = [0] * len(REFUSED)
    while turns:
        number, item, turn = turns.popleft()
        try:
            yield Measured(number, len(chosen), item, _time(item, setting, noise, seconds), refused=False)
        except TooNoisy as error:
            yield Measured(number, len(chosen), item, error.timing, refused=True)
            refused[turn] += 1
            if refused[turn] > REFUSED[turn] * len(chosen):
                told = f"{refused[turn]} of {len(chosen)} networks were too noisy{' twice' * (turn > 0)}"
                raise RunFailed(f"calibration given up: {told}; the last: {error}") from None
            if turn + 1 < len(REFUSED):
                turns.append((number, item, turn + 1))


def _time(item: Chosen, setting: Setting, noise: float, seconds: float) -> Timing:
    import torch

    from archspace.blueprint import draw
    from archspace.measure.latency import measure_latency
    from archspace.network import build

    costs = item.candidate.cost
    blueprint = draw(item.candidate.genome, costs.input, costs.classes)
    network = build(blueprint, torch.Generator().manual_seed(SEED))
    return measure_latency(network, costs.input, setting, noise, seconds)


def known_latency(file: str | Path | None = None) -> Latency:
    """What predicts latency: the calibration in a file, or this device's at the usual setting; raises UserError."""
    model = load_model(Path(file)) if file else find_model(Setting())
    setting = model.setting
    return Latency(
        a=model.a,
        b=model.b,
        c=model.c,
        device=setting.device,
        threads=setting.threads,
        batch=setting.batch,
        dtype=setting.dtype,
        layout=setting.layout,
        machine=model.machine,
    )
