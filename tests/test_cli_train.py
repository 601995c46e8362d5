"""`archspace train` and `evaluate`: one network on real digits, its folder, and what is refused."""

import dataclasses
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from end_to_end import Caller, Said, searching
from filelock import FileLock
from safetensors.torch import load_file

import archspace
from archspace import api, solo, trained
from archspace.cli.curve import curve_lines
from archspace.closed_form import cost_of
from archspace.data.tasks import Task, load_task
from archspace.genome import canonical_json
from archspace.records.metrics import read_metrics
from archspace.solo import train
from archspace.trained import Trained
from archspace.training.recipe import Recipe
from archspace.units import si

GENOME = tiny.genomes(1)[0]
RECIPE = "epochs: 2\nbatch: 128\nlr: 0.1\nnorm_batches: 2\nprecision: fp32\nlayout: contiguous\n"
USUAL = Path("trained/mine-digits-quick-seed0")
COMMAND = ("train", "mine.json", "--recipe", "quick.yaml", "--threads", "1")
SEARCH = ("--space", "plain", "--budget", "1GFLOPs")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Caller:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARCHSPACE_RUNS", raising=False)
    Path("mine.json").write_text(canonical_json(GENOME))
    Path("quick.yaml").write_text(RECIPE)
    return Caller(capsys, monkeypatch)


def trained_in(folder: Path, **changes: Any) -> Trained:
    usual: dict[str, Any] = {"recipe": tiny.RECIPE, "threads": 1, "device": "cpu"}
    return train(GENOME, "digits", folder=folder, **usual | changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training that nothing interrupted."""
    return trained_in(tmp_path_factory.mktemp("trained") / "whole")


def refused(said: Said) -> str:
    assert said.code == 2, said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err


def stop_after(epoch: int) -> Callable[[str, int, int], None]:
    def progress(_: str, done: int, __: int) -> None:
        if done == epoch:
            raise KeyboardInterrupt

    return progress


def same_bits(folder: Path, other: Path) -> bool:
    ours, theirs = (load_file(place / "weights.safetensors") for place in (folder, other))
    assert ours.keys() == theirs.keys()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_network_is_trained_measured_and_exported(call: Caller) -> None:
    said = call(*COMMAND)
    assert said.code == 0, said.err
    lines = [line for line in said.err.splitlines() if " ms a step" not in line]  # tells which modes were measured
    cost = cost_of(GENOME, (1, 32, 32), 10)
    assert lines[0].startswith(f"mine (genome {GENOME.id}) on digits: 1077 train, 360 val, 360 test images")
    figures = f"{si(cost.params, 'params')}, {si(cost.flops, 'FLOPs')}"
    assert lines[1].startswith(f"{figures} at 1x32x32, 10 classes; 2 epochs take ")
    # Whether the step is fused was measured.
    assert lines[2].replace(", fused step", "") == f"recipe quick, seed 0; cpu, fp32, contiguous, 1 thread; in {USUAL}"
    assert [line.split("  ")[0] for line in lines[3:]] == ["epoch 1/2", "epoch 2/2"]
    assert all("images/s" in line for line in lines[3:])
    assert "epoch 2" in said.out
    assert " of 360 images, 95 % interval " in said.out
    assert f"`archspace evaluate {USUAL}`" in said.out
    assert {"training.yaml", "metrics.jsonl", "weights.safetensors"} <= {path.name for path in USUAL.iterdir()}
    spent = [line["training_flops"] for line in read_metrics(USUAL)]
    assert spent == [1077 * cost.training_flops, 2 * 1077 * cost.training_flops]

    again = call(*COMMAND, "--json")
    assert "finished already, all 2 epochs" in again.err
    told = json.loads(again.out)
    assert (told["epochs"], told["images"], told["training_flops"]) == (2, 360, spent[-1])
    assert [row["epoch"] for row in told["curve"]] == [1, 2]

    val = json.loads(call("evaluate", USUAL, "--split", "val", "--json").out)
    assert (val["error"], val["cross_entropy"]) == (told["error"], told["cross_entropy"])
    assert (val["split"], val["images"], val["interval"]) == ("val", 360, told["interval"])
    said = call("evaluate", USUAL)
    assert said.out.splitlines()[0] == "mine on digits after 2 epochs"
    assert said.out.splitlines()[1].startswith("test error ")

    said = call("export", USUAL, "-o", "best.py")
    assert said.code == 0, said.err
    assert said.out == "best.py\nbest.safetensors\n"
    assert "Trained for 2 epochs." in Path("best.py").read_text()


def test_python_has_the_same(whole: Trained, tmp_path: Path) -> None:
    assert archspace.train is train
    assert whole.curve["epoch"].tolist() == [1, 2]
    assert whole.error == whole.curve["error"].iloc[-1]
    assert whole.interval[0] < whole.error < whole.interval[1]
    measured = archspace.evaluate(whole.folder, "val")
    assert (measured.error, measured.cross_entropy) == (whole.error, whole.cross_entropy)
    assert not whole.network.training
    with pytest.raises(archspace.UserError, match="split 'train'"):
        archspace.evaluate(whole.folder, "train")  # type: ignore[arg-type]
    own = trained_in(tmp_path / "own", recipe=Recipe(), settings=("recipe.epochs=1", "recipe.batch=512"))
    assert own.config.recipe == Recipe(epochs=1, rungs=(1,), batch=512)


def test_threads_are_put_back(whole: Trained) -> None:
    before = torch.get_num_threads()
    assert train(GENOME, folder=whole.folder, recipe=tiny.RECIPE).epochs == 2  # no threads named: those of the folder
    assert torch.get_num_threads() == before


def test_an_interrupted_training_goes_on_to_the_same_bits(whole: Trained, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained_in(tmp_path / "t", progress=stop_after(1))
    assert len(read_metrics(tmp_path / "t")) == 1
    told: list[str] = []
    again = trained_in(tmp_path / "t", told=told.append)
    assert "going on after epoch 1 of 2" in told
    assert same_bits(tmp_path / "t", whole.folder)
    assert again.curve[["train_loss", "error", "cross_entropy"]].equals(
        whole.curve[["train_loss", "error", "cross_entropy"]]
    )


def test_ctrl_c_ends_cleanly_and_the_same_command_goes_on(call: Caller, tmp_path: Path) -> None:
    command = (*COMMAND, "--set", "recipe.epochs=12", "-o", "t")
    with searching(*command, cwd=tmp_path) as process:
        process.wait_for(lambda: len(read_metrics(Path("t"))) >= 2)
        process.process.send_signal(signal.SIGINT)
        said = process.end()
    assert said.code == 130, said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    assert said.err.splitlines()[-1].endswith("of 12; the same command again goes on with it")
    again = call(*command)
    assert again.code == 0, again.err
    assert "going on after epoch " in again.err
    assert [line["epoch"] for line in read_metrics(Path("t"))] == list(range(1, 13))


def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(whole: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "t"
    trained_in(folder)
    for name, used in (("weights.safetensors", "of epoch 1"), ("optimizer-2.pt", "of epoch 1")):
        (folder / name).write_bytes((folder / name).read_bytes()[:-100])
        told: list[str] = []
        trained_in(folder, told=told.append)
        assert f"the newest checkpoint is damaged: the one before is used, {used}" in told
        assert same_bits(folder, whole.folder)
    for file in folder.glob("weights*"):
        file.write_bytes(b"")
    told = []
    trained_in(folder, told=told.append)
    assert "the newest checkpoint is damaged: so is the one before: training begins anew" in told
    assert same_bits(folder, whole.folder)


def test_lost_metrics_are_not_trained_over(tmp_path: Path) -> None:
    trained_in(tmp_path / "t")
    (tmp_path / "t" / "metrics.jsonl").unlink()
    for read in (trained_in, trained.read_trained):
        with pytest.raises(archspace.UserError, match=r"metrics\.jsonl lacks epochs"):
            read(tmp_path / "t")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": 1}, "seed is 0, asked for is 1"),
        ({"recipe": tiny.RECIPE.model_copy(update={"lr": 0.2})}, "recipe.lr is 0.1, asked for is 0.2"),
        ({"settings": ("recipe.epochs=3",)}, "recipe.epochs is 2, asked for is 3; recipe.rungs is 1, 2, asked for is"),
        ({"threads": 2}, "threads is 1, asked for is 2"),
    ],
)
def test_another_training_in_the_same_folder_is_refused(
    whole: Trained, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], told: str
) -> None:
    monkeypatch.setattr(solo, "cores", lambda: 2)
    before = {path: path.read_bytes() for path in whole.folder.iterdir()}
    with pytest.raises(archspace.UserError) as error:
        trained_in(whole.folder, **changes)
    assert f"{whole.folder}: holds another training: {told}" in str(error.value)
    assert before == {path: path.read_bytes() for path in whole.folder.iterdir()}


def test_another_genome_or_task_in_the_same_folder_is_refused(whole: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tiny.genomes(2)[1]
    with pytest.raises(archspace.UserError, match=rf"genome is .*, asked for is {other.id}"):
        train(other, folder=whole.folder, recipe=tiny.RECIPE)
    monkeypatch.setattr(solo, "load_task", changed(name="numbers"))
    with pytest.raises(archspace.UserError, match="task is digits, asked for is numbers"):
        trained_in(whole.folder)


def changed(**fields: Any) -> Callable[..., Task]:
    return lambda *_: dataclasses.replace(load_task("digits"), **fields)


def test_changed_data_are_refused(whole: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, use in ((solo, trained_in), (trained, archspace.evaluate)):
        monkeypatch.setattr(module, "load_task", changed(fingerprint="others"))
        with pytest.raises(archspace.UserError, match="the data of task digits have changed since this training began"):
            use(whole.folder)  # type: ignore[operator]


def test_a_folder_has_one_writer(whole: Trained) -> None:
    with FileLock(whole.folder / ".lock"), pytest.raises(archspace.UserError, match="another process is working on"):
        trained_in(whole.folder)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("train", "resnet51"), "genome 'resnet51' (did you mean"),
        (("train", "alexnet"), "alexnet cannot be trained on digits at 1x32x32: head: a map of 1x1 is too small"),
        ((*COMMAND, "--task", "digit"), "unknown task 'digit' (did you mean 'digits'?)"),
        ((*COMMAND, "--task", "folder:it's", "--task-option", "size=8"), "No closing quotation"),
        ((*COMMAND, "--task-option", "size=8"), "task digits takes no options"),
        ((*COMMAND, "--recipe", "fst"), "recipe 'fst' (did you mean 'fast'?)"),
        ((*COMMAND, "--set", "recipe.crop=32"), "recipe.crop of 32 pixels is as large as the images"),
        ((*COMMAND, "--set", "recipe.lr=none"), "--set recipe.lr"),
        ((*COMMAND, "--device", "tpu"), "'tpu' is not one of 'cpu', 'cuda'"),
        ((*COMMAND, "--threads", "0"), "'--threads'"),
        ((*COMMAND, "--threads", "9999"), "threads 9999: this process may use 1 to "),
        ((*COMMAND, "-o", "."), ".: holds something, but no training: it has no training.yaml"),
        ((*COMMAND, "-o", "mine.json"), "mine.json: is a file; name a folder with -o"),
        ((*COMMAND, "-o", "mine.json/t"), "mine.json/t: cannot be written: Not a directory"),
        (("evaluate", "nothing"), "nothing: no such folder; `archspace train` makes one"),
        (("evaluate", "mine.json"), "mine.json: no such folder"),
        (("evaluate", "."), ".: not a training: it has no training.yaml"),
        (("evaluate", "t", "--split", "train"), "'train' is not one of 'val', 'test'"),
        (
            ("search", *SEARCH, "--recipe", "fst"),
            "recipe 'fst' (did you mean 'fast'?)",
        ),
        (("plan", *SEARCH, "--task-option", "size"), "expected KEY=VALUE"),
    ],
)
def test_a_mistake_is_told(call: Caller, arguments: tuple[str, ...], told: str) -> None:
    said = refused(call(*arguments))
    assert told in said, said
    assert not Path("trained").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_told(call: Caller) -> None:
    assert "torch finds no GPU here; use cpu" in refused(call(*COMMAND, "--device", "cuda"))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("format: 1", "format: 99", "written by a newer archspace (format 99, this one reads 1)"),
        ("format: 1\n", "", "not a training's configuration: it names no format"),
        ("seed: 0\nd", "seed: none\nd", "seed: Input should be a valid integer"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_told(call: Caller, old: str, new: str, told: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        train("mine.json", recipe="quick.yaml", progress=stop_after(0))
    file = USUAL / "training.yaml"
    assert "no epoch is done yet" in refused(call("evaluate", USUAL))
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    for arguments in (COMMAND, ("evaluate", USUAL)):
        assert told in refused(call(*arguments))


def test_a_training_that_diverges_fails(call: Caller) -> None:
    said = call(*COMMAND, "--set", "recipe.lr=1e9")
    assert said.code == 1
    assert said.out == ""
    assert f"{USUAL}: training failed: diverged: the training loss became" in said.err
    assert "a smaller recipe.lr" in said.err
    assert "Traceback" not in said.err


def test_search_and_plan_take_task_options_and_a_recipe(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def caught(*_: object, **request: Any) -> None:
        asked.append(request)
        raise archspace.UserError("caught")

    for name in ("search", "plan_search"):
        monkeypatch.setattr(api, name, caught)
    options = ("--task", "cifar10", "--task-option", "size=16", "--recipe", "fast", "--set", "recipe.lr=0.3")
    for command in (("search",), ("search", "--dry-run"), ("plan",)):
        assert "caught" in refused(call(*command, *SEARCH, *options))
    assert len(asked) == 3
    for request in asked:
        assert request["task"] == "cifar10 size=16"
        assert (request["recipe"].epochs, request["recipe"].lr) == (15, 0.3)
        assert not {"task_options", "settings"} & set(request)


def test_a_curve_is_drawn_within_its_width() -> None:
    falling = [0.9, 0.5, 0.3, 0.2, 0.15]
    lines = curve_lines(range(1, 6), falling, 60)
    assert all(len(line) <= 60 for line in lines)
    assert lines[0].startswith("  90.00%┤")
    assert lines[7].startswith("  15.00%┤")
    assert lines[-1].split() == ["1", "epoch", "5"]
    stars = curve_lines(range(1, 6), falling, 60, unicode=False)
    assert all(line.isascii() for line in stars)
    columns = [min(row for row in range(8) if stars[row][9 + at : 10 + at] == "*") for at in range(0, 51, 10)]
    assert columns == sorted(columns)
    assert columns[0] == 0
    assert columns[-1] == 7
    assert curve_lines([1], [0.5], 60) == curve_lines(range(1, 6), falling, 12) == []
    flat = curve_lines([1, 2, 3], [0.5, 0.5, 0.5], 60, unicode=False)
    assert [line.count("*") for line in flat[:8]] == [0, 0, 0, 0, 51, 0, 0, 0]


@pytest.mark.parametrize("colour", [True, False])
def test_the_curve_has_colour_unless_it_is_unwanted(
    whole: Trained, monkeypatch: pytest.MonkeyPatch, colour: bool
) -> None:
    import click

    from archspace.cli import train as command

    printed: list[str] = []
    monkeypatch.setattr(click, "echo", lambda line="", **_: printed.append(line))
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    command._print(whole)
    assert any("\x1b[" in line for line in printed) is colour
