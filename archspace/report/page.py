"""The report: one HTML file that answers, shows and explains, and needs nothing else."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspace.analysis.front import front, hypervolume, winner
from archspace.records.config import RunConfig
from archspace.records.record import RunRecord
from archspace.report.describe import stage_lines
from archspace.report.figures import FIGURES
from archspace.report.front_figure import front_data
from archspace.report.html import filled
from archspace.report.save import write_whole
from archspace.report.style import STATES, at_target
from archspace.report.tables import front_columns, front_row, trial_columns, trial_row
from archspace.training.fastest import modes_text
from archspace.training.recipe import Recipe
from archspace.units import UNITS, duration, percent, shape_text, si

if TYPE_CHECKING:
    import pandas as pd


FURTHER = ("clip", "ema", "label_smoothing", "crop", "flip", "cutout", "mixup", "cutmix")
"""Of a recipe, what is told where it is switched on."""


def write_report(record: RunRecord, path: Path) -> Path:
    """Write the report of a run to `path`, whole or not at all; raises UserError if it cannot be written."""
    write_whole(path, report_html(record).encode())
    return path


def report_html(record: RunRecord) -> str:
    """The page as text: scripts, styles and figures inlined, everything from the run escaped."""
    figures = {name: make(record) for name, make in FIGURES.items()}
    return filled("run.html", figures, **page_data(record))


def page_data(record: RunRecord) -> dict[str, Any]:
    """Everything the template prints, as text or tables."""
    config, trials = record.config, record.trials
    ahead = front(trials, config.measure)
    best = None if ahead.empty else winner(ahead, config.measure)
    figure = front_data(record)
    area = hypervolume(trials, config.measure, config.cap, config.task.classes)
    return {
        "name": record.name,
        "headline": headline(record, best),
        "where": where_line(config),
        "facts": [
            *((state, str(int((trials["state"] == state).sum()))) for state in STATES),
            ("hypervolume, error x nats", f"{area:.3f}"),
            ("training, all trials", duration(float(trials["seconds"].fillna(0).sum()))),
        ],
        "reference_point": f"the error of guessing, {percent(1 - 1 / config.task.classes)}, and the budget, "
        f"{si(config.cap, UNITS[config.measure])}",
        "measure": config.measure,
        "views": {"all trials": list(figure.y), "complete trials": list(figure.y_complete)},
        "target": at_target(record),
        "winner": None if best is None else stage_lines(str(best["genome"])),
        "winner_name": "" if best is None else _called(best),
        "winner_genome": "" if best is None else str(best["genome"]),
        "front": (front_columns(record), [front_row(record, trial) for trial in ahead.itertuples()]),
        "trials": (trial_columns(record), [trial_row(record, trial) for trial in trials.itertuples()]),
        "settings": settings(config),
        "space": _yaml(config.space),
        "space_name": config.space_name,
    }


def headline(record: RunRecord, best: pd.Series | None) -> str:
    """The answer in one sentence: the winner with its val error and its cost at the target, or why there is none."""
    config, trials = record.config, record.trials
    budget = " and ".join(config.budget)
    count = f"{len(trials)} trial{'' if len(trials) == 1 else 's'}"
    if trials.empty:
        return f"No trial within {budget} has started."
    if best is None:
        counts = [f"{int((trials['state'] == state).sum())} {state}" for state in STATES if state != "complete"]
        return f"No winner yet: of {count} within {budget}, none has finished the top rung ({', '.join(counts)})."
    keys = dict.fromkeys((config.measure, "flops", "params"))
    costs = ", ".join(si(float(best[key]), UNITS[key]).replace(" ", "\u00a0") for key in keys)
    chosen = "the only trial" if len(trials) == 1 else f"the best of {count}"
    return (
        f"{_called(best)} reaches {percent(float(best['error']))} val error with {costs} "
        f"(at {at_target(record)}), {chosen} within {budget}."
    )


def where_line(config: RunConfig) -> str:
    """Target and task in one line: where cost is counted, and on what networks were trained."""
    target = f"{shape_text(config.target_input)} with {config.target_classes} classes"
    task = f"{shape_text(config.task.input)} with {config.task.classes} classes"
    if target == task:
        return f"Cost is counted, and networks were trained on {config.task.name}, at {target}."
    return f"Cost is counted at {target}; networks were trained on {config.task.name} at {task}."


def settings(config: RunConfig) -> list[tuple[str, list[tuple[str, str]]]]:
    """How the run was made, in groups of names and values."""
    recipe = config.recipe
    run = [
        ("space", config.space_name),
        ("budget", ", ".join(config.budget)),
        ("cost objective", f"{config.measure}, at most {si(config.cap, UNITS[config.measure])}"),
        ("target", f"{shape_text(config.target_input)}, {config.target_classes} classes"),
        ("task", f"{config.task.name}, {shape_text(config.task.input)}, {config.task.classes} classes"),
        ("trials asked for", str(config.trials)),
        ("time limit", duration(config.seconds)),
        ("seed", str(config.seed)),
        ("enqueued", ", ".join(name for name, _ in config.enqueue) or "none"),
    ]
    schedule: str = recipe.schedule
    if recipe.schedule == "steps":
        schedule += f" at {', '.join(f'{share:g}' for share in recipe.milestones)} of all"
    how = [
        ("optimiser", f"SGD with {'Nesterov ' * recipe.nesterov}momentum {recipe.momentum:g}"),
        ("schedule", schedule),
        ("epochs", str(recipe.epochs)),
        ("rungs", f"after {', '.join(str(rung) for rung in recipe.rungs)} epochs"),
        ("batch", f"{recipe.batch} images"),
        ("peak learning rate", f"{recipe.peak:g}"),
        ("warm-up", f"{recipe.warmup:g} epochs"),
        ("weight decay", f"{recipe.weight_decay:g}" + ", norms and biases too" * recipe.decay_all),
        *((name.replace("_", " "), _plainly(value)) for name, value in _further(recipe)),
        ("computed", modes_text(config.modes) if config.modes else recipe.precision),
    ]
    where = [
        ("created", config.created.replace("T", " ")),
        ("machine", config.machine),
        ("device", config.device),
        ("trials at a time", str(config.concurrency)),
        ("GPUs per trial", f"{config.gpus_per_trial:g}"),
        *config.versions.items(),
    ]
    return [("Run", run), ("Recipe", how), ("Machine and versions", where)]


def _further(recipe: Recipe) -> Iterator[tuple[str, Any]]:
    """What else of a recipe is switched on."""
    for name in FURTHER:
        value = getattr(recipe, name)
        if value:
            yield name, value


def _plainly(value: Any) -> str:
    return "yes" if value is True else f"{value:g}" if isinstance(value, float) else str(value)


def _called(trial: Any) -> str:
    return f"{trial['name']} ({trial['id']})" if trial["name"] else str(trial["id"])


def _yaml(data: dict[str, Any]) -> str:
    from ruamel.yaml import YAML

    text = io.StringIO()
    YAML().dump(data, text)
    return text.getvalue()
