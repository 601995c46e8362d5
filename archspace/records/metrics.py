"""A trial's `metrics.jsonl`: one line appended per epoch, a torn last line forgiven."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FILE = "metrics.jsonl"


def append_metrics(folder: Path, line: dict[str, Any]) -> None:
    """Append one epoch and see it on disk before returning."""
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The epochs on record, first to last; what a crash tore off is left out."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return []
    epochs: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("epoch"), int):
            epochs.append(entry)
    return epochs


def keep_metrics(folder: Path, epochs: int) -> None:
    """Forget what lies beyond `epochs`, and any torn line: training goes on from there."""
    kept = [entry for entry in read_metrics(folder) if entry["epoch"] <= epochs]
    part = folder / f"{FILE}.part"
    part.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
    part.replace(folder / FILE)
