"""Can the verdicts of a study be believed? Synthetic studies of known truth, analysed as real ones are.

Null studies: equal arms under different names, with and without trainings that fail, on exact errors and on test
images; how many get any verdict of a difference, and how often the mixed model alone would have given one. Coverage of
the interval that decides beside those it was chosen from, and of it alone over many more studies. Power measured beside
power predicted, for differences and for equivalence, and of studies as large as pilots said. Every rate has its 95 %
interval (Clopper and Pearson). Run it as `python benchmarks/study_controls.py`; it takes some twenty minutes, prints
each cell and writes benchmarks/results/study_controls.json. With names of parts (`coverage null`) only these are made
anew.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from archspace.analysis.bootstrap import interval_of, resample
from archspace.analysis.contrasts import Contrast, Paired, pair
from archspace.analysis.equivalence import Wrong, holm, precision, t_interval
from archspace.analysis.findings import Rules
from archspace.analysis.permutation import sign_flip_p
from archspace.analysis.power import anchors_needed, components_of, difference_power, equivalence_power
from archspace.analysis.sentences import significant
from archspace.analysis.synthetic import Study, Truth, synthesise
from archspace.analysis.verdict import analyse, judge
from archspace.searching.machine import describe, versions
from archspace.seeds import derive

SEED, ANCHORS, SEEDS = 0, (6, 12, 18, 36), 3
STUDIES, MANY_STUDIES, IMAGE_STUDIES, MODELLED, IMAGES = 1_000, 5_000, 150, 200, 2_000
"""Studies of a cell; those with test images, and those that the mixed model is fitted to, take longest."""
DRAWS, FEW_DRAWS = 1_000, 250
"""Of each bootstrap; the fewer with images, and in null studies, whose verdicts do not need them."""
MARGIN, NO_MARGIN = 0.3, 1e-6
"""Percentage points per doubling; with the second nothing is equivalent, so that all differences found are counted."""
NULL = Truth({"u": 0.0, "v": 0.0, "w": 0.0}, {"small": 0.06, "middle": 0.05, "large": 0.045})
PAIRS = (Contrast("u/v", "u", "v"), Contrast("v/w", "v", "w"), Contrast("u/w", "u", "w"))
SPREADS = {"effects vary": (0.2, 0.2), "seeds vary": (0.05, 0.3)}
"""Standard deviations of arms' effects at an anchor, and of seeds."""
CELL_SD = 0.3
"""Of what the anchors of a cell share under an arm, in percentage points."""
EFFECTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6)
PILOT = 6
OUT = Path(__file__).parent / "results" / "study_controls.json"

Interval = tuple[float, float]


def studies(
    truth: Truth, anchors: int, count: int, *purpose: str, images: int = 0
) -> Iterator[tuple[Study, np.random.Generator]]:
    """Studies whose seeds depend on what they are for, not on what ran before; each with its own generator."""
    for number in range(count):
        rng = np.random.default_rng(derive(SEED, *purpose, anchors, number))
        yield synthesise(truth, anchors, SEEDS, rng, images), rng


def rate(hits: int, count: int) -> dict[str, float]:
    """A share with its interval."""
    found = stats.binomtest(hits, count).proportion_ci()
    return {"rate": hits / count, "low": float(found.low), "high": float(found.high), "of": count}


def nulls(anchors: int) -> dict[str, Any]:
    """Share of null studies with any verdict of a difference, by the full analysis.

    At 12 anchors also the share, of the first studies, in which the mixed model alone would have found one.
    """
    modelled_studies = MODELLED if anchors == 12 else 0
    wrong, modelled = 0, 0
    for number, (study, _) in enumerate(studies(NULL, anchors, STUDIES, "null", "exact errors")):
        rules = Rules(MARGIN, draws=FEW_DRAWS, mixed=number < modelled_studies)
        findings = analyse(study.results, PAIRS, rules).findings
        wrong += any(found.verdict in ("superior", "inferior") for found in findings)
        modelled += any(found.mixed is not None and found.mixed.p < rules.alpha / len(PAIRS) for found in findings)
    row: dict[str, Any] = {"anchors": anchors, "kind": "exact errors", "any_difference": rate(wrong, STUDIES)}
    return row | ({"any_by_mixed_model": rate(modelled, modelled_studies)} if modelled_studies else {})


def null_verdicts(anchors: int, kind: str) -> dict[str, Any]:
    """The same share from the verdicts alone, which are those of the full analysis in a fraction of its time.

    Also the share with any difference before equivalence is asked for, which hides those too small to matter.
    """
    truth = replace(NULL, failures=0.02) if kind == "2 % of trainings fail" else NULL
    images = IMAGES if kind == "test images" else 0
    count, wrong, unhidden = 2 * IMAGE_STUDIES if images else STUDIES, 0, 0
    for study, _ in studies(truth, anchors, count, "null", kind, images=images):
        judged = judge(study.grid, PAIRS, Rules(MARGIN), study.wrong)
        wrong += any(one.verdict in ("superior", "inferior") for one in judged)
        unhidden += any(significant(one.p, one.effect, 0.05) for one in judged)
    shares = {"any_difference": rate(wrong, count), "any_before_equivalence": rate(unhidden, count)}
    return {"anchors": anchors, "kind": kind} | shares


def tuned_in_cells(anchors: int) -> dict[str, Any]:
    """Null studies of three cells whose tuned rates move all their anchors: differences found, and by signs alone.

    Also how often the interval that decides has the truth of one contrast in it, which is 0.
    """
    truth, rules = replace(NULL, cell_sd=CELL_SD), Rules(NO_MARGIN)
    found, by_signs, covered = 0, 0, 0
    for study, rng in studies(truth, anchors, STUDIES, "tuned in cells"):
        judged = judge(study.grid, PAIRS, rules)
        found += any(one.verdict in ("superior", "inferior") for one in judged)
        by_signs += any(p < rules.alpha for p in holm([sign_flip_p(one.paired.effects, rng) for one in judged]))
        covered += judged[0].effect.low <= 0.0 <= judged[0].effect.high
    shares = {"any_difference": found, "any_by_sign_flips_alone": by_signs, "covered": covered}
    row: dict[str, Any] = {"anchors": anchors, "cells": len(NULL.base), "cell_sd": CELL_SD}
    return row | {name: rate(hits, STUDIES) for name, hits in shares.items()}


def coverage(anchors: int, spread: str, images: int = 0) -> dict[str, Any]:
    """Of intervals that could have decided: how often each has the truth in it, and its median width."""
    effect_sd, seed_sd = SPREADS[spread] if not images else (0.1, 0.1)
    truth = replace(NULL, effects={"u": 0.3, "v": 0.0}, effect_sd=effect_sd, seed_sd=seed_sd)
    hits: dict[str, int] = defaultdict(int)
    widths: dict[str, list[float]] = defaultdict(list)
    count = IMAGE_STUDIES if images else STUDIES
    for study, rng in studies(truth, anchors, count, "coverage", spread, images=images):
        paired = pair(study.grid, PAIRS[0])
        for name, (low, high) in intervals(paired, study.wrong, rng).items():
            hits[name] += low <= 0.3 <= high
            widths[name].append(high - low)
    kinds = {name: rate(hits[name], count) | {"width": float(np.median(widths[name]))} for name in widths}
    return {"anchors": anchors, "spread": spread, "images": images, "intervals": kinds}


def decider(anchors: int, spread: str) -> dict[str, Any]:
    """How often the interval that decides has the truth in it; the first studies are those of `coverage`."""
    effect_sd, seed_sd = SPREADS[spread]
    truth = replace(NULL, effects={"u": 0.3, "v": 0.0}, effect_sd=effect_sd, seed_sd=seed_sd)
    hits = 0
    for study, _ in studies(truth, anchors, MANY_STUDIES, "coverage", spread):
        low, high = t_interval(precision(pair(study.grid, PAIRS[0])))
        hits += low <= 0.3 <= high
    return {"anchors": anchors, "spread": spread, "covered": rate(hits, MANY_STUDIES)}


def intervals(paired: Paired, wrong: Wrong | None, rng: np.random.Generator) -> dict[str, Interval]:
    """Every candidate."""
    effects, anchors = paired.effects, len(paired.anchors)
    centre = float(effects.mean())
    found = {"Student's over anchors": t_interval(precision(paired))}
    if wrong is not None:
        found["Student's over anchors and images"] = t_interval(precision(paired, wrong))
    drawn = resample(paired, FEW_DRAWS if wrong is not None else DRAWS, rng, wrong)
    found["hierarchical bootstrap, percentiles"] = tails(drawn.mean)
    found["hierarchical bootstrap, inflated"] = interval_of(drawn.mean, centre, anchors, drawn.groups)
    picked = effects[rng.integers(anchors, size=(DRAWS, anchors))]
    means, sds = picked.mean(axis=1), picked.std(axis=1, ddof=1)
    found["anchors alone, percentiles"] = tails(means)
    found["anchors alone, inflated"] = interval_of(means, centre, anchors, 1)
    ratios = (means - centre)[sds > 0] / sds[sds > 0]
    low, high = tails(ratios)
    sd = float(effects.std(ddof=1))
    found["anchors alone, studentised"] = (centre - high * sd, centre - low * sd)
    return found


def tails(figures: Any) -> Interval:
    """Their middle 95 %."""
    low, high = np.quantile(figures, [0.025, 0.975])
    return float(low), float(high)


def power(anchors: int, effect: float) -> dict[str, Any]:
    """One contrast: differences found, of either sign, and how many should be."""
    truth = replace(NULL, effects={"u": -effect, "v": 0.0})
    count = STUDIES // 2
    rules = Rules(NO_MARGIN)
    found = sum(
        judge(study.grid, PAIRS[:1], rules)[0].verdict != "inconclusive"
        for study, _ in studies(truth, anchors, count, "power", str(effect))
    )
    predicted = difference_power(_known(truth, anchors), anchors, effect, rules.alpha)
    return {"anchors": anchors, "effect": effect, "measured": rate(found, count), "predicted": predicted}


def equivalence(anchors: int, effect: float) -> dict[str, Any]:
    """One contrast: verdicts of equivalence where the true effect is 0, or as large as the margin."""
    truth = replace(NULL, effects={"u": effect, "v": 0.0})
    found = sum(
        judge(study.grid, PAIRS[:1], Rules(MARGIN))[0].verdict == "equivalent"
        for study, _ in studies(truth, anchors, STUDIES, "equivalence", str(effect))
    )
    predicted = equivalence_power(_known(truth, anchors), MARGIN, effect, 0.05)
    return {"anchors": anchors, "effect": effect, "measured": rate(found, STUDIES), "predicted": predicted}


def pilots(cautious: bool) -> dict[str, Any]:
    """Pilots of six anchors say how many a study needs; that study then looks for an effect as large as the margin."""
    truth = replace(NULL, effects={"u": -MARGIN, "v": 0.0})
    found, sizes = 0, []
    for number, (pilot, rng) in enumerate(studies(truth, PILOT, STUDIES // 2, "pilot")):
        known = components_of(pair(pilot.grid, PAIRS[0]))
        wanted = anchors_needed(known, MARGIN)
        size = wanted.cautious_difference if cautious else wanted.difference
        assert size is not None, number
        sizes.append(size)
        study = synthesise(truth, size, SEEDS, rng)
        found += judge(study.grid, PAIRS[:1], Rules(NO_MARGIN))[0].verdict == "superior"
    return {"cautious": cautious, "median_anchors": float(np.median(sizes)), "measured": rate(found, len(sizes))}


def _known(truth: Truth, anchors: int) -> Any:
    """The precision that a study of this truth has on average."""
    from archspace.analysis.equivalence import Precision

    variance = 2 * (truth.effect_sd**2 + truth.seed_sd**2 / SEEDS)
    return Precision(0.0, (variance / anchors) ** 0.5, anchors - 1, 0.0)


def main() -> None:
    """Simulate, print, write."""
    began = time.perf_counter()
    parts: dict[str, list[Callable[[], dict[str, Any]]]] = {
        "power": [lambda n=n, e=e: power(n, e) for n in ANCHORS for e in EFFECTS],
        "equivalence": [lambda n=n, e=e: equivalence(n, e) for n in ANCHORS for e in (0.0, MARGIN)],
        "pilots": [lambda c=c: pilots(c) for c in (False, True)],
        "coverage": [lambda n=n, s=s: coverage(n, s) for n in ANCHORS for s in SPREADS]
        + [lambda n=n: coverage(n, "test images", IMAGES) for n in ANCHORS[:2]],
        "decider": [lambda n=n, s=s: decider(n, s) for n in ANCHORS for s in SPREADS],
        "null": [lambda n=n: nulls(n) for n in ANCHORS[:3]],
        "tuned_in_cells": [lambda n=n: tuned_in_cells(n) for n in ANCHORS[1:]],
        "null_verdicts": [lambda n=n: null_verdicts(n, "exact errors") for n in ANCHORS]
        + [lambda n=n: null_verdicts(n, "2 % of trainings fail") for n in ANCHORS]
        + [lambda n=n: null_verdicts(n, "test images") for n in ANCHORS[1:3]],
    }
    wanted = sys.argv[1:] or list(parts)
    result = json.loads(OUT.read_text(encoding="utf-8")) if sys.argv[1:] else {}
    result |= head()
    for name in wanted:
        result[name] = []
        for cell in parts[name]:
            result[name].append(cell())
            print(f"{time.perf_counter() - began:6.0f} s  {name}  {json.dumps(result[name][-1])}", flush=True)
        OUT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def head() -> dict[str, Any]:
    """What the rates depend on."""
    return {
        "machine": describe(),
        "versions": versions() | {name: version(name) for name in ("scipy", "statsmodels", "pandas")},
        "seed": SEED,
        "seeds_per_arm": SEEDS,
        "images": IMAGES,
        "draws": DRAWS,
        "margin": MARGIN,
        "truth": asdict(NULL),
    }


if __name__ == "__main__":
    main()
