"""What networks are trained on and how: options that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from archspace.training.recipe import Recipe

task_option = click.option("--task", default="digits", show_default=True, help="What networks are trained on.")
task_options_option = click.option(
    "--task-option", "task_options", multiple=True, metavar="KEY=VALUE", help="Of the task: size=64; may be repeated."
)
recipe_option = click.option(
    "--recipe", default="default", show_default=True, metavar="NAME|FILE",
    help="How they are trained: default, fast, standard, paper, or a YAML file.",
)  # fmt: skip
settings_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change the recipe: recipe.epochs=30; may be repeated.",
)


def whole_task(task: str, options: Iterable[str]) -> str:
    """A task and its options as one name."""
    from archspace.data.tasks import task_name

    try:
        return task_name(task, options)
    except ValueError:  # a quote that does not end: whoever loads the task says so
        return task


def changed_recipe(recipe: str, settings: Iterable[str]) -> Recipe:
    """A recipe by its name or file, with settings; raises UserError."""
    from archspace.training.recipe import with_settings
    from archspace.training.recipefile import load_recipe

    return with_settings(load_recipe(recipe), settings)
