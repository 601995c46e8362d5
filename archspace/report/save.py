"""One figure as a file: a page that needs nothing else, or a picture."""

from __future__ import annotations

import os
from contextlib import suppress
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from archspace.errors import UserError

if TYPE_CHECKING:
    import plotly.graph_objects as go

SUFFIXES = (".html", ".svg", ".png")


def check_suffix(path: Path) -> None:
    """Raise UserError where a figure cannot be written as what the name of this file says."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: a picture is written as .html, .svg or .png; end the name in one of these")
    if path.suffix.lower() != ".html" and find_spec("kaleido") is None:
        raise UserError(
            f"{path}: SVG and PNG need kaleido, which is not installed: pip install archspace[static], or name an .html"
        )


def save_figure(figure: go.Figure, path: Path, title: str) -> None:
    """Write a figure, whole or not at all, as the suffix of `path` says; PNG at twice the pixels.

    Raises UserError where the file cannot be written, or kaleido, or the browser that it draws with, is missing.
    """
    check_suffix(path)
    write_whole(path, _page(figure, title) if path.suffix.lower() == ".html" else _picture(figure, path))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, its folder too; raises UserError where it cannot be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise UserError(f"{path}: cannot be written: {error.strerror}; name another file with -o") from None


def _page(figure: go.Figure, title: str) -> bytes:
    from archspace.report.html import PLOTLY_CONFIG

    body = figure.to_html(full_html=False, include_plotlyjs=True, config=PLOTLY_CONFIG)
    head = f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
    return f"{head}{body}\n</html>\n".encode()


def _picture(figure: go.Figure, path: Path) -> bytes:
    form = path.suffix.lower().removeprefix(".")
    try:
        return bytes(figure.to_image(format=form, scale=2 if form == "png" else 1))
    except RuntimeError as error:
        if "Chrome" not in str(error):
            raise
        raise UserError(f"{path}: kaleido draws with Chrome or Chromium and found neither: install one") from None
