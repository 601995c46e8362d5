"""Documents know the place of every value, refuse what is not plain YAML, and tell mistakes in plain words."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from archspace.document import Document, Mistakes, read_file, read_text
from archspace.errors import UserError

TEXT = """\
# a space
name: small
stages:
  - {block: basic, width: [16, 32]}
  - block: bottleneck
    width: 64.5
"""


class Basic(BaseModel):
    model_config = ConfigDict(extra="forbid")
    block: Literal["basic"]
    width: tuple[int, ...] | int
    shortcut: Literal["A", "B"] = "B"


class Bottleneck(BaseModel):
    model_config = ConfigDict(extra="forbid")
    block: Literal["bottleneck"]
    width: Annotated[int, Field(ge=8)]
    group_width: int = 4
    share: float = 1


class Space(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    stages: list[Annotated[Basic | Bottleneck, Field(discriminator="block")]] = Field(min_length=1)


def messages(text: str) -> tuple[str, ...]:
    with pytest.raises(UserError) as refusal:
        read_text(text, "s.yaml")
    return refusal.value.messages


def mistakes(text: str) -> list[str]:
    found = Mistakes(read_text(text, "s.yaml"))
    assert found.check(Space) is None
    with pytest.raises(UserError) as refusal:
        found.raise_if_any()
    return list(refusal.value.messages)


def test_every_value_knows_its_place() -> None:
    document = read_text(TEXT, "s.yaml")
    assert document.data["stages"][0] == {"block": "basic", "width": [16, 32]}
    assert document.places[()] == (1, 1)
    assert document.places["stages",] == (3, 1)
    assert document.places["stages", 0, "width", 1] == (4, 32)
    assert document.places["stages", 1] == (5, 5)
    assert document.places["stages", 1, "width"] == (6, 5)


def test_a_problem_below_what_is_there_is_told_at_the_deepest_known_place() -> None:
    document = read_text(TEXT, "s.yaml")
    assert document.problem(("stages", 1, "depth", 0), "no") == "s.yaml:5:5: stages[1].depth[0]: no"
    assert document.problem((), "no") == "s.yaml:1:1: no"
    assert Document("data", {}, {}).problem(("stages",), "no") == "data: stages: no"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: yes\nb: 010\nc: 1e-3\nd: 2020-01-01\ne: ~\nf: '1'\ng: =", ["yes", 10, 1e-3, "2020-01-01", None, "1", "="]),
        ('{\n\t"a": [1, 2.5, true, null, "x\\/y\\u00e9"]\n}', [[1, 2.5, True, None, "x/yé"]]),
        ("a: !!str 1", ["1"]),
    ],
)
def test_yaml_1_2_and_json_are_read(text: str, data: list[object]) -> None:
    assert list(read_text(text, "s").data.values()) == data


def test_duplicates_and_tags_are_refused_together_and_nothing_runs(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    text = f"a: 1\nb: {{c: 1, c: 2}}\na: 3\nd: !!python/object/apply:os.mkdir ['{trap}']\ne: [!foo x, !!binary aGk=]\n"
    told = messages(text)
    assert [line.split(" ")[0] for line in told] == [
        "s.yaml:2:11:",
        "s.yaml:3:1:",
        "s.yaml:4:4:",
        "s.yaml:5:5:",
        "s.yaml:5:13:",
    ]
    assert "key 'a' is here twice, first in line 1" in told[1]
    assert "!!python/object/apply:os.mkdir" in told[2]
    assert not trap.exists()


@pytest.mark.parametrize(
    ("text", "start", "word"),
    [
        ("a: &x [1]\nb: *x", "s.yaml:1:4: ", "write the value out"),
        ("- &a [*a]", "s.yaml:1:3: ", "write the value out"),
        ("a:\n  <<: {b: 1}", "s.yaml:2:3: ", "merge"),
        ("a: 1\n2: b", "s.yaml:2:1: ", "quotes"),
        ("? [a]\n: b", "s.yaml:1:3: ", "must be text"),
        ("a: [1, 2", "s.yaml:1:9: ", "not YAML"),
        ("a: 1\nb: c: d", "s.yaml:2:5: ", "not YAML"),
        ("a: 1\n---\nb: 1", "s.yaml:2:1: ", "another document"),
        ("a: 1\nbc\x00", "s.yaml:2:3: ", "character"),
        ("a: !!int x", "s.yaml:1:4: ", "'x' is not a value of type int"),
        ('a: "\\ud800"', "s.yaml:1:4: ", "not a value"),
        ("[" * 1500, "s.yaml: ", "too deeply"),
        ("# nothing\n", "s.yaml: ", "empty"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_at_its_place(text: str, start: str, word: str) -> None:
    (message,) = messages(text)
    assert message.startswith(start)
    assert word in message


def test_aliases_cannot_blow_up() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    assert len(messages("\n".join(lines))) == 60


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_file(tmp_path / "bom.yaml").data == {"a": 1}
    for name, word in (("none.yaml", "no such file"), ("", "is a folder"), ("latin.yaml", "not UTF-8")):
        with pytest.raises(UserError, match=word):
            read_file(tmp_path / name)


def test_good_data_becomes_a_model() -> None:
    document = read_text(TEXT.replace("64.5", "64\n    share: 1"), "s.yaml")
    found = Mistakes(document)
    space = found.check(Space)
    assert space is not None
    assert space.stages[0].width == (16, 32)
    assert found.check(Basic, ("stages", 0)) == space.stages[0]
    assert not found
    found.raise_if_any()


def test_all_mistakes_are_told_in_order_of_place() -> None:
    text = (
        "stages:\n"
        "  - {block: basic, widht: 8, shortcut: b}\n"
        "  - {block: bottleneck, width: 7, group_width: true, share: x}\n"
        "  - {block: bsic}\n"
        "  - {width: 8}\n"
        "  - {block: basic, width: wide}\n"
        "  - {block: basic, width: [1, two]}\n"
        "  - 3\n"
        "nmae: x\n"
    )
    assert mistakes(text) == [
        "s.yaml:1:1: missing key 'name'",
        "s.yaml:2:5: stages[0]: missing key 'width'",
        "s.yaml:2:20: stages[0].widht: unknown key (did you mean 'width'?); known keys are block, shortcut, width",
        "s.yaml:2:30: stages[0].shortcut: expected 'A' or 'B', found 'b'",
        "s.yaml:3:25: stages[1].width: must be at least 8, not 7",
        "s.yaml:3:35: stages[1].group_width: expected a whole number, found true",
        "s.yaml:3:54: stages[1].share: expected a number, found 'x'",
        "s.yaml:4:6: stages[2].block: expected 'basic' or 'bottleneck', found 'bsic' (did you mean 'basic'?)",
        "s.yaml:5:5: stages[3]: missing key 'block'",
        "s.yaml:6:20: stages[4].width: expected a list or a whole number, found 'wide'",
        "s.yaml:7:31: stages[5].width[1]: expected a whole number, found 'two'",
        "s.yaml:8:5: stages[6]: expected a mapping, found 3",
        "s.yaml:9:1: nmae: unknown key (did you mean 'name'?); known keys are name, stages",
    ]


def test_a_missing_path_and_an_empty_list_are_told() -> None:
    assert mistakes("name: x\nstages: []") == ["s.yaml:2:1: stages: 0 items here; must be at least 1"]
    found = Mistakes(read_text(TEXT, "s.yaml"))
    assert found.check(Space, ("target",)) is None
    with pytest.raises(UserError, match=r"^s.yaml:1:1: missing key 'target'$"):
        found.raise_if_any()


@pytest.mark.parametrize(
    "text", ['a: !!int ""', 'a: !!int "_"', 'a: "\\UFFFFFFFF"', f"a: {'9' * 400}", f"a: 0x{'f' * 5000}"]
)
def test_numbers_and_characters_that_are_none_are_told(text: str) -> None:
    with pytest.raises(UserError, match=r"some\.yaml"):
        read_text(text, "some.yaml")
