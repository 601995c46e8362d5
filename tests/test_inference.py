"""Tests, intervals and bootstraps of a study, held to values by hand and to scipy and statsmodels."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from archspace.analysis.bootstrap import interquartile_mean, interval_of, probability_better, resample
from archspace.analysis.contrasts import Floats, grid_of, pair
from archspace.analysis.equivalence import Precision, Wrong, holm, precision, t_interval, t_test_p, tost
from archspace.analysis.mixed import mixed_model
from archspace.analysis.permutation import EXACT_UP_TO, sign_flip_p, smallest_p
from archspace.errors import UserError
from studies import CONTRAST, known_effects, paired, results

few_effects = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=9).map(np.array)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_six_effects_of_one_sign_have_p_of_two_in_64() -> None:
    assert sign_flip_p(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), rng()) == 2 / 64


def test_the_smallest_effect_of_the_other_sign_doubles_p() -> None:
    assert sign_flip_p(np.array([-0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), rng()) == 4 / 64


@given(few_effects)
def test_sign_flips_are_all_counted(effects: Floats) -> None:
    sums = [abs(float(np.dot(signs, effects))) for signs in product((-1, 1), repeat=len(effects))]
    expected = sum(found >= abs(effects.sum()) for found in sums) / len(sums)
    assert sign_flip_p(effects, rng()) == pytest.approx(expected)


def test_sign_flips_agree_with_scipy() -> None:
    effects = np.array(known_effects(1, 9))
    found = stats.permutation_test((effects,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_p(effects, rng()) == pytest.approx(found.pvalue)


def test_random_flips_come_near_the_exact_p_and_never_reach_zero() -> None:
    effects = np.array(known_effects(2, EXACT_UP_TO + 2, mean=0.12))
    exact = float((np.abs(_patterns(len(effects)) @ effects) >= abs(effects.sum()) - 1e-9).mean())
    assert 0.01 < exact < 0.5
    assert sign_flip_p(effects, rng(), 9_999) == pytest.approx(exact, abs=4 * math.sqrt(exact / 10_000))
    assert sign_flip_p(np.full(30, 0.5), rng(), 99) == 0.01


def _patterns(anchors: int) -> Floats:
    return 1.0 - 2.0 * (np.arange(2**anchors)[:, None] >> np.arange(anchors) & 1)


@pytest.mark.parametrize(
    ("anchors", "contrasts", "least"), [(5, 1, 0.0625), (6, 3, 6 / 64), (2, 3, 1.0), (14, 2, 2.0**-12), (60, 1, 1e-4)]
)
def test_the_smallest_p_is_known_beforehand(anchors: int, contrasts: int, least: float) -> None:
    assert smallest_p(anchors, contrasts) == pytest.approx(least)


@pytest.mark.parametrize("anchors", [2, 5, 9])
def test_the_smallest_p_is_what_equal_effects_reach(anchors: int) -> None:
    assert sign_flip_p(np.ones(anchors), rng()) == smallest_p(anchors, 1)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))


@pytest.mark.parametrize("values", [[0.2], [0.5, 0.5, 0.001], [0.01, 0.02, 0.03, 0.04, 0.9], [0.9, 0.012, 0.011, 0.3]])
def test_holm_agrees_with_statsmodels(values: list[float]) -> None:
    assert holm(values) == pytest.approx(multipletests(values, method="holm")[1].tolist())


def test_the_interval_is_student_s_over_anchors() -> None:
    found = paired(known_effects(3, 8))
    expected = stats.ttest_1samp(found.effects, 0.0).confidence_interval(0.9)
    assert t_interval(precision(found), 0.9) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("margin", [0.1, 0.3, 0.6])
def test_equivalence_agrees_with_statsmodels(margin: float) -> None:
    found = paired(known_effects(4, 8))
    p, low, high = ttost_paired(found.effects, np.zeros(8), -margin, margin)
    same = tost(precision(found), margin)
    assert (same.p, same.p_low, same.p_high) == pytest.approx((p, low[1], high[1]))


def test_student_s_p_is_scipy_s() -> None:
    found = paired(known_effects(4, 8))
    assert t_test_p(precision(found)) == pytest.approx(stats.ttest_1samp(found.effects, 0.0).pvalue)
    assert t_test_p(Precision(0.1, 0.0, 5, 0.0)) == 0.0
    assert t_test_p(Precision(0.0, 0.0, 5, 0.0)) == 1.0


@pytest.mark.parametrize("se", [0.0, 1e-16])
def test_anchors_that_agree_to_the_last_image_measure_no_spread_and_so_no_equivalence(se: float) -> None:
    assert tost(Precision(0.1, se, 1), 0.3).p == 1.0


@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan])
def test_a_margin_must_be_above_zero(margin: float) -> None:
    with pytest.raises(UserError, match="must be above 0"):
        tost(precision(paired([0.1, 0.2])), margin)


def test_images_common_to_all_anchors_widen_the_interval_by_their_variance() -> None:
    # Arm a is wrong on one image of ten more than b, the same at every anchor: all variance is that of images.
    wrong = {(f"n{n}", arm, 0): np.arange(100) < (20 if arm == "a" else 10) for n in range(4) for arm in "ab"}
    found = pair(grid_of(results({"a": [[20.0]] * 4, "b": [[10.0]] * 4})), CONTRAST)
    assert precision(found).se == 0.0
    known = precision(found, wrong)
    assert known.se == known.images == pytest.approx(100 * math.sqrt(0.1 * 0.9 / 99))
    assert known.df == pytest.approx(99)


def test_images_that_anchors_do_not_share_are_not_counted_twice() -> None:
    draw = np.random.default_rng(5)
    wrong: Wrong = {(f"n{n}", arm, 0): draw.random(4_000) < 0.1 for n in range(6) for arm in "ab"}
    rows = results({arm: [[100 * float(wrong[f"n{n}", arm, 0].mean())] for n in range(6)] for arm in "ab"})
    found = pair(grid_of(rows), CONTRAST)
    assert precision(found, wrong).se == pytest.approx(precision(found).se, rel=0.1)


def test_images_must_be_given_for_all_trainings_or_none() -> None:
    wrong = {(f"n{n}", arm, 0): np.zeros(9, bool) for n in range(2) for arm in "ab"}
    found = pair(grid_of(results({"a": [[0.0]] * 2, "b": [[0.0]] * 2})), CONTRAST)
    with pytest.raises(UserError, match="anchor 'n1', arm 'b', seed 0: missing"):
        precision(found, {key: value for key, value in wrong.items() if key != ("n1", "b", 0)})
    with pytest.raises(UserError, match="anchor 'n1', arm 'b', seed 0: missing, or not as many"):
        resample(found, 10, rng(), wrong | {("n1", "b", 0): np.zeros(8, bool)})


def test_draws_vary_as_anchors_and_seeds_make_them() -> None:
    found = paired(known_effects(6, 12), spread=0.4)
    drawn = resample(found, 20_000, rng())
    effects = found.by_seed
    expected = effects.mean(axis=1).var() / 12 + effects.var(axis=1).mean() / 2 / 12
    assert drawn.mean.mean() == pytest.approx(effects.mean(), abs=0.01)
    assert drawn.mean.var() == pytest.approx(expected, rel=0.05)


def test_anchors_are_drawn_within_strata() -> None:
    # All variance is between the strata, of which each draw has as many anchors as the study.
    drawn = resample(paired([0.0, 0.0, 1.0, 1.0, 1.0], spread=0.0, strata="ssttt"), 200, rng())
    assert np.ptp(drawn.mean) == pytest.approx(0.0)
    assert drawn.groups == 2


@pytest.mark.parametrize(("strata", "groups"), [("stu", 1), ("sstu", 2), ("ssst", 1)])
def test_anchors_alone_in_their_stratum_are_drawn_with_others(strata: str, groups: int) -> None:
    drawn = resample(paired([float(n) for n in range(len(strata))], strata=strata), 300, rng())
    assert drawn.groups == groups
    assert np.ptp(drawn.mean) > 0.5


def test_images_are_drawn_for_all_trainings_together() -> None:
    # Whatever the images, a has the error of b: that only holds if both see the same ones.
    draw = np.random.default_rng(7)
    same = {n: draw.random(300) < 0.3 for n in range(3)}
    wrong = {(f"n{n}", arm, 0): same[n] for n in range(3) for arm in "ab"}
    rows = results({arm: [[100 * float(same[n].mean())] for n in range(3)] for arm in "ab"})
    drawn = resample(pair(grid_of(rows), CONTRAST), 400, rng(), wrong)
    assert np.abs(drawn.mean).max() < 1e-4
    assert (drawn.better == 0.5).all()


def test_the_bootstrap_s_interval_is_student_s_where_draws_are_normal() -> None:
    df, anchors = 5, 6
    figures = stats.norm.ppf((np.arange(10_000) + 0.5) / 10_000) * math.sqrt(df / anchors)
    assert interval_of(figures, 0.0, anchors, 1) == pytest.approx(stats.t.ppf([0.025, 0.975], df).tolist(), rel=0.01)


def test_the_interquartile_mean_cuts_a_quarter_from_either_end() -> None:
    assert float(interquartile_mean(np.array([90.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -80.0]))) == 3.5


def test_the_probability_of_improvement_counts_all_pairs_of_seeds_and_ties_half() -> None:
    found = pair(grid_of(results({"a": [[1.0, 3.0], [1.0, 1.0]], "b": [[2.0, 3.0], [0.0, 0.5]]})), CONTRAST)
    assert probability_better(found) == pytest.approx((2.5 / 4 + 0) / 2)


def test_the_mixed_model_finds_the_effect_that_balanced_anchors_have() -> None:
    found = mixed_model(paired(known_effects(8, 10)))
    assert found.converged
    assert found.estimate == pytest.approx(np.mean(known_effects(8, 10)), abs=1e-6)
    assert found.low < found.estimate < found.high


def test_a_model_that_cannot_be_fitted_is_told_in_words() -> None:
    found = mixed_model(paired([0.0, 0.0], spread=0.0))
    assert not found.converged
    assert "did not converge" in found.words or "could not be fitted" in found.words
