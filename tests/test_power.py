"""How many anchors a study needs, held to closed forms, to statsmodels and to simulated tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from archspace.analysis.contrasts import grid_of, pair
from archspace.analysis.equivalence import Precision, precision, tost
from archspace.analysis.permutation import sign_flip_p
from archspace.analysis.power import (
    CAUTION,
    anchors_needed,
    components_of,
    difference_power,
    equivalence_power,
    needed,
    smallest_effect,
)
from archspace.errors import UserError
from studies import CONTRAST, known_effects, paired, results

SAMPLES = 2_000


def known(anchors: int, sd: float = 1.0) -> Precision:
    return Precision(0.0, sd / math.sqrt(anchors), anchors - 1, 0.0)


def within(rate: float, expected: float, samples: int = SAMPLES) -> bool:
    """Does a simulated rate lie within four binomial standard errors?"""
    return abs(rate - expected) <= 4 * math.sqrt(max(expected * (1 - expected), 1 / samples) / samples)


def test_components_by_hand() -> None:
    # Seeds lie 0.1 either side: variance 0.02 within; means 0 and 1 have variance 0.5, of which 0.01 is that of seeds.
    found = components_of(paired([0.0, 1.0], spread=0.1))
    assert found.seed_sd == pytest.approx(math.sqrt(0.02))
    assert found.between_sd == pytest.approx(math.sqrt(0.49))
    assert found.effect_sd(2) == pytest.approx(math.sqrt(0.5))
    assert found.effect_sd(4) == pytest.approx(math.sqrt(0.495))
    assert found.notes == ()


def test_a_negative_variance_is_floored_and_said() -> None:
    found = components_of(paired([0.0, 0.1], spread=1.0))
    assert found.between_sd == 0.0
    assert "below 0" in found.notes[0]
    assert anchors_needed(found, 0.5).notes == found.notes


def test_the_cautious_variance_is_an_upper_bound_at_its_confidence() -> None:
    bounds = []
    for seed in range(200):
        found = components_of(paired(known_effects(seed, 6, sd=1.0), spread=0.0))
        bounds.append(found.effect_sd(2, cautious=True) >= 1.0)
    assert within(float(np.mean(bounds)), CAUTION, 200)


def test_one_seed_cannot_tell_variance_within_anchors_from_that_between() -> None:
    found = pair(grid_of(results({"a": [[1.0], [2.0]], "b": [[1.0], [1.0]]})), CONTRAST)
    with pytest.raises(UserError, match="cannot be separated from that between them; train at least 2 seeds"):
        components_of(found)


@pytest.mark.parametrize(
    ("anchors", "effect", "reached"), [(40, 0.5, 499 / 10_000), (10, 0.9, 25 / 512), (12, 0.0, 102 / 2048)]
)
def test_power_is_that_of_the_t_test_at_the_level_that_can_be_reached(
    anchors: int, effect: float, reached: float
) -> None:
    expected = TTestPower().power(effect, anchors, reached)
    assert difference_power(known(anchors), anchors, effect, 0.05) == pytest.approx(expected, abs=1e-9)


def test_effects_of_many_standard_errors_are_surely_seen() -> None:
    assert difference_power(known(12), 12, 1e6, 0.05) == 1.0
    assert equivalence_power(known(12), 1e6, 0.0, 0.05) == 1.0


@pytest.mark.parametrize(
    ("anchors", "level", "effect"),
    [(6, 0.05, 1.2), (6, 0.05, 0.0), (8, 0.05 / 3, 1.2), (8, 0.0125, 1.8), (12, 0.05, 0.8), (12, 0.05 / 3, 0.8)],
)
def test_power_predicted_is_the_power_that_sign_flips_have(anchors: int, level: float, effect: float) -> None:
    rng = np.random.default_rng(1)
    samples = rng.standard_normal((SAMPLES, anchors)) + effect
    rate = float(np.mean([sign_flip_p(sample, rng) < level for sample in samples]))
    assert within(rate, difference_power(known(anchors), anchors, effect, level))


def test_anchors_that_can_never_reach_alpha_have_no_power() -> None:
    assert difference_power(known(5), 5, 100.0, 0.05) == 0.0
    assert difference_power(known(5), 5, 100.0, 0.0625) == 0.0
    assert smallest_effect(known(5), 5, 0.05) is None


@pytest.mark.parametrize(("anchors", "effect"), [(12, 0.0), (12, 0.3), (12, 1.0), (30, 0.4)])
def test_power_predicted_of_equivalence_is_that_of_the_tests(anchors: int, effect: float) -> None:
    samples = np.random.default_rng(2).standard_normal((SAMPLES, anchors)) + effect
    errors = samples.std(axis=1, ddof=1) / math.sqrt(anchors)
    found = [
        tost(Precision(float(sample.mean()), float(error), anchors - 1, 0.0), 1.0).p < 0.05
        for sample, error in zip(samples, errors, strict=True)
    ]
    assert within(float(np.mean(found)), equivalence_power(known(anchors), 1.0, effect, 0.05))


@pytest.mark.parametrize(("sd", "level"), [(0.3, 0.05), (0.3, 0.05 / 3), (1.0, 0.05), (0.05, 0.01)])
def test_as_many_anchors_as_needed_have_the_power_and_one_fewer_has_not(sd: float, level: float) -> None:
    difference, equivalence = needed(sd, 0.3, level, 0.8)
    assert difference is not None
    assert equivalence is not None
    assert difference_power(known(difference, sd), difference, 0.3, level) >= 0.8
    assert difference_power(known(difference - 1, sd), difference - 1, 0.3, level) < 0.8
    assert equivalence_power(known(equivalence, sd), 0.3, 0.0, level) >= 0.8
    assert equivalence == 2 or equivalence_power(known(equivalence - 1, sd), 0.3, 0.0, level) < 0.8


def test_anchors_needed_are_near_the_normal_approximation_and_rise_with_caution_and_contrasts() -> None:
    pilot = components_of(paired(known_effects(9, 6, sd=0.6)))
    found = anchors_needed(pilot, 0.2)
    sd = pilot.effect_sd(2)
    normal = ((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * sd / 0.2) ** 2
    assert found.difference is not None
    assert normal <= found.difference <= normal + 4
    assert found.cautious_difference is not None
    assert found.cautious_difference > found.difference
    many = anchors_needed(pilot, 0.2, contrasts=4)
    assert many.difference is not None
    assert many.difference > found.difference


def test_no_number_of_anchors_makes_up_for_too_few_images() -> None:
    pilot = components_of(paired(known_effects(9, 6)))
    assert anchors_needed(pilot, 0.2, images=0.0).difference is not None
    assert anchors_needed(pilot, 0.2, images=0.5).difference is None


def test_images_that_all_anchors_share_are_no_spread_of_their_signs() -> None:
    # Six anchors that hardly differ, and a common error five times as large: signs agree, Student's test decides.
    shared = Precision(0.0, math.sqrt(0.12**2 / 6 + 0.25**2), 1_000.0, 0.25)
    expected = stats.nct.sf(stats.t.isf(0.025, 1_000), 1_000, 0.72 / shared.se)
    assert difference_power(shared, 6, 0.72, 0.05) == pytest.approx(expected, abs=1e-3)
    found = smallest_effect(shared, 6, 0.05)
    assert found is not None
    assert found < 0.75


def test_the_smallest_effect_that_could_be_seen_has_the_power_asked_for() -> None:
    found = smallest_effect(known(12), 12, 0.05, 0.8)
    assert found is not None
    assert difference_power(known(12), 12, found, 0.05) == pytest.approx(0.8, abs=1e-3)


def test_a_study_s_own_precision_says_what_it_could_have_seen() -> None:
    wide, narrow = (smallest_effect(precision(paired(known_effects(3, 12, sd=sd))), 12, 0.05) for sd in (0.6, 0.3))
    assert wide is not None
    assert narrow is not None
    assert wide == pytest.approx(2 * narrow, rel=0.05)
