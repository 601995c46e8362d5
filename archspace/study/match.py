"""Equal cost: what each arm makes of an anchor, so that all of them spend the same."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from archspace.closed_form import cost_of
from archspace.errors import GenomeError, UserError
from archspace.genome import Genome, Shape
from archspace.space.budget import Latency
from archspace.study.arms import Knob, knobs_of, turned, value_of, with_values
from archspace.study.schema import Arm, Match
from archspace.units import UNITS, si

TRIED = 729
"""Genomes around one factor that are costed."""
FACTORS = 16
"""Factors between the ends of the ratio at which the coarsest axis is looked at."""
TARGETS = 12
"""Costs of the coarsest axis that the other arms are tried at."""
EVEN = 4
"""The most even genomes whose other widths are trimmed."""
FURTHEST = 64.0
"""An axis is moved by this factor at most."""
NEAR = 0.25
"""How far from the cost wanted a genome may be for its other widths to be trimmed."""


@dataclass(frozen=True)
class Option:
    """What an arm may make of an anchor; `strain` is how unevenly its genes moved (rms of the logarithm)."""

    genome: Genome
    cost: float
    strain: float


class Unmatched(Exception):  # noqa: N818
    """An arm of an anchor does not reach the cost of the others; says which gene, and the nearest cost."""


@dataclass(frozen=True)
class Pricing:
    """What is matched, and where it is counted: (channels, height, width) and classes; latency is predicted."""

    measure: str
    input: Shape
    classes: int
    latency: Latency | None = None

    def __call__(self, genome: Genome) -> float:
        """The cost of a genome; raises GenomeError."""
        cost = cost_of(genome, self.input, self.classes)
        return float(self.latency.of(cost)) if self.latency else int(getattr(cost, self.measure))

    def text(self, cost: float) -> str:
        """A cost with its unit."""
        return si(cost, UNITS[self.measure])


def matched(anchor: Genome, arms: Mapping[str, Arm], match: Match, price: Pricing) -> dict[str, Option]:
    """What each arm makes of an anchor; raises Unmatched.

    The arm with the fewest costs within the ratio sets the cost, as near to the middle of the ratio as evenly moved
    genes allow; the others meet it within the tolerance. An arm that spends nothing keeps what it costs.
    """
    bases = {name: _set(anchor, arm, name) for name, arm in arms.items()}
    found = {name: Option(base, price(base), 0.0) for name, base in bases.items() if not arms[name].matched}
    spending = {name: arm for name, arm in arms.items() if arm.matched}
    for name, arm in spending.items():
        _check_axes(name, arm, bases[name])
    if not spending:
        return found
    own, (low, high) = price(anchor), match.ratio
    if low == high:
        return found | _meeting(bases, spending, low * own, match, price)
    coarsest = min(spending, key=lambda name: _distinct(bases[name], spending[name], own * low, own * high, price))
    middle = math.log(own) + (math.log(low) + math.log(high)) / 2
    targets = sorted(
        _band(bases[coarsest], spending[coarsest], own * low, own * high, price),
        key=lambda option: abs(math.log(option.cost) - middle) + option.strain,
    )
    if not targets:
        raise Unmatched(_nowhere(coarsest, bases[coarsest], spending[coarsest], own, match, price))
    best: dict[str, Option] = {}
    reason = ""
    others = {name: arm for name, arm in spending.items() if name != coarsest}
    for target in targets[:TARGETS]:
        try:
            met = {coarsest: target} | _meeting(bases, others, target.cost, match, price)
        except Unmatched as error:
            reason = reason or str(error)
            continue
        if not best or _strain(met, middle) < _strain(best, middle):
            best = met
    if not best:
        raise Unmatched(reason)
    return found | best


def _strain(options: Mapping[str, Option], middle: float) -> float:
    worst = max(option.strain for option in options.values())
    return worst + max(abs(math.log(option.cost) - middle) for option in options.values())


def _set(anchor: Genome, arm: Arm, name: str) -> Genome:
    try:
        return with_values(anchor, arm.set)
    except GenomeError as error:
        raise UserError(f"arm {name}: its values do not fit anchor {anchor.id}: {error}") from None


def _check_axes(name: str, arm: Arm, base: Genome) -> None:
    """Raise UserError where a genome lacks an axis of its arm, or one that trims lies within the one that spends."""
    try:
        spent = knobs_of(str(arm.spend), base)
        for axis in arm.trim:
            if not set(knobs_of(axis, base)) - set(spent):
                raise UserError(f"trim {axis}: cost is spent on {arm.spend}, which moves all of it; trim another axis")
    except UserError as error:
        raise UserError(*(f"arm {name}: {message}" for message in error.messages)) from None


def _meeting(
    bases: Mapping[str, Genome], arms: Mapping[str, Arm], target: float, match: Match, price: Pricing
) -> dict[str, Option]:
    """The most even genome of each arm within the tolerance of a cost; raises Unmatched."""
    met = {}
    for name, arm in arms.items():
        knobs = knobs_of(str(arm.spend), bases[name])
        options = list(_around(bases[name], knobs, _factor(bases[name], knobs, target, price), price))
        within = [one for one in options if abs(one.cost / target - 1) <= match.tolerance]
        within += _trimmed(bases[name], arm, options, target, match, price)
        if not within:
            nearest = min(options, key=lambda one: abs(one.cost / target - 1), default=None)
            raise Unmatched(_missed(name, knobs, nearest, target, match, price))
        met[name] = min(within, key=lambda one: (round(one.strain, 3), abs(one.cost / target - 1)))
    return met


def _trimmed(
    base: Genome, arm: Arm, options: Sequence[Option], target: float, match: Match, price: Pricing
) -> Iterator[Option]:
    """The options nearest to a cost, each with other genes moved a little until it meets it."""
    near = sorted((one for one in options if abs(one.cost / target - 1) <= NEAR), key=lambda one: one.strain)
    for option, (axis, most) in itertools.product(near[:EVEN], arm.trim.items()):
        spent = knobs_of(str(arm.spend), base)
        knobs = tuple(knob for knob in knobs_of(axis, option.genome) if knob not in spent)
        for moved in _around(option.genome, knobs, _factor(option.genome, knobs, target, price), price):
            away = [abs(math.log(value_of(moved.genome, knob) / value_of(option.genome, knob))) for knob in knobs]
            if max(away) <= math.log1p(most) and abs(moved.cost / target - 1) <= match.tolerance:
                yield Option(moved.genome, moved.cost, option.strain + float(np.mean(away)))


def _band(base: Genome, arm: Arm, low: float, high: float, price: Pricing) -> list[Option]:
    """Every option of an arm with a cost between two ends that lies around an even move."""
    knobs = knobs_of(str(arm.spend), base)
    ends = [_factor(base, knobs, cost, price) for cost in (low, high)]
    found: dict[str, Option] = {}
    for factor in np.geomspace(ends[0], ends[1], FACTORS):
        found |= {one.genome.id: one for one in _around(base, knobs, float(factor), price)}
    return [one for one in found.values() if low <= one.cost <= high]


def _distinct(base: Genome, arm: Arm, low: float, high: float, price: Pricing) -> int:
    """How many even moves of an axis there are between two costs."""
    knobs = knobs_of(str(arm.spend), base)
    ends = [_factor(base, knobs, cost, price) for cost in (low, high)]
    return len({tuple(_rounded(base, knobs, float(factor))) for factor in np.geomspace(ends[0], ends[1], TRIED)})


def _around(base: Genome, knobs: Sequence[Knob], factor: float, price: Pricing) -> Iterator[Option]:
    """The genomes whose genes lie next to `factor` times those of `base`."""
    each = max(count for count in (1, 2, 3) if count ** len(knobs) <= TRIED)
    choices = [_nearest(value_of(base, knob) * factor, each) for knob in knobs]
    for values in itertools.product(*choices):
        try:
            genome = turned(base, knobs, values)
            cost = price(genome)
        except GenomeError:
            continue
        moves = [math.log(value / value_of(base, knob)) for value, knob in zip(values, knobs, strict=True)]
        yield Option(genome, cost, float(np.std(moves)))


def _nearest(value: float, count: int) -> list[int]:
    """The whole numbers nearest to a value, at least 1."""
    around = {max(1, math.floor(value) + step) for step in (-1, 0, 1, 2)}
    return sorted(around, key=lambda one: abs(one - value))[:count]


def _factor(base: Genome, knobs: Sequence[Knob], target: float, price: Pricing) -> float:
    """By what factor all knobs move to reach a cost, by bisection in the logarithm."""
    low, high = 1 / FURTHEST, FURTHEST
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        try:
            above = price(turned(base, knobs, _rounded(base, knobs, middle))) > target
        except GenomeError:
            above = middle > 1
        low, high = (low, middle) if above else (middle, high)
    return math.sqrt(low * high)


def _rounded(base: Genome, knobs: Sequence[Knob], factor: float) -> list[int]:
    return [max(1, round(value_of(base, knob) * factor)) for knob in knobs]


def _missed(
    name: str, knobs: Sequence[Knob], nearest: Option | None, target: float, match: Match, price: Pricing
) -> str:
    genes = ", ".join(dict.fromkeys("stem width" if knob.stage is None else knob.name for knob in knobs))
    reached = "no network can be built"
    if nearest is not None:
        reached = f"nearest is {price.text(nearest.cost)}, off by {abs(nearest.cost / target - 1):.1%}"
    return f"arm {name}: {genes} cannot bring it to {price.text(target)} within {100 * match.tolerance:g}%; {reached}"


def _nowhere(name: str, base: Genome, arm: Arm, own: float, match: Match, price: Pricing) -> str:
    knobs = knobs_of(str(arm.spend), base)
    middle = own * math.sqrt(match.ratio[0] * match.ratio[1])
    options = list(_around(base, knobs, _factor(base, knobs, middle, price), price))
    nearest = min(options, key=lambda one: abs(math.log(one.cost / middle)), default=None)
    reached = "no network can be built" if nearest is None else f"nearest is {nearest.cost / own:.2f} times"
    low, high = match.ratio
    return f"arm {name}: {arm.spend} cannot bring it to {low:g} to {high:g} times its cost; {reached}"
