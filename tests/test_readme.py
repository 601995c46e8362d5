"""What the README shows is run: its Python, its space, its links; its commands are parsed by the command line."""

import ast
import inspect
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import archspace
from archspace.space.file import shipped_spaces

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line for kind, text in FENCES if kind == "sh" for line in text.splitlines() if line.startswith("archspace ")
]
EXAMPLES = [text for kind, text in FENCES if kind == "python" and text.startswith("import archspace\n")]


def only_fence(kind: str, has: str) -> str:
    """The one code block of this kind that contains `has`."""
    (text,) = (text for found, text in FENCES if found == kind and has in text)
    return text


def test_python_without_a_search_runs_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = (text for text in EXAMPLES if "archspace.sample(" in text)
    names: dict[str, object] = {}
    exec(text, names)
    printed = capsys.readouterr().out.splitlines()
    (promised,) = re.findall(r"\.flops\)\s+# (\d+), at", text)
    assert printed[0] == promised
    assert len(printed) == 1 + 3
    assert all(int(line.split()[1]) <= 600_000_000 for line in printed[1:])


def test_the_table_of_costs_is_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = (text for text in EXAMPLES if "archspace.costs(" in text)
    names: dict[str, Any] = {}
    exec(text, names)
    assert len(names["costs"]) == len(names["table"]["width"]) == 100_000
    assert names["costs"].flops.between(4e7, 1e12).all()
    assert "training_memory" in capsys.readouterr().out


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


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "adr").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_shipped_spaces_are_named() -> None:
    for name in shipped_spaces():
        assert f"`{name}`" in README
