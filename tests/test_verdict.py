"""Verdicts in four words, the sentences made from them, and what of an analysis must not depend on chance or order."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from archspace.analysis.contrasts import Contrast, grid_of
from archspace.analysis.equivalence import t_test_p
from archspace.analysis.findings import Estimate, Finding, PValues, Rules, to_json
from archspace.analysis.synthetic import Truth, synthesise
from archspace.analysis.verdict import analyse, judge, verdict_of
from archspace.errors import UserError
from studies import CONTRAST, of_effects, results

RULES = Rules(margin=0.3, draws=200, mixed=False)
SMALL = [0.01 * (-1) ** n for n in range(8)]


def found(effects: Sequence[float], rules: Rules = RULES) -> Finding:
    return analyse(of_effects(effects), [CONTRAST], rules).findings[0]


def around(effect: float, anchors: int = 8, spread: float = 0.05) -> list[float]:
    return [effect + spread * (-1) ** n for n in range(anchors)]


@pytest.mark.parametrize(
    ("effects", "verdict"),
    [
        (around(-0.8), "superior"),
        (around(0.8), "inferior"),
        (around(0.0), "equivalent"),
        (around(0.1), "equivalent"),
        (around(0.0, spread=2.0), "inconclusive"),
        (around(0.3, spread=0.5), "inconclusive"),
        (around(0.8, anchors=5), "inconclusive"),
    ],
)
def test_each_verdict_follows_from_the_effects(effects: list[float], verdict: str) -> None:
    assert found(effects).verdict == verdict


@pytest.mark.parametrize(
    ("difference", "equivalence", "low", "high", "verdict"),
    [
        (0.01, 0.5, -0.5, -0.1, "superior"),
        (0.01, 0.5, 0.1, 0.5, "inferior"),
        (0.01, 0.01, -0.2, -0.1, "equivalent"),
        (0.05, 0.5, -0.5, -0.1, "inconclusive"),
        (0.01, 0.5, -0.5, 0.1, "inconclusive"),
        (0.5, 0.05, -0.2, 0.2, "inconclusive"),
    ],
)
def test_a_difference_needs_both_p_and_interval_and_equivalence_goes_first(
    difference: float, equivalence: float, low: float, high: float, verdict: str
) -> None:
    p = PValues(0.0, difference, 0.0, equivalence)
    assert verdict_of(p, Estimate((low + high) / 2, low, high), 0.05) == verdict


def test_a_difference_too_small_to_matter_is_told_with_the_equivalence() -> None:
    assert found(around(0.1)).headline == (
        "Spending twice the compute on a rather than b made no difference that matters: less than 0.30 percentage "
        "points of error either way, though it raised the error by a measurable 0.10 percentage points."
    )
    assert "though" not in found(SMALL).headline


@pytest.mark.parametrize(
    ("doublings", "sentence"),
    [
        ({"a": 1.0, "b": 1.0}, "Spending twice the compute on a rather than b lowered the error by 0.80"),
        ({"a": 1.0, "b": 0.0}, "Spending twice the compute on a lowered the error by 0.80"),
        ({"a": 0.0, "b": 1.0}, "Spending twice the compute on b raised the error by 0.80"),
        ({"a": 0.0, "b": 0.0}, "At the same compute, choosing a rather than b lowered the error by 0.80"),
        ({"a": 2.0, "b": 2.0}, "Spending twice the compute on a rather than b lowered the error by 0.40"),
    ],
)
def test_the_headline_says_who_did_what(doublings: dict[str, float], sentence: str) -> None:
    rows = of_effects(around(-0.8))
    rows["doublings"] = rows["arm"].map(doublings)
    assert analyse(rows, [CONTRAST], Rules(0.1, draws=0, mixed=False)).findings[0].headline == (
        sentence + " percentage points."
    )


def test_the_statement_has_all_that_a_statistician_asks_for() -> None:
    rows = of_effects(around(-0.8))
    rows.loc[(rows["anchor"] == "n0") & (rows["seed"] == 0) & (rows["arm"] == "b"), "failed"] = True
    found = analyse(rows, [CONTRAST, Contrast("b/a", "b", "a")], RULES).findings[0]
    assert found.statement == (
        "a minus b: -0.80 percentage points of error per doubling of cost (95 % interval -0.84 to -0.76; 8 anchors, "
        "2 seeds each); sign-flip test p = 0.008, after Holm over 2 contrasts p = 0.016; equivalence within ±0.3 "
        "p = 1.000, after Holm over 2 contrasts p = 1.000; the smallest effect that could have been seen with 80 % "
        f"power is {found.smallest_seen:.2f}; failed trainings, counted with the error of guessing: 0 of a, 1 of b: "
        "superior."
    )
    assert any("1 of 32 trainings failed" in note for note in found.notes)


def test_what_is_open_says_how_many_more_anchors_it_takes() -> None:
    one = found(around(0.0, spread=1.0))
    assert one.more_anchors is not None
    assert f"about {one.more_anchors} more anchors are needed" in one.headline
    assert f"about {one.more_anchors} more anchors are needed" in one.statement
    assert found(around(0.0, spread=300.0)).more_anchors is None


def test_an_effect_beyond_the_margin_takes_as_many_anchors_as_show_an_effect_so_large() -> None:
    few = found(around(-4.8, anchors=5, spread=1.0))
    assert few.verdict == "inconclusive"
    assert few.more_anchors is not None
    assert few.more_anchors <= 3


def test_an_effect_at_half_the_margin_takes_more_anchors_though_there_are_enough_for_the_margin() -> None:
    one = found(around(0.15, anchors=10, spread=0.25))
    assert one.verdict == "inconclusive"
    assert one.more_anchors is not None
    assert one.more_anchors > 5


def test_five_anchors_are_told_that_they_can_never_show_a_difference() -> None:
    one = found(around(0.8, anchors=5))
    assert "no p below 0.0625" in one.notes[0]
    assert "can never reach 0.05" in one.notes[0]
    assert one.smallest_seen is None
    assert "no effect, however large, could have been seen" in one.statement
    assert not any("never" in note for note in found(around(0.8, anchors=6)).notes)


def test_one_seed_is_enough_for_a_verdict_and_told() -> None:
    rows = results({"a": [[10 + effect] for effect in around(-0.8)], "b": [[10.0]] * 8})
    one = analyse(rows, [CONTRAST], Rules(0.3, draws=50)).findings[0]
    assert one.verdict == "superior"
    assert any("With one seed" in note for note in one.notes)


def test_holm_counts_every_contrast_of_the_study() -> None:
    rows = of_effects(around(-0.8, anchors=7))
    rows = pd.concat([rows, *(rows[rows["arm"] == "b"].assign(arm=name) for name in "cde")])
    nothing = [Contrast(f"b/{name}", "b", name) for name in "cde"]
    alone, among = (analyse(rows, [CONTRAST, *more], RULES).findings[0] for more in ([], nothing))
    assert (alone.verdict, among.verdict) == ("superior", "inconclusive")
    assert alone.smallest_seen is not None
    assert among.smallest_seen is None
    assert among.p.difference_holm == pytest.approx(4 * alone.p.difference) == pytest.approx(4 / 64)


def test_findings_depend_on_neither_the_order_of_rows_nor_that_of_contrasts() -> None:
    study = synthesise(Truth({"a": -0.5, "b": 0.0, "c": 0.2}, {"s": 0.05, "t": 0.06}), 16, 2, np.random.default_rng(4))
    contrasts = [CONTRAST, Contrast("a/c", "a", "c"), Contrast("b/c", "b", "c")]
    forth = analyse(study.results, contrasts, RULES).findings
    back = analyse(study.results.sample(frac=1, random_state=1), contrasts[::-1], RULES).findings
    assert forth == back[::-1]


def test_the_verdict_is_the_same_without_bootstrap_and_model() -> None:
    rows = of_effects(around(-0.5, spread=0.4))
    full = analyse(rows, [CONTRAST], Rules(0.3, draws=100)).findings[0]
    assert full.mixed is not None
    bare = judge(grid_of(rows), [CONTRAST], Rules(0.3, draws=0, mixed=False))[0]
    assert (full.verdict, full.effect, full.p) == (bare.verdict, bare.effect, bare.p)


def test_findings_become_json_without_what_json_lacks() -> None:
    plain = to_json(analyse(of_effects(SMALL), [CONTRAST], Rules(0.3, draws=0)))
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["findings"][0]["bootstrap"]["low"] is None
    assert plain["findings"][0]["contrast"] == {"name": "a/b", "a": "a", "b": "b"}
    assert to_json({"x": np.float64(math.inf), "y": np.arange(2)}) == {"x": None, "y": [0, 1]}


@pytest.mark.parametrize("contrasts", [[], [CONTRAST, CONTRAST]])
def test_contrasts_need_names_of_their_own(contrasts: list[Contrast]) -> None:
    with pytest.raises(UserError, match="each a name of its own"):
        analyse(of_effects(SMALL), contrasts, RULES)


def test_images_widen_what_the_verdict_goes_by() -> None:
    truth = Truth({"a": 0.0, "b": 0.0}, {"s": 0.1}, effect_sd=0.05, seed_sd=0.05, by_arm=0.2)
    study = synthesise(truth, 8, 2, np.random.default_rng(5), images=500)
    with_images, without = (
        analyse(study.results, [CONTRAST], RULES, wrong).findings[0] for wrong in (study.wrong, None)
    )
    assert with_images.known.images > 0.5
    assert with_images.p.difference == t_test_p(with_images.known) > without.p.difference
    assert with_images.effect.high - with_images.effect.low > without.effect.high - without.effect.low
    assert any("Test images were not given" in note for note in without.notes)
    assert not any("Test images were not given" in note for note in with_images.notes)


def test_rates_shared_by_cells_widen_what_the_verdict_goes_by_and_are_told() -> None:
    effects = [0.1, 0.0, -0.1, -1.1, -1.0, -0.9, -3.1, -3.0, -2.9]
    rows = of_effects(effects)
    cells = {f"n{number}": f"cost{number // 3}" for number in range(9)}
    alone = analyse(rows, [CONTRAST], RULES).findings[0]
    shared = analyse(rows.assign(cell=rows["anchor"].map(cells)), [CONTRAST], RULES).findings[0]
    assert (alone.verdict, alone.test) == ("superior", "sign-flip")
    assert (shared.verdict, shared.test) == ("inconclusive", "Student's")
    assert shared.effect.high - shared.effect.low > alone.effect.high - alone.effect.low
    assert "Student's test p = " in shared.statement
    assert "more anchors, in further cells, are needed" in shared.headline
    assert any("test and interval are those over cells" in note for note in shared.notes)
    one = analyse(rows.assign(cell="all"), [CONTRAST], RULES).findings[0]
    assert (one.verdict, one.effect) == (alone.verdict, alone.effect)
    assert any("share the rates that were tuned" in note for note in one.notes)


@pytest.mark.parametrize(("failing", "verdict"), [(0, "equivalent"), (2, "inconclusive"), (8, "inconclusive")])
def test_arms_that_fail_alike_are_not_equivalent_for_it(failing: int, verdict: str) -> None:
    rows = of_effects(SMALL)
    struck = rows["anchor"].isin([f"n{number}" for number in range(failing)])
    rows.loc[struck, ["error", "failed"]] = [0.9, True]
    one = analyse(rows, [CONTRAST], RULES).findings[0]
    assert one.verdict == verdict
    assert one.failures == (2 * failing, 2 * failing)
    assert any("equivalence is not judged" in note for note in one.notes) == (failing > 0)


def test_equivalence_says_of_which_trainings_it_is() -> None:
    # Clopper and Pearson: none of 16 may still be one in five, 1 - 0.025^(1/16).
    assert any("rarer than 20.6 %" in note for note in found(SMALL).notes)
    assert not any("do not fail" in note for note in found(around(-0.8)).notes)
