"""The tables of a report: what each cell shows, and what it sorts by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from archspace.measure.finalists import latency_text, read_finalists
from archspace.records.record import RunRecord
from archspace.report.describe import short, stage_lines
from archspace.units import UNITS, duration, percent, shape_text, si


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, its unit or where it holds, and how it is set and sorted."""

    heading: str
    note: str = ""
    kind: Literal["number", "text", "long"] = "number"


@dataclass(frozen=True)
class Cell:
    """What a cell shows and what it sorts by; `more` is the full text where `text` is cut."""

    text: str
    sort: str | float
    more: str = ""


def cost_figures(record: RunRecord) -> list[str]:
    """The costs that a run's tables show: the usual ones, and what its budget limits beside them."""
    return ["params", "macs", "flops", *(key for key in ("training_memory", "latency") if key in record.trials)]


def _cost_columns(record: RunRecord) -> list[Column]:
    where = f"at {shape_text(record.config.target_input)}"
    return [Column(key.replace("_", " "), where) for key in cost_figures(record)]


def front_columns(record: RunRecord) -> list[Column]:
    """Headings of the front's table; cost at the target."""
    return [
        Column("trial"),
        Column("name or id", kind="text"),
        Column("val error", "%"),
        Column("val cross-entropy", "nats"),
        *_cost_columns(record),
        *([Column("latency measured", "median, quartiles")] if record.config.latency else []),
        Column("layers"),
        Column("stages", "blocks, depths / widths", kind="long"),
    ]


def trial_columns(record: RunRecord) -> list[Column]:
    """Headings of the table of all trials; cost at the target."""
    return [
        Column("trial"),
        Column("name or id", kind="text"),
        Column("state", kind="text"),
        Column("reason", kind="long"),
        Column("epochs", f"of {record.config.recipe.epochs}"),
        Column("val error", "%"),
        *_cost_columns(record),
        Column("time", "training"),
    ]


def front_row(record: RunRecord, trial: Any) -> list[Cell]:
    """One row (of `itertuples`) of a front, in the order of `front_columns`."""
    return [
        Cell(str(trial.number), trial.number),
        _name_cell(trial),
        _number_cell(percent(trial.error), trial.error),
        Cell(f"{trial.cross_entropy:.4f}", trial.cross_entropy),
        *_cost_cells(record, trial),
        *([_measured_cell(record, trial.id)] if record.config.latency else []),
        Cell(str(trial.layers), trial.layers),
        Cell(short(trial.genome), short(trial.genome), "\n".join(stage_lines(trial.genome))),
    ]


def trial_row(record: RunRecord, trial: Any) -> list[Cell]:
    """One row (of `itertuples`) of RunRecord.trials, in the order of `trial_columns`."""
    return [
        Cell(str(trial.number), trial.number),
        _name_cell(trial),
        Cell(trial.state, trial.state),
        _cut(trial.reason),
        Cell(str(trial.epochs), trial.epochs),
        _number_cell(percent(trial.error), trial.error),
        *_cost_cells(record, trial),
        _number_cell(duration(trial.seconds), trial.seconds),
    ]


def _cost_cells(record: RunRecord, trial: Any) -> list[Cell]:
    return [Cell(si(getattr(trial, key), UNITS[key]), getattr(trial, key)) for key in cost_figures(record)]


def _measured_cell(record: RunRecord, id: str) -> Cell:
    """The measured latency of a finalist, or why there is none."""
    found = read_finalists(record.path).get(id)
    return Cell(latency_text(found), found.median if found and found.median else 1e300, found.reason if found else "")


def _name_cell(trial: Any) -> Cell:
    return Cell(trial.name or trial.id, trial.name or trial.id, f"genome {trial.id}" if trial.name else "")


def _number_cell(text: str, value: float) -> Cell:
    """Not-a-number sorts last."""
    return Cell(text, 1e300 if value != value else value)


def _cut(reason: str, length: int = 48) -> Cell:
    if len(reason) <= length and "\n" not in reason:
        return Cell(reason, reason)
    first = reason.splitlines()[0][: length - 1].rstrip()
    return Cell(f"{first}…", reason[:200], reason)
