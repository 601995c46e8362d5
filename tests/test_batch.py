"""A batch: trainings known beforehand, done once, gone on with after a stop."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny

from archspace.errors import UserError
from archspace.records.ledger import BatchLedger
from archspace.records.wrong import read_wrong
from archspace.searching.batch import BatchRequest, Training, batch_frame, run_batch, share_of
from archspace.searching.machine import Share
from archspace.searching.queue import Queue
from archspace.training.recipe import Recipe

RECIPE = Recipe(epochs=2, rungs=(2,), batch=128, norm_batches=1)


def request(folder: Path, n: int = 2, recipe: Recipe = RECIPE) -> BatchRequest:
    trainings = tuple(
        Training(f"one/{number}", genome, number, recipe, {"arm": "a", "number": number}, test=number == 0)
        for number, genome in enumerate(tiny.genomes(n))
    )
    return BatchRequest(folder, "digits", trainings)


def test_a_batch_trains_each_once_and_tests_those_that_shall_be(tmp_path: Path) -> None:
    ended = run_batch(request(tmp_path / "b"), executor="in-process")
    assert not ended.interrupted
    assert (ended.unfinished, ended.failed) == (0, {})
    frame = batch_frame(tmp_path / "b").set_index("name")
    assert list(frame["state"]) == ["complete", "complete"]
    assert list(frame["epochs"]) == [2, 2]
    assert list(frame["arm"]) == ["a", "a"]
    wrong = read_wrong(BatchLedger.open(tmp_path / "b").trial_folder(0))
    assert wrong is not None
    assert frame.loc["one/0", "test_error"] == pytest.approx(wrong.mean())
    assert np.isnan(frame.loc["one/1", "test_error"])
    before = frame["seconds"]
    grown = run_batch(request(tmp_path / "b", 3), executor="in-process")
    after = batch_frame(tmp_path / "b").set_index("name")
    assert grown.unfinished == 0
    assert list(after.loc[before.index, "seconds"]) == list(before)
    assert len(after) == 3


def test_a_batch_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def stop(queue: Queue) -> None:
        if any(queue.curves[number] for number in queue.running):
            raise KeyboardInterrupt

    assert run_batch(request(tmp_path / "stopped"), stop, executor="in-process").interrupted
    assert not run_batch(request(tmp_path / "stopped"), executor="in-process").interrupted
    run_batch(request(tmp_path / "whole"), executor="in-process")
    columns = ["name", "error", "cross_entropy", "test_error"]
    stopped, whole = (batch_frame(tmp_path / name)[columns] for name in ("stopped", "whole"))
    assert stopped.equals(whole)


def test_what_diverged_has_ended_and_what_failed_otherwise_is_tried_again(tmp_path: Path) -> None:
    wild = RECIPE.model_copy(update={"lr": 1e9})
    ended = run_batch(request(tmp_path / "wild", 1, wild), executor="in-process")
    assert (ended.unfinished, ended.failed) == (0, {})
    assert batch_frame(tmp_path / "wild")["reason"][0].startswith("diverged")

    def spoil(queue: Queue) -> None:
        for number in list(queue.running):
            queue.fail(number, "its worker process died 2 times")

    ended = run_batch(request(tmp_path / "lost", 1), spoil, executor="in-process")
    assert ended.failed == {"one/0": "its worker process died 2 times"}
    again = run_batch(request(tmp_path / "lost", 1), executor="in-process")
    assert again.failed == {}
    assert list(batch_frame(tmp_path / "lost")["state"]) == ["complete"]


@pytest.mark.slow
def test_a_batch_runs_on_ray(tmp_path: Path) -> None:
    ended = run_batch(replace(request(tmp_path / "ray"), concurrency=2))
    assert ended.unfinished == 0
    run_batch(request(tmp_path / "here"), executor="in-process")
    columns = ["error", "cross_entropy", "test_error"]
    on_ray = batch_frame(tmp_path / "ray").set_index("name").sort_index()[columns]
    assert on_ray.equals(batch_frame(tmp_path / "here").set_index("name").sort_index()[columns])


def test_a_crop_that_the_images_have_no_room_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="crop"):
        run_batch(request(tmp_path / "no", 1, RECIPE.model_copy(update={"crop": 40})), executor="in-process")
    assert not (tmp_path / "no").exists()


def test_what_is_asked_for_now_goes_before_what_a_batch_began_with(tmp_path: Path) -> None:
    asked = replace(request(tmp_path / "b", 1), concurrency=1)
    run_batch(asked, executor="in-process")
    config = BatchLedger.open(tmp_path / "b").config
    assert share_of(replace(asked, concurrency=None), config).concurrency == 1
    assert share_of(replace(asked, concurrency=3), config) == Share("cpu", 3, 0.0)
    with pytest.raises(UserError, match="its trainings began on cuda, asked for is cpu"):
        share_of(replace(asked, gpus_per_trial=0.0), config.model_copy(update={"device": "cuda"}))


def test_all_kinds_of_a_batch_share_a_mode(tmp_path: Path) -> None:
    run_batch(request(tmp_path / "b", 2), executor="in-process")
    assert len(set(BatchLedger.open(tmp_path / "b").config.modes.values())) == 1
