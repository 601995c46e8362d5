"""Two sentences for each contrast: one a newspaper could print, one a statistician would."""

from __future__ import annotations

from dataclasses import dataclass

from archspace.analysis.contrasts import Contrast, Paired
from archspace.analysis.equivalence import Precision
from archspace.analysis.findings import Estimate, PValues, Rules, Test, Verdict
from archspace.analysis.permutation import smallest_p

SMALLEST_SHOWN = 0.001
MOST_FAILED = 0.05
"""The share of failed trainings beyond which equivalence is not judged: where both arms fail they are alike in that."""


@dataclass(frozen=True)
class Told:
    """What both sentences are made from."""

    paired: Paired
    known: Precision
    rules: Rules
    contrasts: int
    verdict: Verdict
    effect: Estimate
    p: PValues
    test: Test
    smallest_seen: float | None
    more_anchors: int | None


def unit_of(paired: Paired) -> str:
    """What effects are counted in."""
    return "percentage points of error" + ("" if paired.kind == "equal cost" else " per doubling of cost")


def headline(told: Told) -> str:
    """The sentence for everybody."""
    paired, contrast = told.paired, told.paired.contrast
    action = _action(paired)
    # Against a base that is `a`, the sentence is about what b did.
    value = -told.effect.value if paired.base == "a" else told.effect.value
    change = "lowered" if value < 0 else "raised"
    if told.verdict in ("superior", "inferior"):
        return f"{action} {change} the error by {_size(value)}."
    if told.verdict == "equivalent":
        small = f"{action} made no difference that matters: less than {_size(told.rules.margin)} of error either way"
        if significant(told.p, told.effect, told.rules.alpha):
            return f"{small}, though it {change} the error by a measurable {_size(value)}."
        return small + "."
    anchors = len(paired.anchors)
    return f"{_question(paired, contrast)} remains open: this study of {anchors} anchors cannot say{_more(told)}."


def statement(told: Told) -> str:
    """The sentence for statisticians: estimate, interval, tests, sizes, margin, what could have been seen, failures."""
    paired, rules, p = told.paired, told.rules, told.p
    arms = paired.contrast.a, paired.contrast.b
    seeds = len(paired.seeds)
    holm = f"after Holm over {told.contrasts} contrast{'s' if told.contrasts != 1 else ''}"
    seen = (
        "no effect, however large, could have been seen"
        if told.smallest_seen is None
        else f"the smallest effect that could have been seen with {100 * rules.power:g} % power is "
        f"{told.smallest_seen:.2f}"
    )
    failed = ", ".join(f"{count} of {arm}" for count, arm in zip(paired.failures, arms, strict=True))
    return (
        f"{arms[0]} minus {arms[1]}: {told.effect.value:+.2f} {unit_of(paired)} ({100 * rules.confidence:g} % interval "
        f"{told.effect.low:+.2f} to {told.effect.high:+.2f}; {len(paired.anchors)} anchors, {seeds} "
        f"seed{'s' if seeds != 1 else ''} each); {told.test} test {_p(p.difference)}, {holm} "
        f"{_p(p.difference_holm)}; equivalence within ±{rules.margin:g} {_p(p.equivalence)}, {holm} "
        f"{_p(p.equivalence_holm)}; {seen}; failed trainings, counted with the error of guessing: {failed}: "
        f"{told.verdict}{_more(told)}."
    )


def significant(p: PValues, effect: Estimate, alpha: float) -> bool:
    """Is there a difference: does Holm's p stay below `alpha`, and the interval off zero?"""
    return p.difference_holm < alpha and not effect.low <= 0.0 <= effect.high


def too_many_failed(paired: Paired) -> bool:
    """Whether equivalence is out of the question for the trainings that failed."""
    return sum(paired.failures) > MOST_FAILED * 2 * paired.a.size


def notes_of(told: Told, with_images: bool) -> tuple[str, ...]:
    """What a reader must know beside the figures."""
    paired, rules, contrasts = told.paired, told.rules, told.contrasts
    anchors = len(paired.anchors)
    least = smallest_p(anchors, 1, rules.permutations)
    after = smallest_p(anchors, contrasts, rules.permutations)
    found = []
    if after >= rules.alpha:
        found.append(
            f"{anchors} anchors allow the sign-flip test no p below {least:.3g}, {after:.3g} after Holm over "
            f"{contrasts} contrasts: it can never reach {rules.alpha:g}; show a difference with more anchors or fewer "
            "contrasts."
        )
    if len(paired.seeds) == 1:
        found.append("With one seed, variance within anchors cannot be separated from that between them.")
    if paired.left_out:
        found.append(f"Left out, for they lack one of the arms: {', '.join(paired.left_out)}.")
    if sum(paired.failures):
        found.append(
            f"{sum(paired.failures)} of {2 * paired.a.size} trainings failed; they count with the error of guessing"
            + (", and as they are so many, equivalence is not judged." if too_many_failed(paired) else ".")
        )
    found += _cell_notes(told)
    if told.verdict == "equivalent":
        most = max(_most_that_fail(count, paired.a.size) for count in paired.failures)
        found.append(
            "Equivalence is that of trainings that do not fail: of failures so many trainings tell only that they are "
            f"rarer than {100 * most:.1f} % (95 % bound of an arm)."
        )
    if not with_images:
        found.append("Test images were not given: the interval is about this test set, not about images like these.")
    return tuple(found)


def _cell_notes(told: Told) -> list[str]:
    """What rates tuned once for several anchors mean for the interval."""
    cells, anchors = len(set(told.paired.cells)), len(told.paired.anchors)
    if cells == anchors:
        return []
    if cells == 1:
        return [
            "All anchors share the rates that were tuned: what their choice by chance adds cannot be seen, and is in "
            "neither test nor interval."
        ]
    return [
        f"Rates were tuned once in each of {cells} cells, which took different ones: test and interval are those over "
        f"cells, of {cells - 1} degrees of freedom before images."
    ]


def _most_that_fail(failed: int, trainings: int) -> float:
    """Upper end of the 95 % interval of a rate of failure (Clopper and Pearson 1934)."""
    from scipy import stats

    return float(stats.binomtest(failed, trainings).proportion_ci().high)


def _action(paired: Paired) -> str:
    contrast = paired.contrast
    if paired.kind == "equal cost":
        return f"At the same compute, choosing {contrast.a} rather than {contrast.b}"
    if paired.kind == "against the base":
        return f"Spending twice the compute on {contrast.b if paired.base == 'a' else contrast.a}"
    return f"Spending twice the compute on {contrast.a} rather than {contrast.b}"


def _question(paired: Paired, contrast: Contrast) -> str:
    if paired.kind == "equal cost":
        return f"Whether {contrast.a} or {contrast.b} is better at the same compute"
    if paired.kind == "against the base":
        return f"Whether twice the compute is well spent on {contrast.b if paired.base == 'a' else contrast.a}"
    return f"Whether twice the compute is better spent on {contrast.a} or on {contrast.b}"


def _more(told: Told) -> str:
    if told.verdict != "inconclusive":
        return ""
    if told.more_anchors is None:
        return ", and at the variance seen no number of anchors that could be trained would"
    where = ", in further cells," if told.known.cells else ""
    return f"; at the variance seen, about {told.more_anchors} more anchors{where} are needed"


def _size(points: float) -> str:
    return f"{abs(points):.2f} percentage points"


def _p(value: float) -> str:
    return f"p < {SMALLEST_SHOWN:g}" if value < SMALLEST_SHOWN else f"p = {value:.3f}"
