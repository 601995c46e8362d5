"""Recipe files: YAML that a person can read, checked down to line and column."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from archspace.document import Document, Mistakes, read_file
from archspace.errors import UserError, did_you_mean
from archspace.training.recipe import Recipe, rungs_for

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
    path = Path(name)
    if path.is_file():
        return read_recipe(read_file(path))
    for folder in _shipped_folders():
        file = folder / (path.name if path.suffix else f"{path.name}.yaml")
        if path.name == str(name) and file.is_file():
            return read_recipe(read_file(file))
    known = (DEFAULT, *shipped_recipes())
    called = repr(str(name)) + did_you_mean(path.stem, known)
    raise UserError(
        f"recipe {called}: no such file, and no shipped recipe of that name; shipped are {', '.join(known)}"
    )


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with archspace, but for the default."""
    return tuple(sorted({path.stem for folder in _shipped_folders() for path in folder.glob("*.yaml")}))


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


def _shipped_folders() -> list[Path]:
    package = Path(__file__).parent.parent
    return [package / "recipes", package.parent / "recipes"]
