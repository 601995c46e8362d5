"""A study from its file to its verdicts, on the command line and in process."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_study
from click.testing import CliRunner

from archspace.cli.main import archspace
from archspace.errors import UserError
from archspace.records.ledger import BatchLedger
from archspace.searching.batch import BatchRequest, batch_frame, run_batch
from archspace.searching.queue import Queue
from archspace.study.file import load_study
from archspace.study.findings import findings_of, summary
from archspace.study.page import html_of
from archspace.study.plan import plan_lines, plan_study, power_of
from archspace.study.rates import tuning_trainings
from archspace.study.results import keep_results, read_results
from archspace.study.run import Machine, StudyEnded, folder_of, run_study

HERE = Machine(executor="in-process")


def run(folder: Path, runs: Path, listener: Any = lambda _: None) -> StudyEnded:
    return run_study(load_study(folder), runs, HERE, listener, lambda _: None)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that was stopped while rates were tuned, again among the final trainings, and ended."""
    base = tmp_path_factory.mktemp("study")
    folder = tiny_study.write(base / "tiny")

    def stop_at(done: int) -> Any:
        def listen(queue: Queue) -> None:
            if queue.done >= done:
                raise KeyboardInterrupt

        return listen

    tuning = 2 * 4 * 2
    for stop in (3, tuning + 2):
        ended = run(folder, base / "runs", stop_at(stop))
        assert ended.interrupted
        assert ended.results is None
    ended = run(folder, base / "runs")
    assert ended.results == folder / "results"
    assert not ended.unfinished
    return folder


def test_a_study_that_was_stopped_trains_nothing_twice(ran: Path) -> None:
    study = load_study(ran)
    frame = batch_frame(folder_of(study, ran.parent / "runs"))
    assert len(frame) == 2 * 4 * 2 + 2 * 4 * 2
    assert set(frame["state"]) == {"complete"}
    assert frame["name"].is_unique
    assert set(frame["epochs"]) == {1}


def test_only_final_trainings_look_at_the_test_split(ran: Path) -> None:
    results = read_results(load_study(ran))
    tuned = results.trainings["purpose"] == "tuning"
    assert results.trainings.loc[tuned, "test_error"].isna().all()
    assert results.trainings.loc[~tuned, "test_error"].notna().all()
    finals = results.finals
    assert len(finals) == 16
    for row in finals.itertuples():
        wrong = results.wrong[row.anchor, row.arm, row.seed]  # type: ignore[index]
        assert wrong.mean() == pytest.approx(row.error)  # type: ignore[arg-type]


def test_every_cell_has_the_rate_that_was_best_on_val(ran: Path) -> None:
    study = load_study(ran)
    results = read_results(study)
    tuned = results.trainings[results.trainings["purpose"] == "tuning"]
    for rate in results.rates:
        mine = tuned[(tuned["cell"] == rate.cell) & (tuned["arm"] == rate.arm)]
        assert set(mine["rate"]) == {0.05, 0.1}
        assert mine.loc[mine["error"].idxmin(), "rate"] == rate.rate or mine["error"].nunique() == 1
        finals = results.finals
        assert set(finals[(finals["cell"] == rate.cell) & (finals["arm"] == rate.arm)]["rate"]) == {rate.rate}
        assert rate.edge  # of two rates each is an end


def test_findings_pair_within_anchors_and_divide_by_doublings(ran: Path) -> None:
    study = load_study(ran)
    results = read_results(study)
    found = findings_of(study, results).registered.findings
    finals = results.finals
    for finding in found:
        effects = []
        for anchor in results.design.anchors:
            rows = finals[finals["anchor"] == anchor.name]
            means = rows.groupby("arm")["error"].mean()
            spent = [anchor.doublings(arm) for arm in (finding.contrast.a, finding.contrast.b)]
            doublings = np.mean(spent) if min(spent) > 0.1 else max(spent)
            effects.append(100 * (means[finding.contrast.a] - means[finding.contrast.b]) / doublings)
        assert finding.effect.value == pytest.approx(np.mean(effects))
    told = summary(study, results, findings_of(study, results))
    assert told["registered"] == study.registered
    assert [one["name"] for one in told["contrasts"]] == ["cardinality - depth", "cardinality - base"]
    assert {one["verdict"] for one in told["contrasts"]} <= {"superior", "inferior", "equivalent", "inconclusive"}


def test_the_report_prints_verdicts_and_writes_one_page(ran: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ended = CliRunner().invoke(archspace, ["study", "report", str(ran), "-o", str(page), "--json"])
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert set(told) == {"study", "registered", "results", "contrasts"}
    text = page.read_text()
    assert told["registered"] in text
    assert told["contrasts"][0]["statement"][:60] in text
    assert "Exploratory" in text
    assert "http://" not in text.replace("http://www.w3.org", "").split("<body>")[1].split("<script")[0]


def test_the_page_names_the_level_that_was_registered(ran: Path) -> None:
    study = load_study(ran)
    results = read_results(study)
    milder = replace(study, file=study.file.model_copy(update={"alpha": 0.1}))
    text = html_of(milder, results, findings_of(milder, results))
    assert "90 % interval" in text
    assert "95 % interval" not in text.split("<body>")[1].split("<script")[0]


@pytest.mark.slow
def test_time_is_that_of_both_phases_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def batch(request: BatchRequest, *rest: Any) -> Any:
        asked.append(request.seconds or 0.0)
        return run_batch(replace(request, seconds=None), *rest)

    monkeypatch.setattr("archspace.study.run.run_batch", batch)
    study = load_study(tiny_study.write(tmp_path / "tiny"))
    run_study(study, tmp_path / "runs", replace(HERE, seconds=3600.0), lambda _: None, lambda _: None)
    first, second = asked
    assert second < first <= 3600.0


def test_a_design_is_kept_with_the_first_training_and_never_drawn_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(queue: Queue) -> None:
        if queue.curves:
            raise KeyboardInterrupt

    study = load_study(tiny_study.write(tmp_path / "tiny"))
    assert run_study(study, tmp_path, HERE, stop, lambda _: None).interrupted
    folder = folder_of(study, tmp_path)
    kept = (folder / "design.json").read_text()
    monkeypatch.setattr("archspace.study.run.make_design", None)
    assert run_study(study, tmp_path, HERE, stop, lambda _: None).interrupted
    assert (folder / "design.json").read_text() == kept
    (folder / "design.json").write_text(kept[:-9])
    with pytest.raises(UserError, match=r"design.json: cannot be read .*; put it back as it was"):
        run_study(study, tmp_path, HERE, stop, lambda _: None)


def test_a_training_begun_with_another_genome_is_not_taken_for_this_one(ran: Path) -> None:
    study = load_study(ran)
    ledger = BatchLedger.open(folder_of(study, ran.parent / "runs"))
    one, other = tuning_trainings(study, read_results(study).design)[:3:2]
    assert one.genome.id != other.genome.id
    with pytest.raises(UserError, match=f"{one.name} was begun with genome {one.genome.id} and is to be trained with"):
        Queue(ledger, [replace(one, genome=other.genome)], 60, lambda _: None)


@pytest.mark.parametrize(
    ("name", "how", "message"),
    [
        ("trainings.csv", None, "damaged"),
        ("trainings.csv", lambda text: text[: len(text) // 2], "damaged .*lacks trainings, such as"),
        ("wrong.parquet", None, "damaged"),
        ("wrong.parquet", lambda text: text[:40], "damaged"),
        ("design.json", lambda text: text[:-9], "damaged"),
        ("about.json", lambda _: b"[]", "about.json: damaged; take it from version control"),
        ("about.json", None, "lacks about.json; take it from version control"),
    ],
)
def test_damaged_results_are_told(ran: Path, tmp_path: Path, name: str, how: Any, message: str) -> None:
    other = tiny_study.write(tmp_path / "tiny")
    (other / "results").mkdir()
    for path in (ran / "results").iterdir():
        (other / "results" / path.name).write_bytes(path.read_bytes())
    place = other / "results" / name
    content = place.read_bytes()
    place.unlink()
    if how is not None:
        place.write_bytes(how(content))
    with pytest.raises(UserError, match=message):
        read_results(load_study(other))


def test_what_else_lies_with_results_stays(ran: Path, tmp_path: Path) -> None:
    other = tiny_study.write(tmp_path / "tiny")
    (other / "results").mkdir()
    (other / "results" / "notes.md").write_text("mine")
    study = load_study(ran)
    design = read_results(study).design
    keep_results(load_study(other), design, folder_of(study, ran.parent / "runs"))
    assert (other / "results" / "notes.md").read_text() == "mine"
    assert (other / "results" / "trainings.csv").read_bytes() == (ran / "results" / "trainings.csv").read_bytes()
    edited = tiny_study.write(other, tiny_study.STUDY.replace("margin: 1.0", "margin: 2.0"))
    with pytest.raises(UserError, match="results of another version of this study"):
        keep_results(load_study(edited), design, folder_of(study, ran.parent / "runs"))


def test_an_edited_file_is_refused_over_old_results(ran: Path, tmp_path: Path) -> None:
    other = tiny_study.write(tmp_path / "tiny", tiny_study.STUDY.replace("margin: 1.0", "margin: 2.0"))
    (other / "results").mkdir()
    for path in (ran / "results").iterdir():
        (other / "results" / path.name).write_bytes(path.read_bytes())
    for call in (lambda: run(other, tmp_path / "runs"), lambda: read_results(load_study(other))):
        with pytest.raises(
            UserError, match=r"results of another version.*a changed file, or another --scale, is a new study"
        ):
            call()
    assert not (tmp_path / "runs").exists()


def test_results_whose_trainings_are_gone_are_kept_and_not_trained_again(ran: Path, tmp_path: Path) -> None:
    before, told = (ran / "results" / "trainings.csv").read_bytes(), []
    ended = run_study(load_study(ran), tmp_path / "none", HERE, lambda _: None, told.append)
    assert ended.results == ran / "results"
    assert not (tmp_path / "none").exists()
    assert len(told) == 1
    assert "nothing is left to run; move it away to train all anew" in told[0]
    assert (ran / "results" / "trainings.csv").read_bytes() == before


def test_a_study_without_results_says_how_to_get_them(tmp_path: Path) -> None:
    folder = tiny_study.write(tmp_path / "tiny")
    with pytest.raises(UserError, match="no results yet; `archspace study run"):
        read_results(load_study(folder))


def test_diverged_trainings_count_as_guessing(tmp_path: Path) -> None:
    text = tiny_study.STUDY.replace("[0.05, 0.1]", "[1.0e+9]").replace("seeds: 2\n", "seeds: 2\n", 1)
    text = text.replace(
        "strata: {cost: 2, shape: 1}\n  per_stratum: 1", "strata: {cost: 1, shape: 1}\n  per_stratum: 2"
    )
    text = text.replace("  width: {spend: width}\n", "").replace("  cardinality: {spend: cardinality}\n", "")
    text = text.replace("- {a: cardinality, b: depth}", "- {a: depth, b: base}").replace(
        "  - {a: cardinality, b: base}\n", ""
    )
    folder = tiny_study.write(tmp_path / "wild", text)
    assert run(folder, tmp_path / "runs").results is not None
    study = load_study(folder)
    results = read_results(study)
    assert results.finals["failed"].all()
    assert set(results.finals["error"]) == {0.9}
    assert set(results.finals["val_error"]) == {0.9}
    finding = findings_of(study, results).registered.findings[0]
    assert finding.failures == (4, 4)
    assert finding.effect.value == 0
    assert finding.verdict == "inconclusive"


@pytest.mark.slow
def test_an_arm_may_have_a_name_that_a_table_would_read_as_something_else(tmp_path: Path) -> None:
    text = tiny_study.STUDY.replace("  depth: {spend", '  "null": {spend').replace("b: depth}", 'b: "null"}')
    text = text.replace("  base: {}", '  "01": {}').replace("b: base}", 'b: "01"}')
    text = (
        text.replace("  width: {", "  cell: {")
        .replace("  cardinality: {", "  anchor: {")
        .replace("a: cardin", "a: anch")
    )
    text = text.replace("a: anchality", "a: anchor")
    folder = tiny_study.write(tmp_path / "named", text)
    study = load_study(folder)
    assert run(folder, tmp_path / "runs").results is not None
    results = read_results(study)
    assert set(results.finals["arm"]) == {"01", "null", "cell", "anchor"}
    found = findings_of(study, results)
    assert len(found.registered.findings) == 2
    assert np.isfinite(found.exploratory["effect"]).all()


def test_a_plan_counts_trainings_and_takes_power_from_a_pilot(ran: Path, tmp_path: Path) -> None:
    study = load_study(ran)
    results = read_results(study)
    made, design = plan_study(study, tmp_path, (study, results), measured=False)
    assert (made.anchors, made.tuning, made.final) == (2, 16, 16)
    assert made.smallest_p == 1.0  # two anchors, two contrasts
    assert len(made.power) == 2
    assert design.anchors == results.design.anchors
    assert any("strata are counted, not anchors" in line for line in plan_lines(study, made, design))
    other = load_study(
        tiny_study.write(
            tmp_path / "other",
            tiny_study.STUDY.replace("  depth: {spend", "  deep: {spend").replace("b: depth", "b: deep"),
        )
    )
    with pytest.raises(UserError, match="pilot tiny has no arm deep"):
        power_of(other, study, results, 1)


def test_power_from_a_pilot_counts_its_test_images(ran: Path) -> None:
    study = load_study(ran)
    results = read_results(study)
    images = len(next(iter(results.wrong.values())))
    # A fifth of the images is hard for one arm, everywhere.
    hard = {key: np.arange(images) < images / 5 * (key[1] == "cardinality") for key in results.wrong}
    pilot = replace(results, wrong=hard)
    few, many = (power_of(study, study, pilot, count)[0].needed.difference for count in (images // 10, 10**9))
    assert many is not None
    assert few is None or few > many
