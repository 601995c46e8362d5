"""`archspace profile`: what is timed, what is refused, the fit and its errors, the cache, the command."""

import dataclasses
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from end_to_end import Caller
from torch import Tensor, nn

from archspace.blueprint import draw
from archspace.calibrate import GREATEST, LEAST, PARTS, PIXELS, Measured, calibrate, choose_networks
from archspace.closed_form import cost, cost_of
from archspace.errors import RunFailed, UserError
from archspace.genomefile import load_genome
from archspace.measure.calibration import LatencyModel, Point, find_model, fit_model, model_path, save_model
from archspace.measure.latency import (
    ATTEMPTS,
    RUNS,
    Setting,
    Timing,
    TooNoisy,
    device_name,
    measure_latency,
)
from archspace.measure.memory import peak_training_bytes
from archspace.memory import training_memory

INPUT = (3, 8, 8)
ANY_NOISE = 1e9
COEFFICIENTS = (5e-2, 3e-11, 5e-9)
GENOME = "stem: {kind: cifar, width: 8}\nstages:\n  - {block: basic, depth: 1, width: 8, stride: 1}\n"


def watched(see: Callable[[nn.Module, Tensor], object]) -> nn.Module:
    """A network that tells of each pass; what it tells to is not copied with it."""

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            see(self, x)
            scores: Tensor = self.conv(x)
            return scores

    return Watched()


def waiting(seconds: Callable[[int], float]) -> nn.Module:
    """A network whose pass number n (from 0) takes `seconds(n)`, long enough for torch's Timer to time it alone."""
    passes = iter(range(10**9))
    return watched(lambda *_: time.sleep(seconds(next(passes))))


def points(seconds: Callable[[int, int], float], n: int = 12, seed: int = 0) -> list[Point]:
    rng = random.Random(seed)
    costs = [(rng.randint(10**7, 10**10), rng.randint(10**5, 10**7)) for _ in range(n)]
    return [
        Point(f"g{index}", f"space{index % 2}", macs, acts, Timing(seconds(macs, acts), 0.0, 1.0, RUNS))
        for index, (macs, acts) in enumerate(costs)
    ]


def exact(macs: int, acts: int) -> float:
    a, b, c = COEFFICIENTS
    return a + b * macs + c * acts


def unsteady(macs: int, acts: int) -> float:
    return exact(macs, acts) * random.Random(macs).uniform(0.85, 1.2)


def model(seconds: Callable[[int, int], float] = unsteady, setting: Setting | None = None) -> LatencyModel:
    return fit_model(setting or Setting(), {"torch": torch.__version__}, INPUT, 10, points(seconds))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHSPACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> Caller:
    assert not cache.exists()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(GENOME)
    return Caller(capsys, monkeypatch)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_what_is_timed_is_what_the_setting_says(dtype: Any, layout: Any) -> None:
    order = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    seen = set()

    def see(network: nn.Module, x: Tensor) -> None:
        weight = network.conv.weight
        orders = x.is_contiguous(memory_format=order) and weight.is_contiguous(memory_format=order)
        inference = torch.is_inference_mode_enabled() and not network.training
        seen.add((tuple(x.shape), x.dtype, weight.dtype, orders, inference, torch.get_num_threads()))

    network = watched(see)
    before = torch.get_num_threads()
    setting = Setting(threads=before + 1, batch=5, dtype=dtype, layout=layout)
    timing = measure_latency(network, INPUT, setting, ANY_NOISE, seconds=0.1)
    like = {"fp32": torch.float32, "bf16": torch.bfloat16}[dtype]
    assert seen == {((5, *INPUT), like, like, True, True, before + 1)}
    assert torch.get_num_threads() == before
    assert 0 < timing.low <= timing.median <= timing.high
    assert timing.n >= RUNS
    assert not torch.is_inference_mode_enabled()


def test_the_network_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    measure_latency(network, INPUT, Setting(dtype="bf16", layout="channels_last"), ANY_NOISE, seconds=0.1)
    assert [module.training for module in network.modules()] == [True, True, False]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(value.dtype in (torch.float32, torch.int64) for value in network.state_dict().values())


def test_more_work_takes_longer() -> None:
    little, much = (nn.Conv2d(3, width, 7, padding=3) for width in (4, 1024))
    seconds = [measure_latency(net, (3, 64, 64), Setting(), ANY_NOISE, 0.2).median for net in (little, much)]
    assert seconds[1] > 5 * seconds[0]


def test_a_batch_is_what_is_timed() -> None:
    network = nn.Conv2d(3, 64, 7, padding=3)
    one, many = (measure_latency(network, (3, 64, 64), Setting(batch=n), ANY_NOISE, 0.2).median for n in (1, 32))
    assert many > 5 * one


def test_quartiles_far_apart_are_refused_and_told() -> None:
    unsteady = waiting(lambda number: 0.15 if number % 3 == 0 else 0.015)
    with pytest.raises(TooNoisy, match=r"\(cpu, 1 thread, batch 1, fp32, contiguous\).*`--noise \d") as told:
        measure_latency(unsteady, INPUT, Setting(), noise=2.0, seconds=0.05)
    assert isinstance(told.value, RunFailed)
    assert f"all {ATTEMPTS} measurements" in str(told.value)
    assert told.value.timing.noise > 2.0
    assert told.value.timing.high > 5 * told.value.timing.low


def test_a_process_that_is_kept_waiting_is_refused_however_steady_it_is() -> None:
    with pytest.raises(TooNoisy) as told:
        measure_latency(waiting(lambda _: 0.02), INPUT, Setting(), noise=0.6, seconds=0.05)
    timing = told.value.timing
    assert timing.share < 0.4
    assert timing.noise == pytest.approx(1 - timing.share)


def test_a_noisy_measurement_is_repeated() -> None:
    settling = waiting(lambda number: 0.015 if number >= 25 or number % 3 else 0.15)
    timing = measure_latency(settling, INPUT, Setting(), noise=2.0, seconds=0.05)
    assert 1 <= timing.refused < ATTEMPTS
    assert timing.noise <= 2.0


def test_repeated_measurements_are_longer() -> None:
    values = []
    for seconds in (0.2, 0.8):
        with pytest.raises(TooNoisy) as told:
            measure_latency(waiting(lambda _: 0.01), INPUT, Setting(), noise=0.1, seconds=seconds / 2 ** (ATTEMPTS - 1))
        values.append(told.value.timing.n)
    assert values[1] > 2 * values[0]
    assert values[0] >= RUNS


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_timed_by_its_own_clock() -> None:
    little, much = (nn.Conv2d(64, width, 7, padding=3) for width in (4, 1024))
    timings = [measure_latency(net, (64, 128, 128), Setting("cuda", batch=16), ANY_NOISE) for net in (little, much)]
    assert timings[1].median > 3 * timings[0].median
    assert timings[0].share == 1.0
    assert next(much.parameters()).device.type == "cpu"


@pytest.mark.parametrize(
    ("device", "told"), [("gpu", "write cpu, cuda"), ("cuda:99", "torch finds"), ("cuda:x", "write cpu, cuda")]
)
def test_a_device_that_is_not_there_is_told(device: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        measure_latency(nn.Identity(), INPUT, Setting(device))


def test_an_exact_law_is_found_again() -> None:
    found = model(exact)
    assert (found.a, found.b, found.c) == pytest.approx(COEFFICIENTS, rel=1e-6)
    assert found.max_error < 1e-6
    assert found.n == 12


def test_no_coefficient_is_below_zero() -> None:
    assert model(lambda macs, acts: 1e-10 * macs + 1e-3 - 1e-11 * acts).c == 0.0
    assert model(lambda macs, _: 1e-10 * macs - 1e-5).a == 0.0


def test_the_fit_is_least_in_relative_squares() -> None:
    found = model()
    assert min(found.a, found.b, found.c) > 0

    def squares(a: float, b: float, c: float) -> float:
        return sum(((a + b * p.macs + c * p.acts) / p.timing.median - 1) ** 2 for p in found.points)

    least = squares(found.a, found.b, found.c)
    for factors in ((1.01, 1, 1), (0.99, 1, 1), (1, 1.01, 1), (1, 0.99, 1), (1, 1, 1.01), (1, 1, 0.99)):
        assert squares(*(v * f for v, f in zip((found.a, found.b, found.c), factors, strict=True))) > least


def test_errors_are_those_of_networks_left_out() -> None:
    found = model()
    for index, (point, error) in enumerate(zip(found.points, found.errors, strict=True)):
        rest = [*found.points[:index], *found.points[index + 1 :]]
        without = fit_model(found.setting, {}, found.input, found.classes, rest)
        assert error == pytest.approx(without.predict(point.macs, point.acts) / point.timing.median - 1)
    sizes = np.abs(found.errors)
    assert found.median_error == pytest.approx(np.median(sizes))
    assert found.p90_error == pytest.approx(np.quantile(sizes, 0.9))
    assert found.max_error == sizes.max()
    by_space = found.errors_by_space()
    assert by_space["space1"] == found.errors[1::2]


def test_tables_are_predicted_as_single_networks_are() -> None:
    found = model()
    macs, acts = (np.array([getattr(point, name) for point in found.points]) for name in ("macs", "acts"))
    single = [found.predict(point.macs, point.acts) for point in found.points]
    assert found.predict(macs, acts).tolist() == single


def test_a_model_knows_its_range() -> None:
    found = model()
    least, most = (f([p.macs for p in found.points]) for f in (min, max))
    acts = found.points[0].acts
    assert found.covers(least, acts)
    assert found.covers(most, acts)
    assert not found.covers(least - 1, acts)
    assert not found.covers(most + 1, acts)
    assert not found.covers(least, 10**12)


def test_a_model_is_read_as_it_was_written(cache: Path) -> None:
    found = model()
    path = save_model(found)
    assert path.parent == cache
    assert find_model(Setting()) == found
    assert list(cache.iterdir()) == [path]
    again = model(exact)
    save_model(again)
    assert find_model(Setting()) == again
    data = json.loads(path.read_text())
    assert {data["setting"]["threads"], data["machine"]} == {1, device_name("cpu")}
    assert data["points"][0]["timing"]["median"] == again.points[0].timing.median


def test_a_calibration_is_replaced_as_a_whole(cache: Path) -> None:
    path = save_model(model())
    before = path.read_text()
    opened = cache / "opened-before.json"
    opened.hardlink_to(path)
    save_model(model(exact))
    assert opened.read_text() == before != path.read_text()


def test_each_setting_has_a_file_of_its_own(cache: Path) -> None:
    others = (Setting(threads=2), Setting(batch=12), Setting(dtype="bf16"), Setting(layout="channels_last"))
    names = {model_path(setting) for setting in (Setting(), *others)}
    assert len(names) == 5
    assert all(path.parent == cache for path in names)
    save_model(model(setting=others[0]))
    assert find_model(others[0]).setting == others[0]
    with pytest.raises(UserError, match=r"no calibration of this device yet: run `archspace profile --calibrate` \("):
        find_model(Setting())
    with pytest.raises(UserError, match=r"`archspace profile --calibrate --batch 12`"):
        find_model(others[1])


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ARCHSPACE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert model_path(Setting()).parent == tmp_path / "home" / ".cache" / "archspace"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert model_path(Setting()).parent == tmp_path / "xdg" / "archspace"
    monkeypatch.setenv("ARCHSPACE_CACHE", str(tmp_path / "own"))
    assert model_path(Setting()).parent == tmp_path / "own"


def test_a_cache_that_cannot_be_written_is_told(cache: Path) -> None:
    cache.write_text("a file, not a folder")
    with pytest.raises(UserError, match=r"cannot be written .*ARCHSPACE_CACHE"):
        save_model(model())


def broken(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def changed(text: str) -> str:
        data = json.loads(text)
        change(data)
        return json.dumps(data)

    return changed


@pytest.mark.parametrize(
    ("breaks", "told"),
    [
        (lambda _: "", "not a calibration"),
        (lambda _: "[]", "not a calibration"),
        (lambda text: text[: len(text) // 2], "not a calibration"),
        (broken(lambda data: data.pop("points")), "not a calibration"),
        (broken(lambda data: data["errors"].pop()), "not a calibration"),
        (broken(lambda data: data.update(b=-1e-10)), "not a calibration"),
        (broken(lambda data: data.update(a=float("nan"))), "not a calibration"),
        (broken(lambda data: data["setting"].update(dtype="fp64")), "not a calibration"),
        (broken(lambda data: data.update(format=99)), "written by a newer archspace"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(cache: Path, breaks: Callable[[str], str], told: str) -> None:
    path = save_model(model())
    path.write_text(breaks(path.read_text()))
    with pytest.raises(UserError) as error:
        find_model(Setting())
    (message,) = error.value.messages
    assert message.startswith(f"{cache}/")
    assert told in message
    assert "`archspace profile --calibrate`" in message
    assert "\n" not in message


def test_networks_spread_over_families_and_cost() -> None:
    shape = (3, 64, 64)
    chosen = choose_networks(shape, 10, 45)
    assert len({item.candidate.genome.id for item in chosen}) == len(chosen)
    assert len(chosen) >= 36
    scale = shape[1] * shape[2] / PIXELS
    step = (GREATEST / LEAST) ** (1 / PARTS)
    parts = [np.log(item.candidate.cost.flops / scale / LEAST) / np.log(step) for item in chosen]
    assert min(parts) > -0.01
    assert max(parts) < PARTS + 0.01
    families = {item.space for item in chosen}
    assert {"plain", "inception", "highway", "resnet", "preact", "resnext", "densenet", "regnet"} <= families
    assert "overview" not in families
    for part in range(PARTS):
        assert sum(part <= place < part + 1 for place in parts) >= 5
    assert all(item.candidate.cost == cost_of(item.candidate.genome, shape, 10) for item in chosen)


def test_few_networks_spread_too() -> None:
    chosen = choose_networks((3, 64, 64), 10, 9)
    assert len({item.space for item in chosen}) == len(chosen) >= 8
    flops = sorted(item.candidate.cost.flops for item in chosen)
    assert flops[-1] > 10 * flops[0]
    assert choose_networks((3, 64, 64), 10, 9) == chosen


@pytest.mark.slow
def test_a_machine_without_rest_is_not_calibrated() -> None:
    news: list[Measured] = []
    with pytest.raises(RunFailed, match=r"given up: 5 of 8 networks were too noisy; the last: latency \(cpu, 1 thread"):
        calibrate(Setting(), (3, 32, 32), 10, 8, noise=1e-12, progress=news.append, seconds=0.05)
    assert [(item.number, item.total, item.refused) for item in news] == [(n, 8, True) for n in range(1, 6)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "name a GENOME to profile"),
        (("resnet51",), "did you mean 'resnet50'?"),
        (("small.yaml", "--device", "gpu"), "write cpu, cuda, or cuda:1"),
        (("small.yaml", "--device", "cuda:99"), "torch finds"),
        (("small.yaml", "--threads", "9999"), "--threads 9999: this process may use"),
        (("small.yaml", "--threads", "0"), "'--threads'"),
        (("small.yaml", "--batch", "0"), "'--batch'"),
        (("small.yaml", "--dtype", "fp16"), "'--dtype'"),
        (("small.yaml", "--layout", "nhwc"), "'--layout'"),
        (("small.yaml", "--noise", "0"), "'--noise'"),
        (("small.yaml", "--networks", "20"), "--networks belongs to --calibrate"),
        (("small.yaml", "--calibrate"), "leave out GENOME"),
        (("--calibrate", "--networks", "3"), "'--networks'"),
        (("--calibrate", "--size", "1", "--networks", "8"), "take a larger --size"),
        (("alexnet", "--size", "8"), "stage 1"),
    ],
)
def test_a_mistake_is_told(call: Caller, cache: Path, arguments: tuple[str, ...], told: str) -> None:
    said = call("profile", *arguments)
    assert (said.code, said.out) == (2, "")
    assert told in said.err
    assert "Traceback" not in said.err
    assert not cache.exists()


def test_a_broken_calibration_is_told_before_anything_is_measured(call: Caller) -> None:
    path = save_model(model())
    path.write_text("{")
    said = call("profile", "small.yaml", "--size", "32")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(
        f"archspace: {path}: not a calibration of archspace; `archspace profile --calibrate` makes one"
    )


@pytest.mark.slow
def test_calibrate_then_profile(call: Caller, cache: Path) -> None:
    quick = ("--size", "32", "--classes", "10", "--noise", ANY_NOISE)
    before = call("profile", "small.yaml", *quick, "--training-batch", "4")
    assert before.code == 0
    assert "no calibration of this device yet, `archspace profile --calibrate` makes one" in before.err
    made = call("profile", "--calibrate", "--networks", "8", *quick, "--json")
    assert made.code == 0, made.err
    told = json.loads(made.out)
    assert [line.split()[0] for line in made.err.splitlines() if "/" in line.split()[0]] == [
        f"{n}/8" for n in range(1, 9)
    ]
    found = find_model(Setting())
    assert (found.input, found.classes, found.n) == ((3, 32, 32), 10, 8)
    assert told["errors"]["median"] == found.median_error
    assert told["model"] == json.loads(json.dumps(dataclasses.asdict(found)))
    assert list(cache.iterdir()) == [Path(told["path"])]

    said = call("profile", "small.yaml", *quick, "--training-batch", "4", "--json")
    assert said.code == 0, said.err
    data = json.loads(said.out)
    assert data["setting"] == {"device": "cpu", "threads": 1, "batch": 1, "dtype": "fp32", "layout": "contiguous"}
    assert data["throughput"]["median"] == pytest.approx(1 / data["latency"]["median"])
    assert data["throughput"]["low"] == pytest.approx(1 / data["latency"]["high"])
    assert data["predicted"]["latency"] > 0
    assert not data["predicted"]["covered"]  # smaller than all that was measured
    memory = data["training_memory"]
    assert memory["batch"] == 4
    blueprint = draw(load_genome(Path("small.yaml")), (3, 32, 32), 10)
    assert memory["measured"] == peak_training_bytes(blueprint, 4)  # counted without computing: the same to the byte
    assert memory["predicted"] == training_memory(cost(blueprint), 4)
    table = call("profile", "small.yaml", *quick, "--training-batch", "4")
    assert table.code == 0
    for word in (
        "cpu, 1 thread, batch 1, fp32, contiguous",
        "3x32x32, 10 classes",
        "images/s",
        "ms",
        "B",
        "outside their range",
    ):
        assert word in table.out
