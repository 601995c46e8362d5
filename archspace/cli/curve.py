"""A curve as text: dots on a grid of characters."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from archspace.units import percent

ROWS = 8
LABEL = 8
"""Columns that stand left of the axis."""
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of the dots of a Braille character, row by row."""
BRAILLE = 0x2800

Dots = set[tuple[int, int]]


def curve_lines(epochs: Sequence[int], shares: Sequence[float], width: int, unicode: bool = True) -> list[str]:
    """Fractions, one for each epoch, against epochs, within `width` columns; nothing where there are fewer than two.

    Braille dots, two by four to a character, or stars where the terminal has ASCII alone.
    """
    if len(epochs) < 2 or width < LABEL + 12:
        return []
    columns = min(width - LABEL - 1, 100)
    across, down = (2, 4) if unicode else (1, 1)
    low, high = min(shares), max(shares)
    dots = set(_line(epochs, shares, columns * across, ROWS * down))
    rows = [_row(dots, row, columns, unicode) for row in range(ROWS)]
    wall, corner, floor = ("┤", "└", "─") if unicode else ("|", "+", "-")
    labels = {0: percent(high), ROWS - 1: percent(low)} if high > low else {ROWS // 2: percent(low)}
    lines = [f"{labels.get(row, ''):>{LABEL}}{wall}{text}".rstrip() for row, text in enumerate(rows)]
    lines.append(" " * LABEL + corner + floor * columns)
    first, last = str(epochs[0]), f"epoch {epochs[-1]}"
    return [*lines, " " * (LABEL + 1) + first + last.rjust(columns - len(first))]


def _line(epochs: Sequence[int], shares: Sequence[float], across: int, down: int) -> Iterator[tuple[int, int]]:
    """Dots (from the left, from the top) of straight lines between neighbouring points."""
    low, high = min(shares), max(shares)
    span = epochs[-1] - epochs[0]
    points = [
        (
            (epoch - epochs[0]) / span * (across - 1),
            (high - share) / (high - low) * (down - 1) if high > low else down // 2,
        )
        for epoch, share in zip(epochs, shares, strict=True)
    ]
    for (x, y), (to_x, to_y) in itertools.pairwise(points):
        steps = max(1, round(max(abs(to_x - x), abs(to_y - y))))
        for step in range(steps + 1):
            yield round(x + (to_x - x) * step / steps), round(y + (to_y - y) * step / steps)


def _row(dots: Dots, row: int, columns: int, unicode: bool) -> str:
    if not unicode:
        return "".join("*" if (column, row) in dots else " " for column in range(columns))
    cells = (
        sum(bit for y, bits in enumerate(DOTS) for x, bit in enumerate(bits) if (2 * column + x, 4 * row + y) in dots)
        for column in range(columns)
    )
    return "".join(chr(BRAILLE + cell) if cell else " " for cell in cells)
