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
from archspace.analysis.findings import Analysis, Estimate, Finding, PValues, Rules, Verdict
from archspace.analysis.mixed import mixed_model
from archspace.analysis.permutation import sign_flip_p
from archspace.analysis.power import needed, smallest_effect
from archspace.analysis.sentences import Told, headline, notes_of, significant, statement, unit_of
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
    differences = [_difference(*each, rules) for each in zip(pairs, known, strict=True)]
    same = [tost(one, rules.margin).p for one in known]
    p_values = map(PValues, differences, holm(differences), same, holm(same))
    return tuple(_judged(*parts, rules) for parts in zip(pairs, known, p_values, strict=True))


def verdict_of(p: PValues, effect: Estimate, alpha: float) -> Verdict:
    """Equivalence first: a difference smaller than the margin makes none, however surely it is there."""
    if p.equivalence_holm < alpha:
        return "equivalent"
    if significant(p, effect, alpha):
        return "superior" if effect.value < 0 else "inferior"
    return "inconclusive"


def _difference(paired: Paired, known: Precision, rules: Rules) -> float:
    """p of the sign-flip test, which takes the images as given; where they are a sample too, Student's if larger.

    Images are the same at all anchors. Without the second p, one null study of ten got a difference.
    """
    rng = np.random.default_rng(derive(rules.seed, "sign flips", paired.contrast.name))
    p = sign_flip_p(paired.effects, rng, rules.permutations)
    return max(p, t_test_p(known)) if known.images else p


def _judged(paired: Paired, known: Precision, p: PValues, rules: Rules) -> Judged:
    effect = Estimate(known.estimate, *t_interval(known, rules.confidence))
    return Judged(paired, known, effect, p, verdict_of(p, effect, rules.alpha))


def _finding(one: Judged, contrasts: int, rules: Rules, wrong: Wrong | None) -> Finding:
    paired, known, effect, p, verdict = one.paired, one.known, one.effect, one.p, one.verdict
    level = rules.alpha / contrasts
    seen = smallest_effect(known, len(paired.anchors), level, rules.power)
    more = _more_anchors(paired, known, level, rules) if verdict == "inconclusive" else None
    told = Told(paired, rules, contrasts, verdict, effect, p, seen, more)
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
        notes=notes_of(paired, rules, contrasts, wrong is not None),
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
    """More anchors to tell an effect as large as the margin from none; if there are enough, to settle the effect seen.

    An effect between none and the margin takes more than either: as many as the nearer of its two verdicts does.
    """
    anchors, sd, seen = len(paired.anchors), float(paired.effects.std(ddof=1)), abs(known.estimate)
    planned = needed(sd, rules.margin, level, rules.power, known.images)
    wanted = [math.inf if count is None else count for count in planned]
    count = max(wanted)
    if count <= anchors:
        different = needed(sd, seen, level, rules.power, known.images)[0] if seen else None
        same = needed(sd, rules.margin - seen, level, rules.power, known.images)[1] if seen < rules.margin else None
        count = min((found for found in (different, same) if found is not None), default=math.inf)
    return max(1, int(count) - anchors) if math.isfinite(count) else None
