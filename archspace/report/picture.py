"""Pictures of blocks as standalone SVG: what a plan computes, drawn from the module that it builds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from archspace.plan import Planned
from archspace.report.picture_graph import Graph, block_graph
from archspace.report.picture_layout import ROW, Box, Layout, Line, lay_out

FONT = "Helvetica, Arial, sans-serif"
INK, QUIET = "#22262b", "#5a6470"
FILLS = {
    "conv": "#d6e6f5",
    "linear": "#d6e6f5",
    "norm": "#e3f0dc",
    "act": "#fdeccf",
    "scale": "#eef0f2",
    "pool": "#e9e2f3",
    "other": "#eef0f2",
}
"""Of rows by kind; text on them keeps a contrast of more than 10 to 1."""
LINES = ("#3f4750", "#1f6fb2", "#b8500a", "#1d7d58", "#8a4a86")
WIDEST = 900.0
"""Pixels, as all lengths here: panels that do not fit side by side begin a new row."""
MARGIN, BETWEEN = 14.0, 34.0
CAPTION = 26.0
CORNER = 6.0
ARROW = 5.0


def picture_of(planned: Planned, title: str, **symbols: float) -> str:
    """One block as an SVG document, the open symbols of its plan bound to `symbols`; raises as block_graph does."""
    return side_by_side({"": block_graph(planned, **symbols)}, title)


def side_by_side(graphs: Mapping[str, Graph], title: str) -> str:
    """An SVG document of several graphs, captions below; the same bytes for the same graphs."""
    shapes: list[str] = []
    bottom = right = 0.0
    for row in _rows([(caption, lay_out(graph)) for caption, graph in graphs.items()]):
        top, left = bottom + MARGIN, MARGIN
        bottom = top + max(layout.height for _, layout in row) + (CAPTION if any(graphs) else 0.0)
        for caption, layout in row:
            width = _width(caption, layout)
            corner = f"{_number(left + (width - layout.width) / 2)} {_number(top)}"
            shapes += [f'<g transform="translate({corner})">', *_shapes(layout), "</g>"]
            if caption:
                shapes.append(_text(left + width / 2, bottom - 4, caption, "caption"))
            left += width + BETWEEN
        right = max(right, left - BETWEEN)
    wide, high = _number(right + MARGIN), _number(bottom + MARGIN)
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" '
        f'role="img" font-family="{FONT}" font-size="12">',
        f"<title>{escape(title)}</title>",
        f"<style>{_style()}</style>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    return "\n".join([*head, *shapes, "</svg>", ""])


def _rows(panels: Sequence[tuple[str, Layout]]) -> Iterator[list[tuple[str, Layout]]]:
    """Panels in rows of at most WIDEST, or one panel where that is wider."""
    row: list[tuple[str, Layout]] = []
    for panel in panels:
        if row and sum(_width(*each) + BETWEEN for each in [*row, panel]) - BETWEEN > WIDEST:
            yield row
            row = []
        row.append(panel)
    yield row


def _width(caption: str, layout: Layout) -> float:
    return max(layout.width, 6.6 * len(caption))


def _style() -> str:
    """The rules that the shapes' classes name."""
    fills = " ".join(f".{kind}-row{{fill:{fill}}}" for kind, fill in FILLS.items())
    return (
        f"text{{fill:{INK};text-anchor:middle}} .tag{{fill:{QUIET};font-size:10.5px;font-style:italic;"
        f"text-anchor:start}} .end{{font-style:italic;font-size:14px}} .sign{{font-size:14px}} "
        f".caption{{font-size:13px}} .frame{{fill:none;stroke:{QUIET}}} .merge{{fill:#ffffff;stroke:{INK};"
        f"stroke-width:1.2}} .line{{fill:none;stroke-width:1.3}} {fills}"
    )


def _shapes(layout: Layout) -> Iterator[str]:
    for line in layout.lines:
        yield from _line(line)
    for box in layout.boxes:
        yield from _box(box)


def _line(line: Line) -> Iterator[str]:
    colour = LINES[line.colour % len(LINES)]
    (x, y), (before_x, before_y) = line.corners[-1], line.corners[-2]
    along_x = (x > before_x) - (x < before_x)
    along_y = (y > before_y) - (y < before_y)
    short = (x - along_x * ARROW, y - along_y * ARROW)
    yield f'<path class="line" stroke="{colour}" d="{_rounded((*line.corners[:-1], short))}"/>'
    wide = 3.4
    tail = [
        (short[0] - along_y * wide, short[1] - along_x * wide),
        (short[0] + along_y * wide, short[1] + along_x * wide),
    ]
    points = " ".join(f"{_number(px)},{_number(py)}" for px, py in [(x, y), *tail])
    yield f'<polygon fill="{colour}" points="{points}"/>'


def _rounded(corners: Sequence[tuple[float, float]]) -> str:
    """A path through the corners, each rounded off."""
    steps = ["M" + _point(corners[0])]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        steps += [f"L{_point(_towards(corner, before))}", f"Q{_point(corner)} {_point(_towards(corner, after))}"]
    return " ".join([*steps, "L" + _point(corners[-1])])


def _towards(corner: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """A point on the way from one corner to another, half-way at most."""
    (x, y), (other_x, other_y) = corner, other
    length = abs(other_x - x) + abs(other_y - y)
    part = min(CORNER, length / 2) / length if length else 0.0
    return x + (other_x - x) * part, y + (other_y - y) * part


def _box(box: Box) -> Iterator[str]:
    node = box.node
    middle = box.left + box.width / 2
    if node.kind == "merge":
        yield _rect("merge", box.left, box.top, box.width, box.height, box.height / 2)
        small = len(node.sign) > 1
        yield _text(middle, box.top + box.height / 2 + (4 if small else 5), node.sign, "op" if small else "sign")
        return
    if node.kind != "layers":
        yield _text(middle, box.top + 12, node.rows[0].text, "end")
        return
    last = len(node.rows) - 1
    for number, row in enumerate(node.rows):
        top = box.top + ROW * number
        yield _row_shape(row.kind, box.left, top, box.width, number == 0, number == last)
        yield _text(middle, top + 14, row.text, row.kind)
    yield _rect("frame", box.left, box.top, box.width, box.height, 4)
    if node.tag:
        yield _text(box.x + 7, box.top - 5, node.tag, "tag")


def _row_shape(kind: str, left: float, top: float, width: float, first: bool, last: bool) -> str:
    """A row's ground, its corners round where the box's are."""
    up, down = (4 if first else 0), (4 if last else 0)
    path = (
        f"M{_number(left)} {_number(top + up)} q0 {-up} {up} {-up} h{_number(width - 2 * up)} q{up} 0 {up} {up} "
        f"v{_number(ROW - up - down)} q0 {down} {-down} {down} h{_number(2 * down - width)} q{-down} 0 {-down} {-down}z"
    )
    return f'<path class="{kind}-row" d="{path}"/>'


def _rect(kind: str, left: float, top: float, width: float, height: float, radius: float) -> str:
    return (
        f'<rect class="{kind}" x="{_number(left)}" y="{_number(top)}" width="{_number(width)}" '
        f'height="{_number(height)}" rx="{_number(radius)}"/>'
    )


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{_number(x)}" y="{_number(y)}">{escape(text)}</text>'


def _point(corner: tuple[float, float]) -> str:
    return f"{_number(corner[0])} {_number(corner[1])}"


def _number(value: float) -> str:
    return f"{round(value, 2):g}"
