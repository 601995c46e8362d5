"""A study's report: one HTML file that says what was registered, what was found, and what it rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archspace.analysis.findings import Finding
from archspace.report.html import filled
from archspace.report.save import save_figure, write_whole
from archspace.study.figures import FIGURES
from archspace.study.file import Study
from archspace.study.findings import Findings
from archspace.study.results import Results
from archspace.units import UNITS, percent, si

Table = tuple[list[str], list[list[str]]]


def write_page(study: Study, results: Results, findings: Findings, path: Path) -> None:
    """Write the report, whole or not at all; raises UserError where it cannot be written."""
    write_whole(path, html_of(study, results, findings).encode())


def write_pictures(study: Study, results: Results, findings: Findings, folder: Path) -> None:
    """Write every figure as an SVG into a folder; raises UserError where kaleido or its browser is missing."""
    for name, make in FIGURES.items():
        save_figure(make(study, results, findings), folder / f"{name}.svg", study.name)


def html_of(study: Study, results: Results, findings: Findings) -> str:
    """The page as text: scripts, styles and figures inlined, everything from files escaped."""
    return filled(
        "study.html",
        {name: make(study, results, findings) for name, make in FIGURES.items()},
        study=study.file,
        registered=study.registered,
        content=results.content,
        found=findings.registered.findings,
        facts=_facts(study, results),
        level=_level(study),
        contrasts=_contrasts(findings.registered.findings, _level(study)),
        exploratory=_exploratory(findings),
        anchors=_anchors(study, results),
        arms=_arms(study, results),
        rates=_rates(results),
        excluded=results.design.excluded,
        edges=[f"{rate.arm} in {rate.cell}" for rate in results.rates if rate.edge],
    )


def _facts(study: Study, results: Results) -> list[tuple[str, str]]:
    about, finals = results.about, results.finals
    modes = sorted({str(mode) for mode in about["modes"].values()})
    return [
        ("task", about["task"]["name"]),
        ("anchors", f"{len(results.design.anchors)}, scale {study.file.scale:g}"),
        ("seeds", f"{study.file.seeds}, and {study.file.rates.seeds} others for the rates"),
        ("trainings", f"{len(results.trainings)}, {int(finals['failed'].sum())} final ones diverged"),
        ("recipe", f"{study.file.recipe}, {study.recipe.epochs} epochs, batches of {study.recipe.batch}"),
        ("match", f"{study.file.match.measure}, within {100 * study.file.match.tolerance:g}%"),
        ("margin", f"{study.file.margin:g} percentage points"),
        ("machine", about["machine"]),
        ("computed", "; ".join(modes)),
        ("torch", about["versions"]["torch"]),
        ("begun", about["created"]),
    ]


def _level(study: Study) -> str:
    return f"{100 * (1 - study.file.alpha):g} %"


def _contrasts(found: tuple[Finding, ...], level: str) -> Table:
    headings = ["contrast", "verdict", "estimate", f"{level} interval", "p", "p, Holm", "p of equivalence, Holm"]
    headings += ["bootstrap interval", "interquartile mean", "P(better)", "mixed model", "smallest effect seen"]
    rows = []
    for one in found:
        effect, boot, mixed = one.effect, one.bootstrap, one.mixed
        rows.append(
            [
                one.contrast.name,
                one.verdict,
                f"{effect.value:+.2f}",
                f"{effect.low:+.2f} to {effect.high:+.2f}",
                f"{one.p.difference:.3g}",
                f"{one.p.difference_holm:.3g}",
                f"{one.p.equivalence_holm:.3g}",
                f"{boot.low:+.2f} to {boot.high:+.2f}",
                f"{one.middle.value:+.2f}",
                f"{one.better.value:.2f}",
                f"{mixed.estimate:+.2f} ({mixed.low:+.2f} to {mixed.high:+.2f})" if mixed else "–",
                "–" if one.smallest_seen is None else f"{one.smallest_seen:.2f}",
            ]
        )
    return headings, rows


def _exploratory(findings: Findings) -> Table:
    rows = [
        [str(row.contrast), str(row.where), str(row.anchors), f"{row.effect:+.2f}"]
        for row in findings.exploratory.itertuples()
    ]
    return ["contrast", "where", "anchors", "mean difference, percentage points"], rows


def _anchors(study: Study, results: Results) -> Table:
    measure = study.file.match.measure
    means: Any = results.finals.groupby(["anchor", "arm"])["error"].mean()
    arms = list(study.file.arms)
    rows = []
    for anchor in results.design.anchors:
        cells = []
        for arm in arms:
            ratio = anchor.arms[arm].cost / anchor.cost
            cells.append(f"{percent(float(means[anchor.name, arm]))} ({ratio:.2f}x)")
        rows.append([anchor.name, anchor.genome.id, si(anchor.cost, UNITS[measure]), *cells])
    return ["anchor", "genome", measure, *arms], rows


def _arms(study: Study, results: Results) -> Table:
    rows = []
    for name, arm in study.file.arms.items():
        changes = [f"{gene} = {value}" for gene, value in arm.set.items()]
        changes += [f"cost is spent on {arm.spend}"] if arm.spend else []
        changes += [f"{axis} may trim by {most:.0%}" for axis, most in arm.trim.items()]
        strains = [anchor.arms[name].strain for anchor in results.design.anchors]
        rows.append([name, "; ".join(changes) or "the anchor itself", f"{max(strains):.3f}"])
    return ["arm", "what it makes of an anchor", "most uneven move (rms of log)"], rows


def _rates(results: Results) -> Table:
    rates = sorted({rate for one in results.rates for rate in one.errors})
    rows = [
        [
            one.cell,
            one.arm,
            f"{one.rate:g}" + (" (edge)" if one.edge else ""),
            *(percent(one.errors[rate]) for rate in rates),
        ]
        for one in results.rates
    ]
    return ["cost stratum", "arm", "taken", *(f"{rate:g}" for rate in rates)], rows
