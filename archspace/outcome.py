"""What a run leaves: its front, its winner as source with weights, its report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from archspace.analysis.front import front, hypervolume, winner
from archspace.closed_form import Cost, cost
from archspace.errors import UserError
from archspace.measure.finalists import read_finalists
from archspace.records.record import RunRecord
from archspace.records.view import read_run

if TYPE_CHECKING:
    import pandas as pd

    from archspace.export import Exported

REPORT, SOURCE = "report.html", "winner.py"
FIGURES = ("params", "macs", "flops")


@dataclass(frozen=True)
class Outcome:
    """A run's result: `front` by rising cost, `winner` a row of it or None, `trained` the winner's cost at the task.

    `hypervolume` is of error and ln cost (error x nats). `report` and `source` are None where not written yet;
    `interrupted` says that the run was stopped from outside.
    """

    record: RunRecord
    front: pd.DataFrame
    winner: pd.Series | None
    trained: Cost | None
    hypervolume: float
    report: Path | None
    source: Path | None
    interrupted: bool = False


def read_outcome(folder: Path, interrupted: bool = False) -> Outcome:
    """The result of the run in `folder` as it stands; raises UserError where there is no run."""
    record = read_run(folder)
    config = record.config
    best_first = front(record.trials, config.measure)
    best = None if best_first.empty else winner(best_first, config.measure)
    area = hypervolume(record.trials, config.measure, config.cap, config.task.classes)
    report, source = folder / REPORT, folder / SOURCE
    return Outcome(
        record=record,
        front=best_first,
        winner=best,
        trained=None if best is None else _cost_at_task(record, str(best["genome"])),
        hypervolume=area,
        report=report if report.is_file() else None,
        source=source if source.is_file() else None,
        interrupted=interrupted,
    )


def finish(folder: Path, interrupted: bool = False, tell: Callable[[str], None] | None = None) -> Outcome:
    """Write the report, then the winner's proven source, and give the result; raises RunFailed if a proof fails.

    Where the budget limits latency, that of the front is measured first; `tell` hears of it.
    """
    from archspace.report.page import write_report

    outcome = read_outcome(folder, interrupted)
    if not interrupted:
        _measure_front(outcome, tell or _silent)
    write_report(outcome.record, folder / REPORT)
    if outcome.winner is not None:
        export_trial(outcome.record, outcome.winner, "python", folder / SOURCE)
    return read_outcome(folder, interrupted)


def _measure_front(outcome: Outcome, tell: Callable[[str], None]) -> None:
    """Put the predicted latency of a front to the test."""
    from archspace.genomefile import genome_from_data
    from archspace.measure.finalists import measure_finalists
    from archspace.measure.latency import Setting

    config, law = outcome.record.config, outcome.record.config.latency
    if law is None or outcome.front.empty:
        return
    genomes = {str(row["id"]): genome_from_data(json.loads(str(row["genome"]))) for _, row in outcome.front.iterrows()}
    setting = TypeAdapter(Setting).validate_python(
        {name: getattr(law, name) for name in ("device", "threads", "batch", "dtype", "layout")}
    )
    measure_finalists(
        genomes, config.target_input, config.target_classes, setting, law.machine, outcome.record.path, tell
    )


def _silent(message: str) -> None:
    """Nobody listens."""


def export_trial(record: RunRecord, trial: pd.Series, form: str, path: Path) -> Exported:
    """Export a trial's trained network; raises UserError where it has no weights, RunFailed if the proof fails."""
    from archspace.blueprint import draw
    from archspace.closed_form import cost_of
    from archspace.export import FORMATS, Facts
    from archspace.genomefile import genome_from_data
    from archspace.training.checkpoint import load_checkpoint

    config = record.config
    checkpoint = load_checkpoint(record.path / "trials" / str(trial["number"]))
    if checkpoint is None:
        raise UserError(f"trial {trial['number']} of run {record.name!r} has no weights to export")
    measured = _measured(record, trial, checkpoint.epoch)
    notes = [f"Trained for {checkpoint.epoch} epochs."]
    if measured is not trial and trial["state"] != "unfinished":
        notes.append(f"Weights after epoch {trial['epochs']} cannot be read: these are those before, with their error.")
    genome = genome_from_data(json.loads(str(trial["genome"])))
    blueprint = draw(genome, config.task.input, config.task.classes)
    name = f"Trial {trial['number']} of run {record.name}"
    facts = Facts(
        name=f"{name} ({trial['name']})" if trial["name"] else name,
        genome=genome,
        target=cost_of(genome, config.target_input, config.target_classes),
        trained=cost(blueprint),
        task=config.task.name,
        error=float(measured["error"]),
        cross_entropy=float(measured["cross_entropy"]),
        seed=int(trial["seed"]),
        versions=config.versions,
        notes=(*notes, *config.task.scaling),
    )
    return FORMATS[form](blueprint, checkpoint.weights, facts, path)


def _measured(record: RunRecord, trial: pd.Series, epoch: int) -> pd.Series:
    """What was measured of a trial's weights of an epoch: the trial itself for its last; raises UserError if lost."""
    if epoch == trial["epochs"]:
        return trial
    curves = record.curves
    found = curves[(curves["number"] == trial["number"]) & (curves["epoch"] == epoch)]
    if found.empty:
        raise UserError(f"trial {trial['number']} of run {record.name!r}: its metrics.jsonl lacks epoch {epoch}")
    last: pd.Series = found.iloc[-1]
    return last


def summary(outcome: Outcome) -> dict[str, Any]:
    """The result as plain data, as `search --json` and `show RUN --json` print it; error is a fraction."""
    trials = outcome.record.trials
    best, trained = outcome.winner, outcome.trained
    return {
        "run": outcome.record.name,
        "path": str(outcome.record.path),
        "trials": len(trials),
        "complete": int((trials["state"] == "complete").sum()),
        "failed": int((trials["state"] == "failed").sum()),
        "front": [_figures(outcome, trial, ("flops", "params")) for _, trial in outcome.front.iterrows()],
        "winner": None
        if best is None or trained is None
        else _figures(outcome, best, ("params", "macs", "flops"))
        | {
            "trained": {"input": list(trained.input), "classes": trained.classes}
            | {figure: getattr(trained, figure) for figure in FIGURES}
        },
        "hypervolume": outcome.hypervolume,
        "report": str(outcome.report) if outcome.report else None,
        "source": str(outcome.source) if outcome.source else None,
    }


def _figures(outcome: Outcome, trial: pd.Series, figures: tuple[str, ...]) -> dict[str, Any]:
    told = {"id": str(trial["id"]), "error": float(trial["error"])} | {name: int(trial[name]) for name in figures}
    told |= {name: float(trial[name]) for name in ("training_memory", "latency") if name in trial}
    measured = read_finalists(outcome.record.path).get(str(trial["id"]))
    return told | ({"latency_measured": asdict(measured)} if measured else {})


def _cost_at_task(record: RunRecord, genome: str) -> Cost:
    from archspace.closed_form import cost_of
    from archspace.genomefile import genome_from_data

    return cost_of(genome_from_data(json.loads(genome)), record.config.task.input, record.config.task.classes)
