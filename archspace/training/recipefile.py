"""Recipe files: YAML that a person can read, checked down to line and column."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from archspace.document import Document, Mistakes, read_file
from archspace.shipped import find_file, shipped_names
from archspace.training.recipe import Recipe, rungs_for

FOLDER = "recipes"
DEFAULT = "default"
"""The name of the recipe that stands in no file."""


class _RecipeFile(Recipe):
    """A recipe with a name and a few words about it; its rungs follow from its epochs where they are left out."""

    name: str = Field(default="", exclude=True)
    about: str = Field(default="", exclude=True)


def load_recipe(name: str | Path) -> Recipe:
    """The recipe in a file, or the shipped one of this name, with or without `.yaml`; raises UserError."""
    if str(name) == DEFAULT:
        return Recipe()
    return read_recipe(read_file(find_file("recipe", name, FOLDER, besides=(DEFAULT,))))


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with archspace, but for the default."""
    return shipped_names(FOLDER)


def read_recipe(document: Document) -> Recipe:
    """The recipe that a document holds; raises UserError with every mistake at its place."""
    data = document.data
    if isinstance(data, dict) and "rungs" not in data and type(data.get("epochs")) is int and data["epochs"] >= 1:
        rungs = list(rungs_for(data["epochs"], data.get("warmup", Recipe().warmup)))
        document = Document(document.source, {**data, "rungs": rungs}, document.places)
    mistakes = Mistakes(document)
    read = mistakes.check(_RecipeFile)
    mistakes.raise_if_any()
    assert read is not None
    return Recipe.model_validate(read.model_dump())
