"""What is printed in terminals that are too narrow for it."""

from __future__ import annotations

import pytest

from archspace.cli.output import print_table

NAME, FIGURE, WORDS = "DenseNet-BC-100-k12_c10", "1.80 GFLOPs", "blocks of three kinds, " * 6


def lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int) -> list[str]:
    monkeypatch.setenv("FORCE_COLOR", "1")  # taken for a terminal
    monkeypatch.setenv("COLUMNS", str(columns))
    print_table("", ("name", "words", "flops"), [(NAME, WORDS, FIGURE)], left=(0, 1))
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("columns", [20, 60, 80, 300])
def test_names_and_figures_are_not_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    printed = lines(capsys, monkeypatch, columns)
    assert any(NAME in line and FIGURE in line for line in printed)


def test_text_is_folded_where_the_terminal_is_narrow(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all(len(line) <= 80 for line in lines(capsys, monkeypatch, 80) if not line.startswith("\x1b"))
    assert any(WORDS.strip() in line for line in lines(capsys, monkeypatch, 300))
    assert not any(WORDS.strip() in line for line in lines(capsys, monkeypatch, 80))
