"""Where the names of points go so that no two of them overlap."""

from __future__ import annotations

from collections.abc import Sequence

CHARACTER, LINE, GAP = 7.0, 16.0, 9.0
"""Pixels: width of a character and height of a line at 12 px, distance from a point to its label."""

# Plotly's words for each place, best first, with the way from the point to the label: right and down.
PLACES = {
    "top center": (0, -1),
    "top right": (1, -1),
    "middle right": (1, 0),
    "middle left": (-1, 0),
    "bottom center": (0, 1),
    "bottom right": (1, 1),
    "top left": (-1, -1),
    "bottom left": (-1, 1),
}

Box = tuple[float, float, float, float]


def place_labels(
    points: Sequence[tuple[float, float]], labels: Sequence[str], clear: Sequence[Box], area: Box
) -> list[str | None]:
    """A plotly text position for each label, or None where none is free.

    All in pixels, y downwards, boxes as left, top, right, bottom: `points` carry the labels, which stay inside `area`
    and off the boxes `clear`; the first labels choose first.
    """
    taken: list[Box] = [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    taken += clear
    places: list[str | None] = []
    for (x, y), label in zip(points, labels, strict=True):
        half_width, half_height = len(label) * CHARACTER / 2, LINE / 2
        found = None
        for place, (right, down) in PLACES.items():
            centre_x, centre_y = x + right * (half_width + GAP), y + down * (half_height + GAP)
            box = (centre_x - half_width, centre_y - half_height, centre_x + half_width, centre_y + half_height)
            if _inside(box, area) and not any(_overlap(box, other) for other in taken):
                found = place
                taken.append(box)
                break
        places.append(found)
    return places


def _inside(box: Box, area: Box) -> bool:
    return box[0] >= area[0] and box[1] >= area[1] and box[2] <= area[2] and box[3] <= area[3]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
