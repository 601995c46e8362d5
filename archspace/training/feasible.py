"""Whether a recipe can be followed with these images on this machine."""

from __future__ import annotations

import os
import shutil

from archspace.errors import UserError
from archspace.genome import Shape
from archspace.training.device import choose_device
from archspace.training.recipe import Recipe
from archspace.units import shape_text


def check_recipe(recipe: Recipe, input: Shape, device: str | None = None) -> None:
    """Raise UserError where a recipe cannot be followed on `device`, the usual one if None.

    Images of (channels, height, width) may be too small to be mirrored at their edges or cut, and what compiles
    networks for a CPU writes C++.
    """
    for name, pixels in (("crop", recipe.crop), ("cutout", recipe.cutout)):
        if pixels >= min(input[1:]):
            raise UserError(f"recipe.{name} of {pixels} pixels is as large as the images of {shape_text(input)}")
    if recipe.compile == "on" and (device or choose_device()) == "cpu":
        compiler = os.environ.get("CXX") or "g++"  # as torch looks for one
        if not shutil.which(compiler):
            raise UserError(
                f"recipe.compile=on needs a C++ compiler on a CPU, and {compiler} is not found: install it,"
                " name another in the variable CXX, or leave compile off"
            )
