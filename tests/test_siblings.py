"""What another run trained is not trained again."""

from pathlib import Path
from typing import Any

import pytest
import tiny

from archspace.records.metrics import FILE, read_metrics
from archspace.records.view import read_run
from archspace.searching.run import start
from archspace.searching.searcher import Searcher
from archspace.training.checkpoint import load_checkpoint


def searched(runs: Path, **changes: Any) -> Path:
    return start(tiny.request(runs, **changes), lambda _: None, executor="in-process").folder


def trained_here(folder: Path) -> int:
    """Epochs that a run trained itself."""
    return sum("run" not in entry for path in folder.glob("trials/*") for entry in read_metrics(path))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return searched(tmp_path_factory.mktemp("runs"), name="first")


def test_the_same_search_trains_nothing_twice(first: Path) -> None:
    files = [path for path in first.rglob("*") if path.is_file() and not path.name.startswith("study.db")]
    before = {path: path.read_bytes() for path in files}
    again = searched(first.parent, name="again")
    one, two = read_run(first).trials, read_run(again).trials
    figures = ["id", "state", "epochs", "error", "cross_entropy", "seed"]
    assert trained_here(first) > 0
    assert trained_here(again) == 0
    assert one[figures].to_dict("records") == two[figures].to_dict("records")
    assert set(two[two["state"] == "complete"]["reason"]) == {"trained in run first"}
    assert all(load_checkpoint(path) is not None for path in again.glob("trials/*"))
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize(
    "changes", [{"seed": 37}, {"recipe": tiny.RECIPE.model_copy(update={"lr": 0.05})}], ids=["seed", "recipe"]
)
def test_another_seed_or_recipe_is_another_training(first: Path, changes: dict[str, Any]) -> None:
    other = searched(first.parent, trials=1, **changes)
    assert trained_here(other) == len(read_run(other).curves) > 0


def test_a_sibling_that_cannot_be_read_is_passed_over(first: Path, tmp_path: Path) -> None:
    for broken in ("torn", "empty"):
        (tmp_path / broken).mkdir()
        (tmp_path / broken / "run.yaml").write_bytes((first / "run.yaml").read_bytes())
    (tmp_path / "torn" / "study.db").write_bytes(b"SQLite format 3\0torn")
    (tmp_path / "odd" / "run.yaml").mkdir(parents=True)
    assert trained_here(searched(tmp_path, trials=1)) > 0


def test_an_epoch_without_its_weights_is_trained_again(tmp_path: Path) -> None:
    kept = searched(tmp_path, name="kept", trials=1)
    for weights in kept.glob("trials/*/*.safetensors"):
        weights.unlink()
    again = searched(tmp_path, name="again", trials=1)
    assert trained_here(again) == len((again / "trials" / "0" / FILE).read_text().splitlines())


def test_progress_is_told_of_what_was_known(first: Path) -> None:
    heard: list[int] = []

    def listen(searcher: Searcher) -> None:
        heard.append(len(searcher.running))

    start(tiny.request(first.parent, name="heard", trials=2), listen, executor="in-process")
    assert heard


def test_of_a_sibling_no_more_is_taken_than_it_has_weights_for(tmp_path: Path) -> None:
    kept = searched(tmp_path, name="kept", trials=1)
    (kept / "trials" / "0" / "weights.safetensors").write_bytes(b"torn")
    again = searched(tmp_path, name="again", trials=1)
    lines = read_metrics(again / "trials" / "0")
    assert [("run" in line) for line in lines] == [True, False]
    found = load_checkpoint(again / "trials" / "0")
    assert found is not None
    assert found.epoch == 2
