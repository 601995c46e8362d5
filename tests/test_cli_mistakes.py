"""Mistakes at the command line: told on stderr at their place, exit code 2, never a traceback."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from end_to_end import SPACE, Caller, Said

from archspace.records.ledger import Ledger

GENOME = """\
stem: {kind: cifar, width: 16}
stages:
  - {block: bottleneck, depth: 2, width: 16, stride: 1, group_width: 4}
"""
SEARCH = ("search", "--space", "tiny.yaml", "--budget", "1MFLOPs")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Caller:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARCHSPACE_RUNS", raising=False)
    (tmp_path / "tiny.yaml").write_text(SPACE)
    return Caller(capsys, monkeypatch)


def refused(said: Said) -> list[str]:
    assert said.code == 2
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err.splitlines()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  depth:", "  deepth:", r"wrong\.yaml:7:3: stages\.deepth: unknown key \(did you mean 'depth'\?\)"),
        ("number: 2", "number: two", r"wrong\.yaml:5:3: stages\.number: .*found 'two'"),
        ("number: 2", "number: 2\n  number: 3", r"wrong\.yaml:6:3: key 'number' is here twice"),
        ("range: [1, 2]", "range: [2, 1]", r"wrong\.yaml:7:11: stages\.depth\.range: empty range"),
        ("bottleneck", "botleneck", r"wrong\.yaml:6:3: .*unknown block 'botleneck' \(did you mean 'bottleneck'\?\)"),
        ("name: tiny", "name: !!python/object/apply:os.getcwd []", r"wrong\.yaml:1:7: tag !!python/object"),
        ("[1, 32, 32]", "[1, 32", r"wrong\.yaml:2:\d+: not YAML"),
    ],
)
def test_a_wrong_space_is_told_at_its_place(call: Caller, old: str, new: str, told: str) -> None:
    assert old in SPACE
    Path("wrong.yaml").write_text(SPACE.replace(old, new, 1))
    for arguments in (
        ("space", "wrong.yaml"),
        ("sample", "--space", "wrong.yaml", "--budget", "1MFLOPs"),
        ("search", "--space", "wrong.yaml", "--budget", "1MFLOPs"),
    ):
        lines = refused(call(*arguments))
        assert any(re.match(told, line) for line in lines), lines
    assert not Path("runs").exists()


def test_a_cardinality_that_does_not_divide_a_width_is_told_at_its_place(call: Caller) -> None:
    genes = "  width: 20\n  cardinality: 8\n  bottleneck_ratio: 0.5\n"
    Path("wrong.yaml").write_text(SPACE.partition("  width: {range")[0] + genes)
    line = refused(call("space", "wrong.yaml"))[0]
    assert line.startswith("wrong.yaml:8:3: stages.width: stage 1: width 20 x bottleneck_ratio 0.5 = 10 channels ")
    assert line.endswith(" cannot be divided into cardinality 8 groups")


def test_every_mistake_of_a_file_is_told_in_one_reading(call: Caller) -> None:
    Path("wrong.yaml").write_text(SPACE.replace("  depth:", "  deepth:").replace("width: 4}", "width: four}"))
    lines = refused(call("space", "wrong.yaml"))
    assert [line.split(": ")[1] for line in lines] == ["stem.width", "stages", "stages.deepth"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("depth: 2", "deepth: 2", r"wrong\.yaml:3:\d+: stages\[0\]\.deepth: unknown key \(did you mean 'depth'\?\)"),
        ("width: 16, s", "width: x, s", r"wrong\.yaml:3:\d+: stages\[0\]\.width: "),
        ("bottleneck", "perception", r"wrong\.yaml:3:\d+: .*unknown block 'perception'"),
        ("stem:", "stem: {kind: cifar, width: 8}\nstem:", r"wrong\.yaml:2:1: key 'stem' is here twice"),
        ("depth: 2", "depth: !!python/name:os.getcwd ''", r"wrong\.yaml:3:\d+: tag "),
    ],
)
def test_a_wrong_genome_is_told_at_its_place(call: Caller, old: str, new: str, told: str) -> None:
    assert old in GENOME
    Path("wrong.yaml").write_text(GENOME.replace(old, new, 1))
    for arguments in (("cost", "wrong.yaml"), ("show", "wrong.yaml"), (*SEARCH, "--enqueue", "wrong.yaml")):
        lines = refused(call(*arguments))
        assert any(re.match(told, line) for line in lines), lines


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("search", "--space", "tiny.yaml", "--budget", "4GFLIPs"), "budget '4GFLIPs' cannot be read; write 4GFLOPs"),
        (("search", "--space", "tiny.yaml", "--budget", "1kFLOPs"), "the space reaches 160 kFLOPs to 2.62 MFLOPs"),
        (("search", "--space", "tiny.yaml"), "Missing option '--budget'"),
        (("search", "--space", "resnets", "--budget", "4GFLOPs"), "shipped are densenet, highway"),
        ((*SEARCH, "--task", "digit"), "unknown task 'digit' (did you mean 'digits'?)"),
        ((*SEARCH, "--name", "../t"), "run name '../t'"),
        ((*SEARCH, "--name", "/t"), "run name '/t'"),
        ((*SEARCH, "--name", "a b"), "run name 'a b'"),
        ((*SEARCH, "--enqueue", "resnet50"), "is outside the budget 1MFLOPs"),
        ((*SEARCH, "--set", "recipe.epoch=3"), "--set recipe.epoch=3: expected recipe.KEY=VALUE"),
        ((*SEARCH, "--set", "recipe.epochs=three"), "--set recipe.epochs: "),
        ((*SEARCH, "--set", "recipe.rungs=1,5"), "must rise and end at epochs = 3"),
        ((*SEARCH, "--time", "5"), "write 90s, 30m or 1h30m"),
        ((*SEARCH, "--trials", "0"), "'--trials'"),
        ((*SEARCH, "--gpus-per-trial", "99"), "--gpus-per-trial 99: this machine has"),
        (("resume", "nothing"), "no such run; `archspace runs` lists what there is"),
        (("resume", "../t"), "run name '../t'"),
        (("resume", "nothing", "--trials", "8"), "write +8 for eight more trials"),
        (("show", "nothing"), "no run 'nothing' in runs"),
        (("report", "nothing"), "no such run"),
        (("report", ".."), "run name '..'"),
        (("export", "resnet18", "--format", "safetensors"), "has no weights to export"),
        (("export", "resnet18", "-o", "tiny.yaml/resnet18.py"), "cannot be written"),
        (("cost", "resnet51"), "genome 'resnet51' (did you mean 'resnet50'?)"),
        (("cost", ""), "genome ''"),
        (("cost", "nothing.yaml"), "nothing.yaml: no such file"),
        (("cost", "nothing:0123456789ab"), "no such run"),
        (("zoo", "resnet51"), "the zoo has no network 'resnet51'"),
        (("evaluate", "nowhere"), "archspace: nowhere: no such folder; `archspace train` makes one"),
        ((*SEARCH, "--set", "recipe.crop=32"), "recipe.crop of 32 pixels is as large as the images of 1x32x32"),
        ((*SEARCH, "--set", "recipe.cutout=32"), "recipe.cutout of 32 pixels is as large as the images of 1x32x32"),
        (("train", "ResNet-20_A_c10", "--set", "recipe.crop=32"), "archspace: recipe.crop of 32 pixels is as large as"),
        (("seek",), "No such command 'seek'"),
    ],
)
def test_a_wrong_argument_is_told(call: Caller, arguments: tuple[str, ...], told: str) -> None:
    lines = refused(call(*arguments))
    assert any(told in line for line in lines), lines
    assert not Path("runs").exists()


@pytest.mark.parametrize("command", [SEARCH, ("train", "ResNet-20_A_c10")])
def test_compiling_without_a_compiler_is_refused(
    call: Caller, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "/nowhere/c++")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    (line,) = refused(call(*command, "--set", "recipe.compile=on"))
    assert "needs a C++ compiler on a CPU, and /nowhere/c++ is not found" in line
    assert not Path("runs").exists()
    assert not Path("trained").exists()


def test_a_run_that_exists_is_not_begun_again(call: Caller) -> None:
    Ledger.create(Path("runs/t"), tiny.config())
    (line,) = refused(call(*SEARCH, "--name", "t"))
    assert "run 't' exists in runs; `archspace resume t` goes on with it" in line
    for reference in ("t:0123456789ab", "t:"):
        assert "run 't' has no genome" in refused(call("cost", reference))[0]
    assert "has no winner yet" in refused(call("export", "t"))[0]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("format: 1", "format: 99", "written by a newer archspace (format 99, this one reads 1); upgrade archspace"),
        ("format: 1\n", "", "names no format"),
        ("seed: 1\n", "seed: one\n", "seed: Input should be a valid integer"),
        ("name: t\n", "name: !!python/name:os.getcwd ''\n", "cannot be read"),
    ],
)
def test_a_run_that_cannot_be_read_is_told(call: Caller, old: str, new: str, told: str) -> None:
    Ledger.create(Path("runs/t"), tiny.config())
    file = Path("runs/t/run.yaml")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    for arguments in (("show", "t"), ("resume", "t"), ("report", "t"), ("export", "t")):
        lines = refused(call(*arguments))
        assert lines[0].startswith("archspace: runs/t/run.yaml: "), lines
        assert told in lines[0]
    listed = call("runs", "--json")  # one broken run does not hide the others
    assert (listed.code, listed.out) == (0, "[]\n")
    assert told in listed.err


def test_a_study_that_is_no_database_is_told(call: Caller) -> None:
    Ledger.create(Path("runs/t"), tiny.config())
    for file in Path("runs/t").glob("study.db*"):
        file.unlink()
    Path("runs/t/study.db").write_bytes(b"not a database, but long enough to be taken for one" * 100)
    (line,) = refused(call("show", "t"))
    assert line.startswith("archspace: runs/t/study.db: cannot be opened as a study")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FAMILIES = missing", "entry point archspace.blocks: mine = mine:FAMILIES cannot be loaded: NameError"),
        ("FAMILIES = (1,)", "entry point archspace.blocks: mine = mine:FAMILIES is not a tuple of Family"),
        ("from archspace.blocks.basic import FAMILIES", "there is a block 'basic' already; give yours another name"),
    ],
)
def test_a_package_with_broken_blocks_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    (tmp_path / "mine-1.0.dist-info").mkdir()
    (tmp_path / "mine-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (tmp_path / "mine-1.0.dist-info" / "entry_points.txt").write_text("[archspace.blocks]\nmine = mine:FAMILIES\n")
    done = subprocess.run(
        [sys.executable, "-c", "from archspace.cli.main import main; main()", "cost", "resnet50"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(Path(__file__).parents[1])))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
