"""How figures are printed: three significant digits with an SI prefix, percent, durations, input sizes."""

from __future__ import annotations

UNITS = {
    "params": "params",
    "macs": "MACs",
    "flops": "FLOPs",
    "acts": "acts",
    "training_memory": "B",
    "latency": "s",
}
"""The printed unit of each measure."""

PREFIXES = ("", "k", "M", "G", "T", "P", "E")
FRACTIONS = ("m", "u", "n")


def si(value: float, unit: str) -> str:
    """`value` in three significant digits: 4.26 GFLOPs, 25.0 Mparams, 4.30 ms; whole numbers below 1000 as they are."""
    if abs(value) < 1000 and value == int(value):
        return f"{int(value)} {unit}"
    powers = range(len(PREFIXES)) if abs(value) >= 1 else range(-len(FRACTIONS), 1)
    texts = {power: _three_digits(value / 1000.0**power) for power in powers}
    power = next((power for power, text in texts.items() if abs(float(text)) < 1000), powers[-1])
    return f"{texts[power]} {PREFIXES[power] if power >= 0 else FRACTIONS[-power - 1]}{unit}"


def percent(fraction: float) -> str:
    """A fraction as percent with two decimals: 0.0231 -> 2.31%; not-a-number as a dash."""
    return "–" if fraction != fraction else f"{100 * fraction:.2f}%"


def duration(seconds: float) -> str:
    """Seconds in the two units that matter: 8.2 s, 4 min 05 s, 3 h, 2 d 04 h; not-a-number as a dash."""
    if seconds != seconds:
        return "–"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, name, smaller, small_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            return _two_units(whole // size, name, whole % size // smaller, small_name)
    return _two_units(whole // 60, "min", whole % 60, "s")


def shape_text(shape: tuple[int, int, int]) -> str:
    """Channels, height and width as one word: 3x224x224."""
    return "x".join(str(size) for size in shape)


def _two_units(count: int, name: str, rest: int, rest_name: str) -> str:
    return f"{count} {name} {rest:02d} {rest_name}" if rest else f"{count} {name}"


def _three_digits(value: float) -> str:
    for decimals, limit in ((2, 10.0), (1, 100.0)):
        if abs(round(value, decimals)) < limit:
            return f"{value:.{decimals}f}"
    return f"{value:.0f}"
