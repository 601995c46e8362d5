"""The report: its page for every kind of run, its figures' data, its static copies."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from run_records import RECORDS, a_config

from archspace.analysis.front import front
from archspace.blocks.basic import BasicGenes
from archspace.blocks.bottleneck import BottleneckGenes
from archspace.errors import UserError
from archspace.genome import Genome, Stage, Stem, canonical_json
from archspace.records.config import TaskConfig
from archspace.report.curves_figure import curves_data
from archspace.report.describe import stage_lines
from archspace.report.figures import save_figures
from archspace.report.front_figure import front_data, front_figure
from archspace.report.hypervolume_figure import hypervolume_data
from archspace.report.labels import CHARACTER, GAP, LINE, PLACES, place_labels
from archspace.report.page import headline, page_data, report_html, settings, where_line, write_report
from archspace.report.style import log_ticks
from archspace.training.recipe import Recipe
from archspace.units import duration, percent, shape_text, si


@pytest.mark.parametrize("kind", RECORDS)
def test_the_page_stands_alone_and_holds_every_trial(kind: str) -> None:
    record = RECORDS[kind]()
    page = report_html(record)
    assert page.count("Plotly.newPlot(") - page.split("</script>", 1)[0].count("Plotly.newPlot(") == 3
    written = page.split("</style>", 1)[0] + page.split("</script>", 1)[1]
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=", written)
    body = page.split('id="trials-table"', 1)[1].split("</table>", 1)[0]
    assert body.count("<tr>") == 1 + len(record.trials)
    assert "<script>alert" not in page
    if kind == "mixed":
        assert "&lt;script&gt;alert" in body
        assert "resnet-20" in body


def test_the_headline_names_winner_error_cost_trials_and_budget() -> None:
    record = RECORDS["mixed"]()
    best = record.trials[record.trials["state"] == "complete"].sort_values("error").iloc[0]
    sentence = page_data(record)["headline"].replace("\u00a0", " ")
    for part in (best["id"], percent(best["error"]), si(best["flops"], "FLOPs"), "3x32x32", "5 trials", "600MFLOPs"):
        assert part in sentence


def test_the_headline_without_a_winner_says_how_trials_ended() -> None:
    assert headline(RECORDS["none complete"](), None) == (
        "No winner yet: of 3 trials within 600MFLOPs, none has finished the top rung"
        " (1 stopped, 1 failed, 1 unfinished)."
    )


def test_the_headline_of_a_run_without_trials() -> None:
    assert headline(RECORDS["empty"](), None) == "No trial within 600MFLOPs has started."


def test_target_and_task_are_named_in_one_line_where_they_differ() -> None:
    config = a_config(target_input=(3, 224, 224), target_classes=1000)
    assert where_line(config) == (
        "Cost is counted at 3x224x224 with 1000 classes; networks were trained on digits at 1x8x8 with 10 classes."
    )
    same = a_config(task=TaskConfig(name="cifar10", input=(3, 32, 32), classes=10))
    assert where_line(same) == "Cost is counted, and networks were trained on cifar10, at 3x32x32 with 10 classes."


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = write_report(RECORDS["one"](), tmp_path / "new" / "report.html")
    assert path.read_text("utf-8").rstrip().endswith("</html>")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    taken = tmp_path / "taken"
    taken.mkdir()
    with pytest.raises(UserError, match=r"taken: cannot be written"):
        write_report(RECORDS["one"](), taken)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["new", "taken"]


def test_front_data_holds_the_front_and_every_axis_holds_every_point() -> None:
    record = RECORDS["many"]()
    data = front_data(record)
    assert list(data.front["number"]) == list(front(record.trials, "flops")["number"])
    assert data.winner == data.front.sort_values("error")["number"].iloc[0]
    assert data.x[0] < record.trials["flops"].min() <= record.config.cap < data.x[1]
    assert data.y[0] < 100 * record.trials["error"].min() < 100 * record.trials["error"].max() < data.y[1]


def test_the_front_figure_draws_each_trial_once_and_escapes_what_it_hovers() -> None:
    record = RECORDS["mixed"]()
    traces = json.loads(front_figure(record).to_json())["data"]
    drawn = [trace for trace in traces if trace.get("mode") == "markers" and trace["name"] != "winner"]
    assert sum(len(trace["text"]) for trace in drawn) == len(record.trials)
    hovers = " ".join(text for trace in drawn for text in trace["text"])
    assert "<script>" not in hovers
    assert "stage 1: " in hovers
    labels = next(trace for trace in traces if trace.get("name") == "enqueued")
    assert labels["text"] == ["resnet-20"]


def test_curves_are_one_per_trial_that_finished_an_epoch() -> None:
    record = RECORDS["mixed"]()
    data = curves_data(record)
    assert {state: len(curves) for state, curves in data.by_state.items()} == {
        "complete": 1,
        "stopped": 1,
        "failed": 0,
        "unfinished": 1,
    }
    assert [epoch for epoch, _, _ in data.winner] == list(range(1, 10))


def test_hypervolume_data_is_in_the_clock_that_suits_the_run() -> None:
    record = RECORDS["many"]()
    data = hypervolume_data(record)
    assert data.clock == "min"
    assert data.at[-1] == pytest.approx(record.trials.loc[record.trials["state"] == "complete", "finished"].max() / 60)
    assert hypervolume_data(RECORDS["one"]()).clock == "s"


def test_labels_do_not_overlap_and_those_without_room_are_left_out() -> None:
    random = Random(0)
    points = [(random.uniform(0, 400), random.uniform(0, 200)) for _ in range(40)]
    labels = [f"network-{number}" for number in range(40)]
    places = place_labels(points, labels, [], (0, 0, 400, 200))
    boxes = []
    for (x, y), label, place in zip(points, labels, places, strict=True):
        if place is None:
            continue
        half = len(label) * CHARACTER / 2
        right, down = PLACES[place]
        boxes.append((x + right * (half + GAP), y + down * (LINE / 2 + GAP), half))
    assert 5 < len(boxes) < 40
    for index, (x, y, half) in enumerate(boxes):
        assert half <= x <= 400 - half
        for other_x, other_y, other_half in boxes[:index]:
            assert abs(x - other_x) >= half + other_half or abs(y - other_y) >= LINE


@pytest.mark.parametrize(("low", "high"), [(1e6, 6e8), (3.9e9, 4.04e9), (3.99e9, 4.001e9), (2e5, 9e12), (5e8, 7e8)])
def test_log_ticks_are_few_distinct_and_inside(low: float, high: float) -> None:
    values, labels = log_ticks(low, high, "FLOPs")
    assert 3 <= len(values) <= 9
    assert len(set(labels)) == len(values)
    assert low <= min(values) <= max(values) <= high


def test_genomes_read_as_papers_write_them() -> None:
    stages = (Stage("bottleneck", 3, 256, 1, BottleneckGenes(4, 32)), Stage("basic", 2, 64, 2, BasicGenes("A")))
    assert stage_lines(canonical_json(Genome(stages, Stem("cifar", 16)))) == [
        "stage 1: 3 x bottleneck, width 256, 32x4d",
        "stage 2: 2 x basic, width 64, stride 2, shortcut A",
        "stem: kind cifar, width 16",
    ]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (4.256e9, "FLOPs", "4.26 GFLOPs"),
        (25_029_000, "params", "25.0 Mparams"),
        (600_000_000, "FLOPs", "600 MFLOPs"),
        (999_600, "params", "1.00 Mparams"),
        (9_999, "MACs", "10.0 kMACs"),
        (950, "params", "950 params"),
        (0, "acts", "0 acts"),
    ],
)
def test_si(value: float, unit: str, text: str) -> None:
    assert si(value, unit) == text


def test_percent_durations_and_shapes() -> None:
    assert (percent(0.02314), percent(math.nan)) == ("2.31%", "–")
    assert [duration(seconds) for seconds in (8.24, 59.97, 245, 1800, 11_520, 187_200, math.nan)] == [
        *("8.2 s", "1 min", "4 min 05 s", "30 min", "3 h 12 min", "2 d 04 h", "–"),
    ]
    assert shape_text((3, 224, 224)) == "3x224x224"


def test_static_figures(tmp_path: Path) -> None:
    pytest.importorskip("kaleido", reason="kaleido is not installed: pip install archspace[static]")
    if browser() is None:
        pytest.skip("no Chrome or Chromium for kaleido to draw with")
    paths = save_figures(RECORDS["mixed"](), tmp_path, "svg")
    assert [path.name for path in paths] == ["front.svg", "curves.svg", "hypervolume.svg"]
    assert all(path.read_text("utf-8").startswith("<svg") for path in paths)
    assert "resnet-20" in paths[0].read_text("utf-8")


def test_static_figures_without_kaleido_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(UserError, match=r"pip install archspace\[static\]"):
        save_figures(RECORDS["one"](), tmp_path)


def test_a_browser_draws_every_figure_and_nothing_from_the_run_is_executed(tmp_path: Path) -> None:
    found = browser()
    if found is None:
        pytest.skip("no Chrome or Chromium to open the page with")
    record = RECORDS["mixed"]()
    attack = "<img src=x onerror=document.title='owned'>"
    record = replace(record, name=attack, trials=record.trials.assign(name=attack, reason=f"</script>{attack}"))
    page = write_report(record, tmp_path / "report.html")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--dump-dom"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [found, *options, profile, "--virtual-time-budget=5000", "--enable-logging=stderr", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    drawn = re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)
    assert drawn.count('<g class="infolayer"') == 3
    assert "<title>owned" not in done.stdout
    assert "CONSOLE" not in done.stderr


def browser() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return next((path for path in map(shutil.which, names) if path), None)


def test_narrow_axes_have_labels_that_differ() -> None:
    _, labels = log_ticks(0.01998, 0.02002, "s")
    assert len(set(labels)) == len(labels) > 1


def test_the_recipe_is_told_as_it_was() -> None:
    recipe = Recipe(
        schedule="steps", milestones=(0.5, 0.75), nesterov=False, lr=0.1, lr_batch=256, batch=64, crop=2, decay_all=True
    )
    told = dict(dict(settings(a_config(recipe=recipe)))["Recipe"])
    assert told["optimiser"] == "SGD with momentum 0.9"
    assert told["schedule"] == "steps at 0.5, 0.75 of all"
    assert told["peak learning rate"] == "0.025"
    assert told["crop"] == "2"
    assert told["weight decay"].endswith("norms and biases too")
    assert "flip" not in told
