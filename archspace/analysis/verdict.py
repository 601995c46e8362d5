"""The analysis of a study: all its contrasts, tested together, each with a verdict in one of four words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from archspace.analysis.bootstrap import interquartile_mean, interval_of, probability_better, resample
from archspace.analysis.contrasts import Contrast, Grid, Paired, grid_of, pair
from archspace.analysis.equivalence import Precision, Wrong, holm, precision, t_interval, t_test_p, tost
from archspace.analysis.findings import Analysis, Estimate, Finding, PValues, Rules, Test, Verdict
from archspace.analysis.mixed import mixed_model
from archspace.analysis.permutation import sign_flip_p
from archspace.analysis.power import needed, smallest_effect
from archspace.analysis.sentences import Told, headline, notes_of, significant, statement, too_many_failed, unit_of
from archspace.errors import UserError
from archspace.seeds import derive

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Judged:
    """What decides about a contrast, and the verdict; the rest of a finding describes it."""

    paired: Paired
    known: Precision
    effect: Estimate
    p: PValues
    test: Test
    verdict: Verdict


def analyse(results: pd.DataFrame, contrasts: Sequence[Contrast], rules: Rules, wrong: Wrong | None = None) -> Analysis:
    """Every contrast of a study, judged together.

    `results` has a row per training, as `grid_of` reads it; `wrong` which test images each got wrong. The same
    arguments give the same findings, whatever the order of rows or contrasts. Raises UserError for results that cannot
    be paired, for no contrasts or two of one name, and for a margin that is not above 0.
    """
    judged = judge(grid_of(results), contrasts, rules, wrong)
    return Analysis(rules, tuple(_finding(one, len(judged), rules, wrong) for one in judged))


def judge(grid: Grid, contrasts: Sequence[Contrast], rules: Rules, wrong: Wrong | None = None) -> tuple[Judged, ...]:
    """The verdicts of `analyse` without what only describes them: milliseconds a study. Raises as `analyse` does."""
    names = [contrast.name for contrast in contrasts]
    if not names or len(set(names)) < len(names):
        raise UserError(f"contrasts {', '.join(names) or '(none)'}: give at least one, each a name of its own")
    pairs = [pair(grid, contrast) for contrast in contrasts]
    known = [precision(paired, wrong) for paired in pairs]
    tested = [_difference(*each, rules) for each in zip(pairs, known, strict=True)]
    differences, tests = [p for p, _ in tested], [test for _, test in tested]
    # Where many trainings fail, how alike the others are says little.
    same = [
        1.0 if too_many_failed(paired) else tost(one, rules.margin).p for paired, one in zip(pairs, known, strict=True)
    ]
    p_values = map(PValues, differences, holm(differences), same, holm(same))
    return tuple(_judged(*parts, rules) for parts in zip(pairs, known, p_values, tests, strict=True))


def verdict_of(p: PValues, effect: Estimate, alpha: float) -> Verdict:
    """Equivalence first: a difference smaller than the margin makes none, however surely it is there."""
    if p.equivalence_holm < alpha:
        return "equivalent"
    if significant(p, effect, alpha):
        return "superior" if effect.value < 0 else "inferior"
    return "inconclusive"


def _difference(paired: Paired, known: Precision, rules: Rules) -> tuple[float, Test]:
    """p of the sign-flip test, or Student's if larger where anchors share what is a sample too, and which it is.

    Test images are the same at all anchors, tuned rates at those of a cell; flipping the signs of single anchors knows
    neither. Without the second p, one null study of ten got a difference from images, half of them from rates.
    """
    rng = np.random.default_rng(derive(rules.seed, "sign flips", paired.contrast.name))
    flips = sign_flip_p(paired.effects, rng, rules.permutations)
    student = t_test_p(known) if known.images or known.cells else 0.0
    return (student, "Student's") if student > flips else (flips, "sign-flip")


def _judged(paired: Paired, known: Precision, p: PValues, test: Test, rules: Rules) -> Judged:
    effect = Estimate(known.estimate, *t_interval(known, rules.confidence))
    return Judged(paired, known, effect, p, test, verdict_of(p, effect, rules.alpha))


def _finding(one: Judged, contrasts: int, rules: Rules, wrong: Wrong | None) -> Finding:
    paired, known, effect, p, verdict = one.paired, one.known, one.effect, one.p, one.verdict
    level = rules.alpha / contrasts
    seen = smallest_effect(known, len(paired.anchors), level, rules.power)
    more = _more_anchors(paired, known, level, rules) if verdict == "inconclusive" else None
    told = Told(paired, known, rules, contrasts, verdict, effect, p, one.test, seen, more)
    bootstrap, middle, better = _resampled(paired, known, rules, wrong)
    return Finding(
        contrast=paired.contrast,
        kind=paired.kind,
        base=paired.base,
        unit=unit_of(paired),
        verdict=verdict,
        effect=effect,
        known=known,
        p=p,
        test=one.test,
        bootstrap=bootstrap,
        middle=middle,
        better=better,
        mixed=mixed_model(paired, rules.confidence) if rules.mixed else None,
        smallest_seen=seen,
        more_anchors=more,
        anchors=paired.anchors,
        strata=paired.strata,
        effects=tuple(paired.effects.tolist()),
        seeds=paired.seeds,
        failures=paired.failures,
        headline=headline(told),
        statement=statement(told),
        notes=notes_of(told, wrong is not None),
    )


def _resampled(
    paired: Paired, known: Precision, rules: Rules, wrong: Wrong | None
) -> tuple[Estimate, Estimate, Estimate]:
    """Mean effect, interquartile mean and probability of improvement, with intervals from the same draws."""
    values = known.estimate, float(interquartile_mean(paired.effects)), probability_better(paired)
    if not rules.draws:
        mean, middle, better = (Estimate(value, math.nan, math.nan) for value in values)
        return mean, middle, better
    rng = np.random.default_rng(derive(rules.seed, "bootstrap", paired.contrast.name))
    drawn = resample(paired, rules.draws, rng, wrong)
    figures = drawn.mean, drawn.middle, drawn.better
    mean, middle, better = (
        Estimate(value, *interval_of(figure, value, len(paired.anchors), drawn.groups, rules.confidence))
        for value, figure in zip(values, figures, strict=True)
    )
    return mean, middle, Estimate(better.value, max(0.0, better.low), min(1.0, better.high))


def _more_anchors(paired: Paired, known: Precision, level: float, rules: Rules) -> int | None:
    """More anchors that would settle the contrast: an effect as large as seen, or, below the margin, any effect.

    Below the margin, those that tell an effect as large as the margin from none; if there are enough of them, as many
    as the nearer of the two verdicts takes, for an effect between none and the margin takes more than either.
    """
    anchors, seen = len(paired.anchors), abs(known.estimate)
    sd = math.sqrt(max(known.se**2 - known.images**2, 0.0) * anchors)
    in_cell = anchors / len(set(paired.cells)) if known.cells else 1.0

    def wanted(effect: float) -> tuple[float, float]:
        found = needed(sd, effect, level, rules.power, known.images, in_cell)
        return tuple(math.inf if count is None else count for count in found)  # type: ignore[return-value]  # of two

    if seen >= rules.margin:
        count = wanted(seen)[0]
    else:
        count = max(wanted(rules.margin))
        if count <= anchors:
            count = min(wanted(seen)[0] if seen else math.inf, wanted(rules.margin - seen)[1])
    return max(1, int(count) - anchors) if math.isfinite(count) else None
