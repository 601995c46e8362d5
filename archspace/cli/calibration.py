"""Calibrating a device from the command line: progress, the fit, how far off it is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from archspace.cli.output import print_json, print_table

if TYPE_CHECKING:
    from archspace.calibrate import Measured
    from archspace.measure.calibration import LatencyModel
    from archspace.measure.latency import Setting, Timing


def run_calibration(
    setting: Setting, size: int | None, classes: int | None, networks: int | None, noise: float, as_json: bool
) -> None:
    """Calibrate the device for a setting, keep the model in the cache, print it."""
    from time import monotonic

    from archspace.calibrate import NETWORKS, calibrate
    from archspace.lookup import TARGET
    from archspace.measure.calibration import save_model
    from archspace.units import duration, shape_text

    began = monotonic()
    (channels, height, width), target_classes = TARGET
    shape, classes = (channels, size or height, size or width), classes or target_classes
    tell(f"calibrating for {setting}, at {shape_text(shape)}, {classes} classes")
    model = calibrate(setting, shape, classes, networks or NETWORKS, noise, _progress)
    path = save_model(model)
    tell(f"calibrated in {duration(monotonic() - began)}")
    if as_json:
        print_json({"path": str(path), "errors": errors_of(model), "model": dataclasses.asdict(model)})
        return
    _print_model(model)
    click.echo(f"calibration: {path}")


def errors_of(model: LatencyModel) -> dict[str, float]:
    """The sizes of the leave-one-out errors in three figures, shares of what was measured."""
    return {"median": model.median_error, "p90": model.p90_error, "max": model.max_error}


def error_text(errors: dict[str, float]) -> str:
    """These three figures in words."""
    return f"median {errors['median']:.1%}, 90 % within {errors['p90']:.1%}, at most {errors['max']:.1%}"


def refused_text(refused: int) -> str:
    """How many measurements were refused before the one that counts; empty for none."""
    return f" ({refused} noisier measurement{'s' * (refused > 1)} refused)" if refused else ""


def tell(message: str) -> None:
    """Say what goes on, on stderr."""
    click.echo(message, err=True)


def _progress(news: Measured) -> None:
    from archspace.measure.latency import noise_text
    from archspace.units import si

    costs, timing = news.chosen.candidate.cost, news.timing
    told = f"too noisy: {noise_text(timing)}" if news.refused else _timing_text(timing)
    tell(f"{news.number:>3}/{news.total}  {news.chosen.space:<16} {si(costs.flops, 'FLOPs'):>12}  {told}")


def _print_model(model: LatencyModel) -> None:
    """The fit, how far off it is, and for whose networks most."""
    from statistics import median

    from archspace.units import shape_text, si

    where = f"{shape_text(model.input)}, {model.classes} classes"
    click.echo(f"{model.machine}: {model.setting}; {model.n} networks at {where}")
    terms = f"{si(1e9 * model.b, 's')} per GMAC + {si(1e6 * model.c, 's')} per Mact"
    click.echo(f"latency of a batch = {si(model.a, 's')} + {terms} (of one image)")
    click.echo(f"error of networks left out of the fit: {error_text(errors_of(model))}")
    rows = [
        (space, str(len(errors)), f"{median(errors):+.0%}", f"{max(map(abs, errors)):.0%}")
        for space, errors in sorted(model.errors_by_space().items())
    ]
    print_table("", ("space", "networks", "median of predicted / measured - 1", "greatest error"), rows)


def _timing_text(timing: Timing) -> str:
    from archspace.units import si

    half = (timing.high - timing.low) / timing.median / 2
    return f"{si(timing.median, 's'):>8} ± {half:.1%}{refused_text(timing.refused)}"
