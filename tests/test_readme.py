"""What the README shows is run: its block, its Python, its space; its commands are parsed by the command line."""

import ast
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import archspace

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line for kind, text in FENCES if kind == "sh" for line in text.splitlines() if line.startswith("archspace ")
]
EXAMPLES = [text for kind, text in FENCES if kind == "python" and text.startswith("import archspace\n")]

CHECK_THE_BLOCK = """
import json
from pathlib import Path

import archspace
from archspace.blocks.registry import family
from archspace.blueprint import draw
from archspace.costs import cost
from archspace.export import Facts, export_python
from archspace.genome import Genome, Stage, Stem, Survival
from archspace.measure.count import differences

kind = family("separable")
told = {"home": kind.lay_out.__module__, "differences": [], "genomes": 0}
for genes in kind.sample_genes:
    for survival in (Survival(), Survival(0.6)):
        stages = (Stage("separable", 2, 64, 1, genes), Stage("separable", 2, 72, 2, genes))
        genome = Genome(stages, Stem("cifar", 24), survival=survival)
        told["differences"] += map(str, differences(draw(genome, (3, 19, 17), 7)))
        told["genomes"] += 1
genome = archspace.load_genome("separable.yaml")
blueprint = draw(genome, (3, 32, 32), 10)
told["differences"] += map(str, differences(blueprint))
network = archspace.build(genome, (3, 32, 32), 10)
exported = export_python(blueprint, network, Facts("separable", genome, cost(blueprint)), Path("exported.py"))
told["params"], told["proven"] = cost(blueprint).params, exported.proof.params
print(json.dumps(told))
"""


def only_fence(kind: str, has: str) -> str:
    """The one code block of this kind that contains `has`."""
    (text,) = (text for found, text in FENCES if found == kind and has in text)
    return text


def test_the_block_costs_what_is_counted_and_can_be_exported(tmp_path: Path) -> None:
    (tmp_path / "separable.py").write_text(only_fence("python", "FAMILIES = "), encoding="utf-8")
    (tmp_path / "separable.yaml").write_text(only_fence("yaml", "block: separable"), encoding="utf-8")
    points = tomllib.loads(only_fence("toml", "entry-points"))["project"]["entry-points"]
    installed = tmp_path / "separable-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: separable\nVersion: 1.0\n", encoding="utf-8")
    text = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in names.items())
        for group, names in points.items()
    )
    (installed / "entry_points.txt").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", CHECK_THE_BLOCK],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["home"] == "separable"
    assert told["genomes"] == 4
    assert told["differences"] == []
    assert told["proven"] == told["params"]
    source = (tmp_path / "exported.py").read_text(encoding="utf-8")
    assert "class SeparableBranch(nn.Module)" in source
    assert "import archspace" not in source


def test_python_without_a_search_runs_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = (text for text in EXAMPLES if "archspace.search(" not in text)
    names: dict[str, object] = {}
    exec(text, names)
    printed = capsys.readouterr().out.splitlines()
    (promised,) = re.findall(r"\.flops\)\s+# (\d+), at", text)
    assert printed[0] == promised
    assert len(printed) == 1 + 3
    assert all(int(line.split()[1]) <= 600_000_000 for line in printed[1:])


@pytest.mark.parametrize("text", EXAMPLES)
def test_calls_of_archspace_fit_its_functions(text: str) -> None:
    calls = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("archspace.")
    ]
    assert calls
    for call in calls:
        function = getattr(archspace, ast.unparse(call.func).removeprefix("archspace."))
        inspect.signature(function).bind(*call.args, **{str(word.arg): word.value for word in call.keywords})


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line: str) -> None:
    from archspace.cli.main import archspace as group

    _, name, *arguments = shlex.split(line, comments=True)
    group.commands[name].make_context(name, arguments)


def test_make_has_the_targets_that_are_named() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE))
    assert {"search", "test"} <= named <= set(re.findall(r"^(\w+):", makefile, re.MULTILINE))


def test_the_space_is_the_shipped_one() -> None:
    shipped = (ROOT / "search_spaces" / "resnext.yaml").read_text(encoding="utf-8")
    assert only_fence("yaml", "cardinality: {choices") in shipped
