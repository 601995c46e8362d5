"""What a search costs besides training: start of the command, of Ray, and each trial's overhead.

Run it as `python benchmarks/overhead.py`; it prints a table and writes benchmarks/results/overhead.json.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import archspace
from archspace.document import read_text
from archspace.searching.machine import describe, versions
from archspace.space.file import read_space
from archspace.training.recipe import Recipe

SPACE = """
target: {input: [1, 32, 32], classes: 10}
stem: {kind: cifar, width: 4}
stages:
  number: 2
  block: basic
  depth: {range: [1, 4], per: stage}
  width: {range: [4, 16], step: 2, times: [1, 2]}
"""
RECIPE = Recipe(epochs=1, rungs=(1,), batch=256)
FEW, MANY, REPEATS = 4, 24, 3
OUT = Path(__file__).parent / "results" / "overhead.json"


def command_seconds(*arguments: str) -> list[float]:
    """Wall seconds of `archspace ARGUMENTS`, five runs after one that warms the disk's cache."""
    program = Path(sys.executable).with_name("archspace")
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        subprocess.run([program, *arguments], check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


def search_seconds(trials: int) -> dict[str, float]:
    """One search through Ray with one worker: wall seconds, those spent in epochs, when the first trial began."""
    space = read_space(read_text(SPACE, "overhead.yaml"))
    # A folder of its own: beside another run the trainings would be taken over from there.
    with tempfile.TemporaryDirectory() as runs:
        began = time.perf_counter()
        outcome = archspace.search(
            space, "5MFLOPs", trials=trials, runs=runs, concurrency=1, recipe=RECIPE, seconds=600
        )
        wall = time.perf_counter() - began
    record = outcome.record
    first = record.curves.iloc[0]
    return {
        "wall": wall,
        "epochs": float(record.trials["seconds"].sum()),
        "ray": float(record.trials["started"].iloc[0]),
        "worker": float(first["at"] - first["seconds"] - record.trials["started"].iloc[0]),
    }


def main() -> None:
    """Measure, print, write."""
    figures: dict[str, list[float]] = {
        "archspace --help": command_seconds("--help"),
        "archspace cost resnext50_32x4d": command_seconds("cost", "resnext50_32x4d"),
    }
    pairs = [[search_seconds(trials) for trials in (FEW, MANY)] for _ in range(REPEATS)]
    figures["Ray: call to first trial"] = [run["ray"] for pair in pairs for run in pair]
    figures["first worker: trial to first step"] = [run["worker"] for pair in pairs for run in pair]
    figures["overhead per trial"] = [
        ((many["wall"] - many["epochs"]) - (few["wall"] - few["epochs"])) / (MANY - FEW) for few, many in pairs
    ]
    table = {
        name: {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}
        for name, values in figures.items()
    }
    print(f"{'seconds':<36} {'median':>8} {'min':>8} {'max':>8}   n")
    for name, row in table.items():
        print(f"{name:<36} {row['median']:>8.3f} {row['min']:>8.3f} {row['max']:>8.3f} {row['n']:>3}")
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"machine": describe(), "versions": versions(), "seconds": table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
