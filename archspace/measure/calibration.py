"""Latency in closed form: t = a + b x macs + c x acts, fitted to measurements of one device."""

from __future__ import annotations

import json
import os
import re
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, overload

from pydantic import Field, TypeAdapter, ValidationError

from archspace.errors import UserError
from archspace.genome import Shape
from archspace.measure.latency import Setting, Timing, device_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = 1
FEWEST = 6
"""Networks that three coefficients are fitted to at least."""
QUANTILE = 0.9

_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class Point:
    """A network that was measured: its genome's id, the space it is from, macs and acts of one image."""

    genome: str
    space: str
    macs: _Count
    acts: _Count
    timing: Timing


@dataclass(frozen=True)
class LatencyModel:
    """t = a + b x macs + c x acts: seconds per batch of `setting`, from macs and acts of one image.

    Fitted on `machine` (the processor's name) to `points`, networks at `input` and `classes`. `errors` has for each of
    them predicted / measured - 1, predicted by a fit to all the others (leave-one-out).
    """

    setting: Setting
    machine: str
    versions: Mapping[str, str]
    input: Shape
    classes: int
    a: _Seconds
    b: _Seconds
    c: _Seconds
    points: Annotated[tuple[Point, ...], Field(min_length=FEWEST)]
    errors: tuple[float, ...]

    @property
    def n(self) -> int:
        """How many networks it was fitted to."""
        return len(self.points)

    @property
    def median_error(self) -> float:
        """The median of the leave-one-out errors' sizes, a share of what was measured."""
        return statistics.median(abs(error) for error in self.errors)

    @property
    def p90_error(self) -> float:
        """The 90th percentile of the leave-one-out errors' sizes."""
        return statistics.quantiles((abs(error) for error in self.errors), n=10, method="inclusive")[-1]

    @property
    def max_error(self) -> float:
        """The greatest leave-one-out error's size."""
        return max(abs(error) for error in self.errors)

    def errors_by_space(self) -> dict[str, tuple[float, ...]]:
        """The leave-one-out errors of each space's networks."""
        by_space: dict[str, list[float]] = defaultdict(list)
        for point, error in zip(self.points, self.errors, strict=True):
            by_space[point.space].append(error)
        return {space: tuple(errors) for space, errors in by_space.items()}

    @overload
    def predict(self, macs: int, acts: int) -> float: ...
    @overload
    def predict(self, macs: NDArray[np.int64], acts: NDArray[np.int64]) -> NDArray[np.float64]: ...
    def predict(self, macs: Any, acts: Any) -> Any:
        """Seconds per batch of a network, or of a table of them, with these macs and acts of one image."""
        return _seconds((self.a, self.b, self.c), macs, acts)

    def covers(self, macs: int, acts: int) -> bool:
        """Whether networks with fewer as well as with more macs were measured, the same with acts."""
        seen = [(point.macs, point.acts) for point in self.points]
        ranges = zip((macs, acts), zip(*seen, strict=True), strict=True)
        return all(min(known) <= value <= max(known) for value, known in ranges)


def fit_model(
    setting: Setting, versions: Mapping[str, str], input: Shape, classes: int, points: Sequence[Point]
) -> LatencyModel:
    """The model of these measurements, with its leave-one-out errors; at least FEWEST points."""
    a, b, c = _coefficients(points)
    machine = device_name(setting.device)
    model = LatencyModel(setting, machine, versions, input, classes, a, b, c, tuple(points), errors=())
    return replace(model, errors=tuple(_left_out(points, index) for index in range(len(points))))


def cache_folder() -> Path:
    """Where calibrations lie: `ARCHSPACE_CACHE`, else `$XDG_CACHE_HOME/archspace`, else `~/.cache/archspace`."""
    own, shared = os.environ.get("ARCHSPACE_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own).expanduser()
    return (Path(shared) if shared else Path.home() / ".cache") / "archspace"


def model_path(setting: Setting, folder: Path | None = None) -> Path:
    """The file of the calibration for this setting on this device, there or not."""
    words = (device_name(setting.device), f"{setting.threads} threads", f"batch {setting.batch}", setting.dtype)
    name = re.sub(r"[^a-z0-9_]+", "-", " ".join(("latency", *words, setting.layout)).lower())
    return (folder or cache_folder()) / f"{name}.json"


def save_model(model: LatencyModel, folder: Path | None = None) -> Path:
    """Write a calibration to the cache, whole or not at all; raises UserError where that cannot be written."""
    path = model_path(model.setting, folder)
    data = {"format": FORMAT} | asdict(model)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
            part = Path(temporary) / path.name
            part.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")
            part.replace(path)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); set ARCHSPACE_CACHE to a folder of yours"
        ) from None
    return path


def find_model(setting: Setting, folder: Path | None = None) -> LatencyModel:
    """The calibration for this setting on this device; raises UserError where there is none that can be read."""
    path = model_path(setting, folder)
    again = f"`archspace profile --calibrate{setting.options()}`"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        device = f"{device_name(setting.device)}; {setting}"
        raise UserError(f"no calibration of this device yet: run {again} ({device})") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: this calibration cannot be read ({error}); run {again} to replace it") from None
    return _read(text, path, again)


def load_model(path: Path) -> LatencyModel:
    """The calibration in a file; raises UserError where it cannot be read."""
    again = "`archspace profile --calibrate`"
    try:
        return _read(path.read_text(encoding="utf-8"), path, again)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: this calibration cannot be read ({error}); {again} makes one") from None


def _read(text: str, path: Path, again: str) -> LatencyModel:
    try:
        data = json.loads(text)
        found = data.pop("format", None) if isinstance(data, dict) else None
        if isinstance(found, int) and found > FORMAT:
            raise UserError(
                f"{path}: written by a newer archspace (format {found}, this one reads {FORMAT}); upgrade archspace, "
                f"or run {again} to replace it"
            )
        model = TypeAdapter(LatencyModel).validate_python(data)
        if len(model.errors) != model.n:
            raise ValueError("errors and points differ in number")
    except (ValueError, ValidationError):
        raise UserError(f"{path}: not a calibration of archspace; {again} makes one") from None
    return model


def _seconds(coefficients: tuple[float, float, float], macs: Any, acts: Any) -> Any:
    a, b, c = coefficients
    return a + b * macs + c * acts


def _coefficients(points: Sequence[Point]) -> tuple[float, float, float]:
    """Least squares of predicted / measured - 1, so that small networks count as much; nothing below zero."""
    import numpy as np
    from scipy.optimize import nnls

    terms = np.array([(1.0, point.macs, point.acts) for point in points])
    relative = terms / np.array([[point.timing.median] for point in points])
    sizes = relative.max(axis=0)  # a is of the order of 1 and b of 1e-11 s: solved for in units of like size
    found, _ = nnls(relative / sizes, np.ones(len(points)))
    a, b, c = (float(value) for value in found / sizes)
    return a, b, c


def _left_out(points: Sequence[Point], index: int) -> float:
    """Predicted / measured - 1 of a point by a fit to the others."""
    own = points[index]
    others = _coefficients([*points[:index], *points[index + 1 :]])
    return float(_seconds(others, own.macs, own.acts)) / own.timing.median - 1
