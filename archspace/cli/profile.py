"""`archspace profile`: latency, throughput and training memory as measured on this device."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

import click

from archspace.cli.calibration import error_text, errors_of, refused_text, run_calibration, tell
from archspace.cli.output import json_option, print_json, print_table, runs_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archspace.blueprint import Blueprint
    from archspace.closed_form import Cost
    from archspace.lookup import Found
    from archspace.measure.calibration import LatencyModel
    from archspace.measure.latency import Setting, Timing


@click.command(short_help="Measure latency, throughput and peak training memory.")
@click.argument("genome", required=False)
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda|cuda:N", help="What computes.")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Images in a forward pass.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads.")
@click.option("--dtype", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True, help="Of all numbers.")
@click.option(
    "--layout",
    type=click.Choice(["contiguous", "channels_last"]),
    default="contiguous",
    show_default=True,
    help="Order of images and weights in memory.",
)
@click.option("--size", type=click.IntRange(min=1), help="Input height and width [the published ones, else 224].")
@click.option("--classes", type=click.IntRange(min=2), help="Classes [the published ones, else 1000].")
@click.option(
    "--noise",
    type=click.FloatRange(min=0, min_open=True),
    default=0.1,
    show_default=True,
    help="What is noisier is measured again: quartiles may lie this share of the median apart, and this share of a "
    "core may be missing.",
)
@click.option("--training-batch", type=click.IntRange(min=2), help="Images in a training step [the recipe's 32].")
@click.option("--calibrate", is_flag=True, help="Fit t = a + b x macs + c x acts for this device; takes minutes.")
@click.option("--networks", type=click.IntRange(min=8), help="Networks measured to calibrate [45].")
@runs_option
@json_option
def profile(
    genome: str | None,
    device: str,
    batch: int,
    threads: int,
    dtype: Literal["fp32", "bf16"],
    layout: Literal["contiguous", "channels_last"],
    size: int | None,
    classes: int | None,
    noise: float,
    training_batch: int | None,
    calibrate: bool,
    networks: int | None,
    runs: str | None,
    as_json: bool,
) -> None:
    """Measure the latency, throughput and peak training memory of GENOME, or calibrate this device."""
    from archspace.api import runs_folder
    from archspace.lookup import find_genome

    setting = _setting(device, threads, batch, dtype, layout)
    if calibrate:
        if genome is not None or training_batch is not None:
            raise click.UsageError("--calibrate measures networks of its own: leave out GENOME and --training-batch")
        run_calibration(setting, size, classes, networks, noise, as_json)
        return
    if genome is None or networks is not None:
        raise click.UsageError(
            "name a GENOME to profile, or --calibrate" if genome is None else "--networks belongs to --calibrate"
        )
    found = find_genome(genome, runs_folder(runs))
    data = _profiled(found, size, classes, setting, noise, training_batch)
    if as_json:
        print_json(data)
    else:
        _print(data, setting)


def _setting(
    device: str,
    threads: int,
    batch: int,
    dtype: Literal["fp32", "bf16"],
    layout: Literal["contiguous", "channels_last"],
) -> Setting:
    """The setting that the options name; raises UserError where this machine has no such device or threads."""
    from archspace.errors import UserError
    from archspace.measure.latency import Setting, device_name
    from archspace.searching.machine import cores
    from archspace.training.device import has_bf16

    device_name(device)
    if threads > cores():
        raise UserError(f"--threads {threads}: this process may use {cores()} cores")
    if dtype == "bf16" and not has_bf16(device.partition(":")[0]):
        tell("this device has no bfloat16 arithmetic: it is emulated, and slower than fp32")
    return Setting(device, threads, batch, dtype, layout)


def _profiled(
    found: Found, size: int | None, classes: int | None, setting: Setting, noise: float, training_batch: int | None
) -> dict[str, Any]:
    """Everything measured and predicted of a genome, as plain data: seconds, images per second, bytes."""
    import torch

    from archspace.blueprint import draw
    from archspace.closed_form import cost
    from archspace.measure.calibration import find_model, model_path
    from archspace.measure.latency import device_name, measure_latency
    from archspace.network import build

    channels, height, width = found.input
    blueprint = draw(found.genome, (channels, size or height, size or width), classes or found.classes)
    costs = cost(blueprint)
    model = find_model(setting) if model_path(setting).is_file() else None  # a broken file is told before minutes pass
    tell(f"{found.name}: timing the forward pass ({setting})")
    timing = measure_latency(build(blueprint, torch.Generator().manual_seed(0)), costs.input, setting, noise)
    return {
        "id": found.genome.id,
        "name": found.name,
        "machine": device_name(setting.device),
        "setting": dataclasses.asdict(setting),
        "input": list(costs.input),
        "classes": costs.classes,
        "latency": dataclasses.asdict(timing),
        "throughput": {name: setting.batch / seconds for name, seconds in _slowest_first(timing)},
        "predicted": _predicted(model, costs),
        "training_memory": _training_memory(blueprint, costs, training_batch, setting),
    }


def _slowest_first(timing: Timing) -> Iterator[tuple[str, float]]:
    """The seconds behind each figure of throughput: its lower quartile is that of the slower passes."""
    yield from (("median", timing.median), ("low", timing.high), ("high", timing.low))


def _predicted(model: LatencyModel | None, costs: Cost) -> dict[str, Any] | None:
    if model is None:
        return None
    return {
        "latency": model.predict(costs.macs, costs.acts),
        "covered": model.covers(costs.macs, costs.acts),
        "input": list(model.input),
        "networks": model.n,
        "errors": errors_of(model),
        "versions": dict(model.versions),
    }


def _training_memory(blueprint: Blueprint, costs: Cost, batch: int | None, setting: Setting) -> dict[str, Any]:
    """Peak bytes of a training step; raises RunFailed where a GPU has fewer."""
    import torch

    from archspace.errors import RunFailed
    from archspace.measure.memory import peak_training_bytes
    from archspace.memory import training_memory
    from archspace.training.recipe import Recipe
    from archspace.units import si

    batch = batch or Recipe().batch
    predicted = training_memory(costs, batch, setting.device)
    tell(f"measuring the peak memory of training on {batch} images")
    try:
        # On a CPU tensors are counted, which are as many and as large where nothing is computed: no long wait, no
        # machine that runs out of memory.
        measured = peak_training_bytes(blueprint, batch, "meta" if setting.device == "cpu" else setting.device)
    except torch.OutOfMemoryError:
        raise RunFailed(
            f"training on {batch} images takes about {si(predicted, 'B')}, more than {setting.device} has free; take "
            "a smaller --training-batch"
        ) from None
    return {"batch": batch, "measured": measured, "predicted": predicted}


def _print(data: dict[str, Any], setting: Setting) -> None:
    """One table, and below it how far its figures go."""
    from archspace.units import shape_text, si

    times, rates, memory, predicted = (data[key] for key in ("latency", "throughput", "training_memory", "predicted"))
    rows = [
        (
            "latency of a batch",
            si(times["median"], "s"),
            f"{si(times['low'], 's')} to {si(times['high'], 's')}",
            si(predicted["latency"], "s") if predicted else "",
        ),
        (
            "throughput",
            _rate(rates["median"]),
            f"{_rate(rates['low'])} to {_rate(rates['high'])}",
            _rate(setting.batch / predicted["latency"]) if predicted else "",
        ),
        (
            f"peak of tensors, training on {memory['batch']} images",
            si(memory["measured"], "B"),
            "",
            si(memory["predicted"], "B"),
        ),
    ]
    where = f"{shape_text(tuple(data['input']))}, {data['classes']} classes, on {data['machine']}"
    print_table(f"{data['name']} at {where}: {setting}", ("", "measured", "quartiles", "predicted"), rows)
    click.echo(f"latency: {times['n']} values, {times['share']:.0%} of a core{refused_text(times['refused'])}")
    if predicted is None:
        again = f"`archspace profile --calibrate{setting.options()}`"
        tell(f"latency is not predicted: no calibration of this device yet, {again} makes one")
    else:
        click.echo(_calibration_line(predicted))


def _calibration_line(predicted: dict[str, Any]) -> str:
    """What a predicted latency is worth."""
    from archspace.searching.machine import versions
    from archspace.units import shape_text

    where = shape_text(tuple(predicted["input"]))
    line = f"predicted latency: calibrated with {predicted['networks']} networks at {where}, "
    line += f"error of those left out {error_text(predicted['errors'])}"
    line += "" if predicted["covered"] else "; macs or acts of this network are outside their range"
    theirs, ours = predicted["versions"].get("torch"), versions()["torch"]
    return line + ("" if theirs == ours else f"; made with torch {theirs}, this is {ours}")


def _rate(images: float) -> str:
    """Images per second; less than one without a prefix, for there are no milliimages."""
    from archspace.units import si

    return si(images, "images/s") if images >= 1 else f"{images:.3g} images/s"
