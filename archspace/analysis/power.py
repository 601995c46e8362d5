"""How many anchors a study needs, from the variance of a pilot, and the smallest effect a study could have seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from archspace.analysis.contrasts import Paired
from archspace.analysis.equivalence import Precision
from archspace.analysis.permutation import EXACT_UP_TO, smallest_p
from archspace.errors import UserError

MOST = 10_000
"""Anchors beyond which no study is planned."""
CAUTION = 0.8
"""Confidence of the upper bound on a pilot's variance (Browne 1995, 10.1002/sim.4780141709)."""


@dataclass(frozen=True)
class Components:
    """Where effects' variance comes from: standard deviations in the effect's unit.

    `between_sd` is that of anchors' true effects, `seed_sd` that of one seed's effect at its anchor. `inflation` times
    the variance of an anchor's effect is its upper bound at confidence `CAUTION`, for a pilot is small.
    """

    anchors: int
    seeds: int
    between_sd: float
    seed_sd: float
    inflation: float
    notes: tuple[str, ...]

    def effect_sd(self, seeds: int, cautious: bool = False) -> float:
        """Standard deviation of an anchor's effect averaged over `seeds`."""
        variance = self.between_sd**2 + self.seed_sd**2 / seeds
        return math.sqrt(variance * (self.inflation if cautious else 1.0))


@dataclass(frozen=True)
class AnchorsNeeded:
    """Anchors for the power wanted: to see an effect as large as the margin, to show equivalence where there is none.

    `cautious` are those at the upper bound of the pilot's variance. None: more than `MOST`, or no number of them.
    """

    seeds: int
    margin: float
    difference: int | None
    equivalence: int | None
    cautious_difference: int | None
    cautious_equivalence: int | None
    notes: tuple[str, ...]


def components_of(paired: Paired) -> Components:
    """Variance components by the method of moments; a negative estimate becomes 0, and a note says so.

    Raises UserError for one seed: the variance within anchors cannot then be told from that between them.
    """
    from scipy import stats

    effects = paired.by_seed
    anchors, seeds = effects.shape
    if seeds < 2:
        raise UserError(
            f"contrast {paired.contrast.name!r}: one seed only, so variance within anchors cannot be separated from "
            "that between them; train at least 2 seeds in a pilot"
        )
    within = float(effects.var(axis=1, ddof=1).mean())
    between = float(effects.mean(axis=1).var(ddof=1)) - within / seeds
    notes = (
        f"The variance between anchors was estimated below 0 ({between:.3g}) and set to 0: seeds alone explain the "
        "spread; the cautious figures matter more.",
    )
    inflation = (anchors - 1) / float(stats.chi2.ppf(1 - CAUTION, anchors - 1))
    spreads = math.sqrt(max(0.0, between)), math.sqrt(within)
    return Components(anchors, seeds, *spreads, inflation, notes if between < 0 else ())


def anchors_needed(
    components: Components,
    margin: float,
    alpha: float = 0.05,
    power: float = 0.8,
    contrasts: int = 1,
    seeds: int | None = None,
    images: float = 0.0,
) -> AnchorsNeeded:
    """Anchors for a study of `seeds` seeds (those of the pilot unless given), at Holm's strictest step.

    `margin` in the effect's unit; `images` is `Precision.images`, the part of the standard error that anchors do not
    lower. Raises UserError for a margin that is not above 0.
    """
    if not margin > 0:
        raise UserError(f"margin {margin:g}: must be above 0; give the largest effect that would make no difference")
    count = components.seeds if seeds is None else seeds
    found = [
        needed(components.effect_sd(count, cautious), margin, alpha / contrasts, power, images)
        for cautious in (False, True)
    ]
    (difference, equivalence), (more_difference, more_equivalence) = found
    return AnchorsNeeded(count, margin, difference, equivalence, more_difference, more_equivalence, components.notes)


def needed(
    sd: float, margin: float, level: float, power: float, images: float = 0.0, in_cell: float = 1.0
) -> tuple[int | None, int | None]:
    """Anchors to see an effect of `margin`, and to show equivalence where there is none, of one test at `level`.

    `sd` is that of an anchor's effect, in the effect's unit; above 1, `in_cell` anchors count as one.
    """

    def known(anchors: int) -> Precision:
        df = max(anchors / in_cell - 1, 1.0)
        return Precision(0.0, math.sqrt(sd**2 / anchors + images**2), df, images, in_cell > 1)

    return (
        _first(lambda anchors: difference_power(known(anchors), anchors, margin, level), power),
        _first(lambda anchors: equivalence_power(known(anchors), margin, 0.0, level), power),
    )


def difference_power(known: Precision, anchors: int, effect: float, level: float) -> float:
    """Power of the sign-flip test at a true `effect`: that of the t test at the level which so many anchors can reach.

    Where anchors share images or cells, Student's test has to agree, and the lesser power counts. P-values of sign
    flips are multiples of 2 / 2^anchors, so few anchors test at less than `level`; where only the two smallest lie
    below, all anchors must agree, or all but the one of the smallest effect: then power is exact.
    """
    single = smallest_p(anchors, 1)
    # A p-value of exactly `level` is not below it.
    steps = math.ceil(level / single - 1e-9) - 1
    if steps < 1 or not known.se:
        return 1.0 if steps >= 1 and effect else 0.0
    # Signs are flipped as if the images were given; Student's test, which then has to agree, knows better.
    own = math.sqrt(max(known.se**2 - known.images**2, 0.0))
    size = abs(effect) / (own * math.sqrt(anchors)) if own else math.inf
    if anchors <= EXACT_UP_TO and steps <= 2:
        flips = _agreeing(anchors, size, steps) + _agreeing(anchors, -size, steps)
    else:
        flips = _either_side(abs(effect) / own if own else math.inf, anchors - 1, steps * single)
    if not known.images and not known.cells:
        return flips
    return min(flips, _either_side(abs(effect) / known.se, known.df, level))


def equivalence_power(known: Precision, margin: float, effect: float, level: float) -> float:
    """Power of the two one-sided tests at a true `effect` (Phillips 1990, 10.1007/BF01063556).

    A lower bound, close from a half upwards: both tests are taken to fail apart from each other.
    """
    from scipy import stats

    if not known.se:
        return float(abs(effect) < margin)
    critical = float(stats.t.isf(level, known.df))
    gaps = margin - effect, margin + effect
    return max(0.0, sum(_beyond(critical, known.df, gap / known.se) for gap in gaps) - 1.0)


def smallest_effect(known: Precision, anchors: int, level: float, power: float = 0.8) -> float | None:
    """The smallest true effect that a study so precise would have seen with this power; None where none would be."""
    from scipy.optimize import brentq

    def lacking(effect: float) -> float:
        return difference_power(known, anchors, effect, level) - power

    if level <= smallest_p(anchors, 1):
        return None
    if not known.se:
        return 0.0
    top = known.se
    while lacking(top) < 0:
        top *= 2
    return float(brentq(lacking, 0.0, top, rtol=1e-4))


def _agreeing(anchors: int, size: float, steps: int) -> float:
    """Probability that all normal effects of mean `size` sd are above 0, or (two steps) all but the smallest one."""
    from scipy import integrate, special

    def but_one(distance: float) -> float:
        density = math.exp(-((distance + size) ** 2) / 2) / math.sqrt(2 * math.pi)
        return float(anchors * density * special.ndtr(size - distance) ** (anchors - 1))

    all_of_them = float(special.ndtr(size)) ** anchors
    # Ten standard deviations on there is no mass left; a finite end keeps the quadrature where there is some.
    return all_of_them + (float(integrate.quad(but_one, 0.0, abs(size) + 10.0)[0]) if steps == 2 else 0.0)


def _either_side(shift: float, df: float, level: float) -> float:
    """Power of Student's two-sided test at an effect of `shift` standard errors."""
    from scipy import stats

    critical = float(stats.t.isf(level / 2, df))
    return _beyond(critical, df, shift) + _beyond(critical, df, -shift)


def _beyond(critical: float, df: float, shift: float) -> float:
    """Probability that a noncentral t lies above `critical`; statsmodels has the same, a hundred times slower."""
    from scipy import special

    below = float(special.nctdtr(df, shift, critical))
    # Not-a-number is what it gives where effects are many standard errors.
    return float(shift > 0) if math.isnan(below) else 1.0 - below


def _first(power_at: Callable[[int], float], power: float) -> int | None:
    """The fewest anchors of this power; one by one while levels are coarse, by bisection where power only rises."""
    for anchors in range(2, EXACT_UP_TO + 1):
        if power_at(anchors) >= power:
            return anchors
    low, high = EXACT_UP_TO, EXACT_UP_TO + 1
    while power_at(high) < power:
        low, high = high, 2 * high
        if low > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_at(middle) >= power else (middle, high)
    return high if high <= MOST else None
