"""The command line: what it prints, where, and with which exit code."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from end_to_end import COMMAND, QUICK, SPACE, Caller, command, environment

import archspace
from archspace.cli.main import COMMANDS
from archspace.cli.progress import Display, clock
from archspace.cli.request import seconds_of
from archspace.cli.search import more_of
from archspace.closed_form import cost_of
from archspace.genome import genome_data
from archspace.memory import training_memory
from archspace.training.recipe import Recipe
from archspace.zoo import entry

GENOME = "stem: {kind: cifar, width: 16}\nstages:\n  - {block: basic, depth: 2, width: 16, stride: 1}\n"
FIGURES = {"params", "macs", "flops", "acts"}
HEAVY = ("ray", "optuna", "pandas", "plotly")
IMPORTED = f"""
import sys
from archspace.cli.main import main
try:
    main()
except SystemExit as ended:
    assert not ended.code
print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""
FORGETFUL = """
from archspace.blocks.registry import Family
from archspace.blocks.basic import BasicBranch, BasicGenes
from archspace.parts.ordering import RESIDUAL
from archspace.parts.shortcut import shortcut
from archspace.plan import Part

def no_second_norm(x, in_width, width, stride):
    return x.conv(width, 3, stride).norm().conv(width, 3)

BRANCH = Part(BasicBranch, no_second_norm)

def lay_out(genes, in_width, width, stride, survive):
    branch = BRANCH(in_width=in_width, width=width, stride=stride)
    return RESIDUAL(branch=survive(branch), shortcut=shortcut(genes.shortcut, in_width, width, stride))

FAMILIES = (Family("forgetful", BasicGenes, lay_out, (BasicGenes(),)),)
"""


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Caller:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARCHSPACE_RUNS", raising=False)
    (tmp_path / "tiny.yaml").write_text(SPACE)
    (tmp_path / "genome.yaml").write_text(GENOME)
    return Caller(capsys, monkeypatch)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one of three trials, `done`."""
    folder = tmp_path_factory.mktemp("runs")
    archspace.search(
        tiny.SPACE, tiny.BUDGET, trials=3, name="done", runs=folder, recipe=tiny.RECIPE, executor="in-process"
    )
    return folder


def data(call: Caller, *arguments: object) -> Any:
    said = call(*arguments, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_help_lists_every_command_and_each_explains_itself(call: Caller) -> None:
    said = call("--help")
    assert said.code == 0
    for listed in COMMANDS:
        assert f"  {listed.name} " in said.out
        assert listed.help
        assert call(listed.name, "--help").out.startswith("Usage: archspace")
    assert "..." not in said.out.partition("Commands:")[2]  # nothing is cut off
    assert call("--version").out == f"archspace, version {archspace.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["cost", "resnext50_32x4d"], ["zoo"]])
def test_what_answers_at_once_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "[]\n"
    assert done.stdout


def test_cost_in_json(call: Caller) -> None:
    told = data(call, "cost", "resnext50_32x4d")
    assert (
        set(told)
        == {"id", "name", "input", "classes", "layers", "stages", "training_flops", "training_memory"} | FIGURES
    )
    assert told["training_flops"] == 3 * told["flops"]
    memory = training_memory(cost_of(entry("resnext50_32x4d").genome), Recipe().batch)
    assert told["training_memory"] == {"batch": Recipe().batch, "bytes": memory}
    assert (told["params"], told["macs"], told["flops"]) == (25028904, 4230479872, 4259381248)
    assert (told["input"], told["classes"], told["layers"]) == ([3, 224, 224], 1000, 50)
    assert told["name"] == "resnext50_32x4d"
    assert [stage["name"] for stage in told["stages"]] == ["stem", "stage1", "stage2", "stage3", "stage4", "head"]
    assert sum(stage["flops"] for stage in told["stages"]) == told["flops"]


def test_cost_at_another_input_and_classes(call: Caller) -> None:
    small = data(call, "cost", "resnet50", "--size", 32, "--classes", 10)
    whole = data(call, "cost", "resnet50")
    assert (small["input"], small["classes"]) == ([3, 32, 32], 10)
    assert whole["params"] - small["params"] == 990 * (2048 + 1)
    assert small["flops"] < whole["flops"] / 40
    assert small["id"] == whole["id"]


def test_cost_of_two_side_by_side(call: Caller) -> None:
    told = data(call, "cost", "resnet50", "--against", "resnet18")
    assert told["against"] == data(call, "cost", "resnet18")
    said = call("cost", "resnet50", "--against", "resnet18", "--by-stage")
    assert said.out.startswith("resnet50 at 3x224x224, 1000 classes; resnet18 at 3x224x224, 1000 classes\n")
    assert "25,557,032" in said.out
    assert "0.457" in said.out  # of the params
    assert "[1x1, 64; 3x3, 64; 1x1, 256] x 3" in said.out
    assert "[3x3, 64; 3x3, 64] x 2" in said.out
    differing = {line.split()[0]: line.split()[1:] for line in said.out.splitlines() if line.startswith(" stage")}
    assert differing["stage1.block"] == ["bottleneck", "basic"]
    assert differing["stage2.width"] == ["512", "128"]
    assert "stage1.stride" not in differing
    assert "The genomes are equal." in call("cost", "resnext50_32x4d", "--against", "ResNeXt-50_32x4d").out


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("densenet121", ["[1x1, 128; 3x3, 32] x 24  256, 288, ..., 992  1024x14x14", "1x1, 256; average-pool 2x2"]),
        (
            "vgg16",
            ["stage1  [3x3, 64] x 2  3  64x224x224", "max-pool 2x2, stride 2", "average-pool to 7x7; linear, 4096"],
        ),
        (
            "RegNetY-4.0GF",
            ["squeeze-and-excitation, 48; 1x1, 512]; [1x1", "squeeze-and-excitation, 128; 1x1, 512] x 11"],
        ),
        ("googlenet_no_aux", ["[1x1, 64; 1x1, 96; 3x3, 128; 1x1, 16; 3x3, 32; max-pool 3x3; 1x1, 32] x 1"]),
        ("PreResNet-164_c10", ["stage3.exit  NormReLU  256", "[1x1, 16; 3x3, 16; 1x1, 64] x 18"]),
    ],
)
def test_rows_read_as_the_papers_tables_do(call: Caller, name: str, rows: list[str]) -> None:
    said = call("cost", name, "--by-stage")
    spaced = re.sub(r" {2,}", "  ", said.out)
    assert all(row in spaced for row in rows), spaced


def test_cost_of_a_file_and_of_standard_input(call: Caller, tmp_path: Path) -> None:
    told = data(call, "cost", "genome.yaml", "--size", 32, "--classes", 10)
    assert told["name"] == "genome"
    piped = subprocess.run(
        [*COMMAND, "cost", "-", "--size", "32", "--classes", "10", "--json"],
        cwd=tmp_path,
        env=environment(),
        input=json.dumps(genome_data(archspace.load_genome("genome.yaml"))),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(piped.stdout) == told | {"name": "stdin"}


def test_check_counts_the_built_network(call: Caller) -> None:
    said = call("cost", "genome.yaml", "--against", "resnet18", "--size", 33, "--check")
    assert said.code == 0
    assert said.err.count("of the built network are equal") == 2
    assert "equal" not in said.out


def test_check_finds_a_wrong_closed_form(tmp_path: Path) -> None:
    (tmp_path / "forgetful.py").write_text(FORGETFUL)
    installed = tmp_path / "forgetful-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: forgetful\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[archspace.blocks]\nforgetful = forgetful:FAMILIES\n")
    (tmp_path / "genome.yaml").write_text(GENOME.replace("basic", "forgetful"))
    path = f"{tmp_path}:{environment()['PYTHONPATH']}"
    said = command("cost", "genome.yaml", "--size", 32, "--check", cwd=tmp_path, PYTHONPATH=path)
    assert said.code == 1
    # 2 blocks lack a norm of 16 channels: 2 params a channel, and 2 flops for each of 16x32x32 outputs.
    closed = archspace.cost(archspace.load_genome(str(write(tmp_path / "honest.yaml", GENOME))), (3, 32, 32), 1000)
    assert f"params: closed form {closed.params - 2 * 32}, counted {closed.params}" in said.err
    assert f"counted {closed.flops}" in said.err
    assert "macs" not in said.err
    assert "Traceback" not in said.err


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_sample_in_json(call: Caller) -> None:
    told = data(call, "sample", "--space", "tiny.yaml", "--budget", "600kFLOPs", "--budget", "2kparams", "-n", 5)
    assert len({item["id"] for item in told}) == 5
    for item in told:
        assert set(item) == {"id", "genome"} | FIGURES
        assert item["flops"] <= 600_000
        assert item["params"] <= 2_000
    write(Path("drawn.json"), json.dumps(told[0]["genome"]))
    assert data(call, "cost", "drawn.json")["id"] == told[0]["id"]
    again = data(call, "sample", "--space", "tiny.yaml", "--budget", "600kFLOPs, 2kparams", "-n", 5)
    assert again == told
    assert data(call, "sample", "--space", "tiny.yaml", "--budget", "600kFLOPs", "-n", 5, "--seed", 1) != told


def test_sample_says_when_a_space_has_no_more(call: Caller) -> None:
    said = call("sample", "--space", "tiny.yaml", "--budget", "300kFLOPs", "-n", 90, "--json")
    assert said.code == 0
    assert f"only {len(json.loads(said.out))} distinct genomes" in said.err


def test_space_is_described(call: Caller) -> None:
    told = data(call, "space", "tiny.yaml", "--budget", "600kFLOPs")
    assert told["genomes"] == told["distinct"] == 4 * 6 * 2 * 2
    assert set(told["cost"]) == FIGURES
    assert 0 < told["budget"]["settings"] < told["genomes"]
    assert told["budget"]["share"] == told["budget"]["settings"] / told["genomes"]
    assert {gene["name"] for gene in told["drivers"]["genes"]} == {gene["name"] for gene in told["genes"]}
    said = call("space", "resnext")
    assert said.out.startswith("resnext: 30,046,464 genomes, cost counted at 3x224x224 and 1000 classes\n")
    assert max(map(len, said.out.splitlines())) <= 100
    assert said.err == ""


def test_space_tells_for_which_step_its_memory_holds(call: Caller) -> None:
    said = call("space", "tiny.yaml", "--budget", "20MB", "--batch", 8)
    assert "training memory" in said.out
    assert said.err == "training memory: predicted for steps of 8 images in float32\n"


def test_space_is_drawn(call: Caller) -> None:
    said = call("space", "tiny.yaml", "--budget", "600kFLOPs", "-o", "drawn/tiny.html", "--json")
    assert (said.code, said.err) == (0, "written to drawn/tiny.html\n")
    assert json.loads(said.out)["name"] == "tiny"
    assert "tiny: what networks cost" in Path("drawn/tiny.html").read_text(encoding="utf-8")


def test_space_is_not_drawn_as_anything_else(call: Caller) -> None:
    said = call("space", "tiny.yaml", "-o", "tiny.pdf")
    assert (said.code, said.out) == (2, "")
    told = "archspace: tiny.pdf: a picture is written as .html, .svg or .png; end the name in one of these\n"
    assert said.err == told
    assert not Path("tiny.pdf").exists()


def test_zoo_in_json(call: Caller) -> None:
    told = data(call, "zoo")
    assert len(told) > 40
    for item in told:
        assert set(item) == {"name", "family", "input", "classes", "layers", "published"} | FIGURES
    (one,) = data(call, "zoo", "resnet18")
    assert one in told
    assert one["published"]["top1_error"]
    assert call("zoo", "resnet18", "--check").err.startswith("1 checked")


def test_the_whole_zoo_is_checked(call: Caller) -> None:
    said = call("zoo", "--check")
    assert said.code == 0
    assert said.err.startswith(
        "124 checked: layers, params, macs, flops and acts equal to the last unit; of Highway-19,"
    )
    assert "vgg16" in said.out
    one = call("zoo", "googlenet_no_aux").out
    assert "6,624,904" in one
    assert "torchvision" in one


def test_show_a_run_in_json(call: Caller, runs: Path) -> None:
    told = data(call, "show", "done", "--runs", runs)
    assert set(told) == {
        *("run", "path", "trials", "complete", "failed", "front", "winner", "hypervolume", "report", "source")
    }
    assert (told["run"], told["trials"], told["failed"]) == ("done", 3, 0)
    assert {frozenset(item) for item in told["front"]} == {frozenset(("id", "error", "flops", "params"))}
    assert set(told["winner"]) == {"id", "error", "params", "macs", "flops", "trained"}
    assert set(told["winner"]["trained"]) == {"input", "classes", "params", "macs", "flops"}
    assert [item["flops"] for item in told["front"]] == sorted(item["flops"] for item in told["front"])
    assert Path(told["report"]).is_file()
    assert Path(told["source"]).is_file()
    assert data(call, "runs", "--runs", runs) == [told]
    assert data(call, "resume", "done", "--runs", runs) == told  # nothing is left to do


def test_show_a_run_and_its_genomes_for_people(call: Caller, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHSPACE_RUNS", str(runs))
    told = data(call, "show", "done")
    best = told["winner"]
    said = call("show", "done")
    assert f"{best['id']} *" in said.out
    assert f"{100 * best['error']:.2f}%" in said.out
    assert "at 1x32x32 with 10 classes" in said.out
    assert told["report"] in said.out
    assert best["id"] in call("show", f"done:{best['id']}").out
    costed = data(call, "cost", f"done:{best['id']}")
    assert {figure: costed[figure] for figure in ("params", "macs", "flops")} == {
        figure: best[figure] for figure in ("params", "macs", "flops")
    }
    assert (costed["input"], costed["classes"]) == ([1, 32, 32], 10)
    assert data(call, "show", "resnet18")["id"] == data(call, "cost", "resnet18")["id"]
    assert "done" in call("runs").out


def test_report_and_export_write_what_they_name(call: Caller, runs: Path) -> None:
    said = call("report", "done", "--runs", runs, "-o", "out/page.html")
    assert said.out == "out/page.html\n"
    assert "<html" in Path("out/page.html").read_text(encoding="utf-8")
    said = call("export", "done", "--runs", runs, "-o", "net.py")
    assert said.out.splitlines() == ["net.py", "net.safetensors"]
    assert "proven" in said.err
    identifier = data(call, "show", "done", "--runs", runs)["front"][0]["id"]
    said = call("export", f"done:{identifier}", "--runs", runs, "--format", "safetensors")
    assert [Path(line).suffix for line in said.out.splitlines()] == [".safetensors"]
    assert Path(said.out.strip()).is_file()
    assert call("export", "resnet18", "-o", "r18.py").out == "r18.py\n"
    assert "import archspace" not in Path("r18.py").read_text(encoding="utf-8")


def test_doctor_names_versions_and_devices(call: Caller) -> None:
    told = data(call, "doctor")
    assert told["missing"] == []
    assert told["versions"]["archspace"] == archspace.__version__
    assert "digits" in told["machine"]["tasks"]
    assert "torch" in call("doctor").out


def test_a_pipe_gets_no_colours(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    said = call("cost", "resnet18", "--by-stage")
    assert "\x1b" not in said.out + said.err


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color_is_respected_on_a_terminal(no_color: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # what is shown is taken for a terminal's
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", no_color)
    display = Display()
    with display.console.capture() as text:
        display.console.print("done", style="green")
    assert ("\x1b[32m" in text.get()) == (not no_color)


@pytest.mark.parametrize("arguments", [["zoo"], ["zoo", "--json"]])
def test_a_reader_that_goes_away_is_no_error(arguments: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_times_and_more_trials_are_read() -> None:
    import click

    context = click.Context(click.Command("search"))
    option = click.Option(["--time"])
    assert seconds_of(context, option, "1h30m") == 5400
    assert seconds_of(context, option, "90S") == 90
    assert seconds_of(context, option, "0.5m") == 30
    assert seconds_of(context, option, None) is None
    assert more_of(context, option, "+8") == 8
    for wrong in ("", "5", "m", "5x", "0s", "1h 5m", "-5s"):
        with pytest.raises(click.BadParameter, match="is no time"):
            seconds_of(context, option, wrong)
    for wrong in ("", "8", "+0", "+x", "-8"):
        with pytest.raises(click.BadParameter, match=r"write \+8"):
            more_of(context, option, wrong)


def test_a_clock_reads_as_one() -> None:
    assert [clock(seconds) for seconds in (0, 9.9, 65, 3599, 3600, 86401)] == [
        *("0:00", "0:09", "1:05", "59:59", "1:00:00", "24:00:01")
    ]
    assert clock(float("inf")) == "no limit"


def test_a_search_that_finds_a_mistake_leaves_nothing(call: Caller) -> None:
    search = ("search", "--space", "tiny.yaml", "--budget", "1MFLOPs", *QUICK)
    for wrong in (("--task", "digit"), ("--name", "../t"), ("--enqueue", "resnet50"), ("--set", "recipe.lr=fast")):
        assert call(*search, *wrong).code == 2
    assert not Path("runs").exists()
