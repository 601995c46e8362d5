"""`archspace train` and `archspace evaluate`: one network, outside a search."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from archspace.cli.options import recipe_option, settings_option, task_option, task_options_option, whole_task
from archspace.cli.output import INTERRUPTED, SEED, json_option, print_json, runs_option

if TYPE_CHECKING:
    from archspace.records.training import TrainingConfig
    from archspace.trained import Trained


@click.command(short_help="Train one network, outside a search.")
@click.argument("genome")
@task_option
@task_options_option
@recipe_option
@settings_option
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of everything random.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="What computes [cuda where there is a GPU].")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [all cores].")
@click.option(
    "-o", "--output", type=click.Path(), metavar="FOLDER", help="Where it is kept [trained/GENOME-TASK-RECIPE-seedS]."
)
@runs_option
@json_option
def train(
    genome: str,
    task: str,
    task_options: tuple[str, ...],
    recipe: str,
    settings: tuple[str, ...],
    seed: int,
    device: str | None,
    threads: int | None,
    output: str | None,
    runs: str | None,
    as_json: bool,
) -> None:
    """Train GENOME on a task and keep network, curve and configuration in a folder.

    Ctrl-C ends it cleanly; the same command again goes on from the last epoch, to the same bits.
    """
    from archspace import solo
    from archspace.cli.bar import Bar

    with Bar(quiet=solo.TRAINING) as bar:
        try:
            trained = solo.train(
                genome,
                whole_task(task, task_options),
                recipe=recipe,
                settings=settings,
                seed=seed,
                folder=output,
                device=device,
                threads=threads,
                runs=runs,
                told=bar.tell,
                progress=bar.show,
            )
        except KeyboardInterrupt:
            at = f" in epoch {bar.number + 1} of {bar.of}" if bar.last.startswith(solo.TRAINING) else ""
            bar.tell(f"interrupted{at}; the same command again goes on with it")
            click.get_current_context().exit(INTERRUPTED)
    if as_json:
        print_json(_data(trained))
    else:
        _print(trained)


@click.command(short_help="Measure a trained network on val or test images.")
@click.argument("folder")
@click.option("--split", type=click.Choice(["val", "test"]), default="test", show_default=True, help="Which images.")
@json_option
def evaluate(folder: str, split: Literal["val", "test"], as_json: bool) -> None:
    """Measure the network that `archspace train` left in FOLDER."""
    from archspace import trained
    from archspace.cli.bar import Bar
    from archspace.units import percent

    with Bar() as bar:
        measured = trained.evaluate(folder, split, progress=bar.show)
    config, epochs = measured.config, measured.epochs
    wanted = config.recipe.epochs
    if epochs < wanted:
        click.echo(f"{folder}: not done: {epochs} of {wanted} epochs", err=True)
    if as_json:
        figures = {name: getattr(measured, name) for name in ("split", "images", "error", "interval", "cross_entropy")}
        print_json(_about(folder, config) | {"epochs": epochs} | figures)
        return
    click.echo(f"{config.name} on {config.task.name} after {epochs} epoch{'s' * (epochs > 1)}")
    low, high = measured.interval
    click.echo(
        f"{split} error {percent(measured.error)} of {measured.images:,} images, 95 % interval {percent(low)} to "
        f"{percent(high)}; cross-entropy {measured.cross_entropy:.4f}"
    )


def _about(folder: str | Path, config: TrainingConfig) -> dict[str, Any]:
    """What a training is of, as plain data."""
    return {
        "folder": str(folder),
        "name": config.name,
        "id": config.id,
        "task": config.task.name,
        "recipe": config.recipe_name,
        "settings": list(config.settings),
        "seed": config.seed,
    }


def _data(trained: Trained) -> dict[str, Any]:
    """A training's result as plain data; errors are fractions."""
    config = trained.config
    return _about(trained.folder, config) | {
        "mode": str(config.mode),
        "threads": config.threads,
        "epochs": trained.epochs,
        "images": config.images["val"],
        "error": trained.error,
        "interval": trained.interval,
        "cross_entropy": trained.cross_entropy,
        "seconds": float(trained.curve["seconds"].sum()),
        "training_flops": trained.training_flops,
        "curve": trained.curve.to_dict("records"),
    }


def _print(trained: Trained) -> None:
    """The curve, the result, and what to do next."""
    import shlex

    from rich.console import Console

    from archspace.cli.curve import curve_lines
    from archspace.units import duration, percent

    console = Console(highlight=False, markup=False, emoji=False)
    curve, unicode = trained.curve, (sys.stdout.encoding or "").lower().startswith("utf")
    lines = curve_lines(curve["epoch"].tolist(), curve["error"].tolist(), console.width, unicode)
    if lines:
        click.echo("val error")
        for line in lines:  # click drops the colour where stdout is no terminal
            click.echo(line if console.no_color else click.style(line, fg="cyan"))
    low, high = trained.interval
    click.echo(
        f"val error {percent(trained.error)} of {trained.config.images['val']:,} images, 95 % interval {percent(low)} "
        f"to {percent(high)}; cross-entropy {trained.cross_entropy:.4f}; {duration(float(curve['seconds'].sum()))}"
    )
    click.echo(f"kept in {trained.folder}; `archspace evaluate {shlex.quote(str(trained.folder))}` measures it on test")
