"""Synthetic studies of known truth: false verdicts are as rare as promised, intervals cover, power is as predicted.

Rates are held to limits that a true rate crosses once in 10,000 seeds; benchmarks/study_controls.py has larger runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from archspace.analysis.contrasts import Contrast, grid_of
from archspace.analysis.equivalence import Precision
from archspace.analysis.findings import Rules
from archspace.analysis.permutation import sign_flip_p
from archspace.analysis.power import difference_power, equivalence_power
from archspace.analysis.synthetic import Truth, synthesise
from archspace.analysis.verdict import Judged, judge

NULL = Truth({"u": 0.0, "v": 0.0, "w": 0.0}, {"small": 0.06, "middle": 0.05, "large": 0.045})
PAIRS = (Contrast("u/v", "u", "v"), Contrast("v/w", "v", "w"), Contrast("u/w", "u", "w"))
RARE = 1e-4
ALPHA = 0.05
NO_MARGIN = 1e-6
FEW = 99
"""Sign flips where their p-value is not looked at."""


def judged(
    truth: Truth,
    anchors: int,
    count: int,
    margin: float = 0.3,
    contrasts: Sequence[Contrast] = PAIRS,
    images: int = 0,
    permutations: int = 9_999,
) -> Iterator[tuple[Judged, ...]]:
    rng, rules = np.random.default_rng(11), Rules(margin, permutations=permutations)
    for _ in range(count):
        study = synthesise(truth, anchors, 3, rng, images)
        yield judge(study.grid, contrasts, rules, study.wrong)


def limits(rate: float, count: int) -> tuple[int, int]:
    """Hits of `count` that are not too unlikely at this rate."""
    return int(stats.binom.ppf(RARE, count, rate)), int(stats.binom.isf(RARE, count, rate))


def precision_of(truth: Truth, anchors: int) -> Precision:
    variance = 2 * (truth.effect_sd**2 + truth.seed_sd**2 / 3)
    return Precision(0.0, (variance / anchors) ** 0.5, anchors - 1, 0.0)


def test_a_study_has_the_effects_and_the_spread_that_it_was_made_with() -> None:
    truth = replace(NULL, effects={"u": 0.4, "v": 0.0}, effect_sd=0.3, seed_sd=0.6)
    study = synthesise(truth, 2_000, 3, np.random.default_rng(1))
    known = judge(study.grid, PAIRS[:1], Rules(0.3, permutations=FEW))[0]
    assert known.effect.value == pytest.approx(0.4, abs=4 * known.known.se)
    assert known.known.se == pytest.approx(precision_of(truth, 2_000).se, rel=0.1)


def test_the_table_of_a_study_has_its_grid() -> None:
    study = synthesise(replace(NULL, failures=0.2, cell_sd=0.1), 7, 2, np.random.default_rng(3))
    for name, value in vars(grid_of(study.results)).items():
        own = getattr(study.grid, name)
        assert np.array_equal(value, own, equal_nan=name == "rates"), name


def test_images_are_wrong_as_often_as_the_error_says() -> None:
    study = synthesise(replace(NULL, shared=0.0, by_arm=0.0), 40, 3, np.random.default_rng(2), images=5_000)
    assert study.wrong is not None
    assert study.results["error"].mean() == pytest.approx(0.052, abs=0.004)
    row = study.results.iloc[0]
    assert study.wrong[row["anchor"], row["arm"], row["seed"]].mean() == row["error"]


def test_equal_arms_under_different_names_get_a_difference_at_most_as_often_as_alpha() -> None:
    found = sum(
        any(one.verdict in ("superior", "inferior") for one in study) for study in judged(NULL, 12, 1_000, NO_MARGIN)
    )
    assert 0 < found <= limits(ALPHA, 1_000)[1]


def test_images_that_are_hard_for_one_arm_at_all_anchors_make_no_differences() -> None:
    truth = replace(NULL, effect_sd=0.1, seed_sd=0.1)
    studies = list(judged(truth, 12, 120, NO_MARGIN, images=800))
    found = sum(any(one.verdict != "inconclusive" for one in study) for study in studies)
    assert found <= limits(ALPHA, 120)[1]
    # On these very images the differences are there: sign flips alone find them much more often.
    blind = sum(
        any(3 * sign_flip_p(one.paired.effects, np.random.default_rng(0)) < ALPHA for one in s) for s in studies
    )
    assert blind > limits(ALPHA, 120)[1]


def test_rates_that_the_anchors_of_a_cell_share_make_no_differences() -> None:
    truth = replace(NULL, cell_sd=0.3)
    studies = list(judged(truth, 18, 400, NO_MARGIN))
    found = sum(any(one.verdict in ("superior", "inferior") for one in study) for study in studies)
    assert found <= limits(ALPHA, 400)[1]
    # Signs of single anchors know nothing of it.
    blind = sum(
        any(3 * sign_flip_p(one.paired.effects, np.random.default_rng(0), 999) < ALPHA for one in s)
        for s in studies[:100]
    )
    assert blind > limits(ALPHA, 100)[1]


def test_intervals_cover_where_rates_are_shared() -> None:
    truth = replace(NULL, effects={"u": 0.3, "v": 0.0}, cell_sd=0.3)
    found = sum(
        study[0].effect.low <= 0.3 <= study[0].effect.high
        for study in judged(truth, 18, 1_000, contrasts=PAIRS[:1], permutations=FEW)
    )
    assert found >= limits(0.95, 1_000)[0]


def test_trainings_that_fail_at_random_make_no_differences() -> None:
    truth = replace(NULL, failures=0.03)
    found = sum(any(one.verdict in ("superior", "inferior") for one in study) for study in judged(truth, 10, 400))
    assert found <= limits(ALPHA, 400)[1]


@pytest.mark.parametrize("anchors", [6, 12, 18])
def test_intervals_cover_the_truth_as_often_as_they_say(anchors: int) -> None:
    truth = replace(NULL, effects={"u": 0.3, "v": 0.0})
    found = sum(
        study[0].effect.low <= 0.3 <= study[0].effect.high
        for study in judged(truth, anchors, 1_000, contrasts=PAIRS[:1], permutations=FEW)
    )
    low, high = limits(0.95, 1_000)
    assert low <= found <= high


def test_intervals_cover_what_other_images_would_have_shown() -> None:
    truth = replace(NULL, effects={"u": 0.3, "v": 0.0}, effect_sd=0.1, seed_sd=0.1)
    found = [study[0] for study in judged(truth, 8, 150, contrasts=PAIRS[:1], images=800)]
    low, high = limits(0.95, 150)
    assert low <= sum(one.effect.low <= 0.3 <= one.effect.high for one in found) <= high
    # Images are what makes the difference here: without them too few intervals would cover.
    alone = [stats.ttest_1samp(one.paired.effects, 0.3).pvalue > ALPHA for one in found]
    assert sum(alone) < low


@pytest.mark.parametrize(("anchors", "effect"), [(6, 0.4), (12, 0.2), (12, 0.4), (18, 0.2)])
def test_differences_are_found_as_often_as_predicted(anchors: int, effect: float) -> None:
    truth = replace(NULL, effects={"u": -effect, "v": 0.0})
    found = sum(study[0].verdict == "superior" for study in judged(truth, anchors, 400, NO_MARGIN, contrasts=PAIRS[:1]))
    low, high = limits(difference_power(precision_of(truth, anchors), anchors, effect, ALPHA), 400)
    assert low <= found <= high


def test_equivalence_is_found_where_there_is_none_and_anchors_are_many() -> None:
    found = sum(
        study[0].verdict == "equivalent" for study in judged(NULL, 36, 200, contrasts=PAIRS[:1], permutations=FEW)
    )
    low, high = limits(equivalence_power(precision_of(NULL, 36), 0.3, 0.0, ALPHA), 200)
    assert low <= found <= high
    assert found > 190


@pytest.mark.parametrize("anchors", [8, 24])
def test_effects_as_large_as_the_margin_pass_for_equivalent_at_most_as_often_as_alpha(anchors: int) -> None:
    truth = replace(NULL, effects={"u": 0.3, "v": 0.0})
    found = sum(
        study[0].verdict == "equivalent" for study in judged(truth, anchors, 400, contrasts=PAIRS[:1], permutations=FEW)
    )
    assert found <= limits(ALPHA, 400)[1]
