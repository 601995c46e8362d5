"""What a comparison of design spaces says, in plain words."""

from __future__ import annotations

from archspace.analysis.comparison import Comparison, Difference, Pair, Side
from archspace.analysis.distribution import LEVEL
from archspace.units import UNITS, si

ALPHA = 1 - LEVEL
UNEQUAL = 1.1
"""Ratio of the mean costs of matched networks above which it is said that bins are too wide."""
FEW = 10
"""Networks below which a bootstrap interval of a median or a best is too narrow."""


def verdicts(comparison: Comparison) -> list[str]:
    """What is to be said of every pair, or why nothing is where the samples share no range of costs."""
    if comparison.matched is not None:
        return [" ".join((verdict(comparison, pair), *_caveats(comparison, pair))) for pair in comparison.pairs]
    names = ", ".join(side.sample.name for side in comparison.sides)
    return [f"Nothing is said at equal cost: the networks of {names} share no range of {comparison.measure}."]


def verdict(comparison: Comparison, pair: Pair) -> str:
    """Which of two spaces has better networks at equal cost and by how much, or that the data do not tell."""
    names = [comparison.sides[number].sample.name for number in (pair.one, pair.other)]
    test = f"KS {pair.ks.statistic:.2f}, p {_p(pair.p)}"
    if pair.p >= ALPHA:
        return (
            f"The data do not tell {names[0]} and {names[1]} apart at equal cost ({test}): the median of {names[0]} is "
            f"{_by(pair.median)}, its expected best of {pair.best_n} is {_by(pair.best)}."
        )
    figures = {"median": pair.median, f"expected best of {pair.best_n}": pair.best}
    better = {what: difference.better for what, difference in figures.items()}
    sure = {side for side in better.values() if side is not None}
    if len(sure) == 1:
        side = sure.pop()
        told = [
            f"{'its' if number else 'the'} {what} is {_by(difference, side)}"
            + ("" if better[what] == side else ", which may be chance")
            for number, (what, difference) in enumerate(figures.items())
        ]
        return f"{names[side]} has better networks than {names[1 - side]} at equal cost ({test}): {', '.join(told)}."
    told = [f"the {what} of {names[0]} is {_by(difference)}" for what, difference in figures.items()]
    middle = "neither is better throughout" if sure else "which one is better is not clear"
    return f"{names[0]} and {names[1]} differ at equal cost ({test}), but {middle}: {', '.join(told)}."


def _caveats(comparison: Comparison, pair: Pair) -> list[str]:
    """What a verdict of too few networks, or of too wide bins, has to be read with."""
    held = [comparison.sides[number].matched for number in (pair.one, pair.other)]
    assert held[0] is not None
    assert held[1] is not None
    costs, told = [side.cost for side in held if side], []
    if max(costs) > UNEQUAL * min(costs):
        figures = " and ".join(si(cost, UNITS[comparison.measure]) for cost in costs)
        told.append(f"Mean costs still differ, {figures}: more networks would allow narrower bins of cost.")
    fewest = min(side.edf.n for side in held if side)
    if fewest < FEW:
        told.append(f"Only {fewest} networks on a side: such intervals are too narrow.")
    return told


def advice(side: Side) -> str:
    """Whether drawing more networks of a space is worth it."""
    stop = side.stopping
    gain = f"the last {stop.last} of {stop.drawn} brought {_points(stop.gain)} of expected best error"
    bound = f"as many more will bring no more, and {_points(stop.tolerance)} is the tolerance"
    first = f"{gain}; {bound}: {'stop' if stop.best_found else 'go on'} if a better network is the aim"
    if stop.more:
        second = f"a band of ±{stop.wanted:.2f} takes {stop.more} more networks; it is ±{stop.half_width:.2f} now"
    else:
        second = f"its band of ±{stop.half_width:.2f} is within ±{stop.wanted:.2f}"
    return f"{side.sample.name}: {first}; {second}."


def _by(difference: Difference, side: int = 0) -> str:
    """How much lower or higher the error of a side is than the other's, with its interval."""
    sign = 1 if side == 0 else -1
    value, ends = sign * difference.value, sorted((sign * difference.low, sign * difference.high))
    if value < 0:
        ends = [-end for end in reversed(ends)]
    word, opposite = ("lower", "higher") if value >= 0 else ("higher", "lower")
    low = f"{100 * ends[0]:.2f}" if ends[0] >= 0 else f"{-100 * ends[0]:.2f} {opposite}"
    high = f"{100 * ends[1]:.2f}" if ends[0] >= 0 else f"{100 * ends[1]:.2f} {word}"
    return f"{_points(abs(value))} {word} (95 % interval {low} to {high})"


def _points(fraction: float) -> str:
    return f"{100 * fraction:.2f} points"


def _p(p: float) -> str:
    return f"{p:.2g}" if p >= 0.001 else "< 0.001"
