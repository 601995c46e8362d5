"""What a study's results say: registered contrasts judged together, and what is looked at beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archspace.analysis.contrasts import Contrast
from archspace.analysis.findings import Analysis, Finding, Rules
from archspace.analysis.verdict import analyse
from archspace.study.file import Study
from archspace.study.results import Results, judged_images
from archspace.study.schema import StudyFile

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Findings:
    """The registered analysis, and an exploratory one: effects in each cost stratum and on val, without tests."""

    registered: Analysis
    exploratory: pd.DataFrame


def findings_of(study: Study, results: Results) -> Findings:
    """Judge the contrasts that were registered, and describe what was not; raises UserError."""
    contrasts, alpha = contrasts_of(study.file), study.file.alpha
    rules = Rules(margin=study.file.margin, alpha=alpha, confidence=1 - alpha, seed=study.file.seed)
    registered = analyse(results.finals, contrasts, rules, judged_images(results))
    return Findings(registered, _exploratory(results.finals, contrasts))


def contrasts_of(file: StudyFile) -> list[Contrast]:
    """The contrasts of a study, named after their arms."""
    return [Contrast(f"{contrast.a} - {contrast.b}", contrast.a, contrast.b) for contrast in file.contrasts]


def summary(study: Study, results: Results, findings: Findings) -> dict[str, Any]:
    """What `study report --json` prints: hashes, and each contrast's estimate, interval, p and verdict."""
    return {
        "study": study.name,
        "registered": study.registered,
        "results": results.content,
        "contrasts": [
            {
                "name": finding.contrast.name,
                "estimate": finding.effect.value,
                "interval": [finding.effect.low, finding.effect.high],
                "unit": finding.unit,
                "p": finding.p.difference_holm,
                "test": finding.test,
                "p_equivalence": finding.p.equivalence_holm,
                "verdict": finding.verdict,
                "anchors": len(finding.anchors),
                "seeds": len(finding.seeds),
                "failures": sum(finding.failures),
                "more_anchors": finding.more_anchors,
                "headline": finding.headline,
                "statement": finding.statement,
            }
            for finding in findings.registered.findings
        ],
    }


def lines(study: Study, results: Results, findings: Findings) -> list[str]:
    """The findings in words, for a terminal."""
    told = [study.file.question, f"registered {study.registered[:12]}, results {results.content[:12]}", ""]
    for finding in findings.registered.findings:
        told += [*_contrast_lines(finding), ""]
    edges = [f"{rate.arm} in {rate.cell} ({rate.rate:g})" for rate in results.rates if rate.edge]
    if edges:
        told.append(f"learning rates that end the grid, so that a better one may lie beyond: {', '.join(edges)}")
    if results.design.excluded:
        told.append(f"{len(results.design.excluded)} draws could not be matched and were replaced; see the report")
    return told


def _contrast_lines(finding: Finding) -> list[str]:
    effect = finding.effect
    return [
        f"{finding.contrast.name}: {finding.verdict.upper()}  {effect.value:+.2f} "
        f"[{effect.low:+.2f}, {effect.high:+.2f}] {finding.unit}, p = {finding.p.difference_holm:.3g} ({finding.test}, "
        "Holm)",
        f"  {finding.headline}",
        f"  {finding.statement}",
        *(f"  note: {note}" for note in finding.notes),
    ]


def _exploratory(finals: pd.DataFrame, contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """Mean effects, a minus b in percentage points: on test in each cost stratum, and on val over all anchors."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for column, split in (("error", "test"), ("val_error", "val")):
        means = finals.groupby(["anchor", "cell", "arm"])[column].mean().unstack("arm")
        for contrast in contrasts:
            difference = 100 * (means[contrast.a] - means[contrast.b])
            groups = difference.groupby(level="cell") if split == "test" else [("all anchors", difference)]
            for name, values in groups:
                row = {"contrast": contrast.name, "where": f"{name}, {split}"}
                rows.append(row | {"anchors": len(values), "effect": values.mean()})
    return pd.DataFrame(rows)
