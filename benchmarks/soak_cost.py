"""Do costs of tables equal the counts of built networks? 10,000 by hooks on the meta device, 500 by fvcore.

Random genomes of every shipped family, each costed as a row of a table and built: params, macs and acts are counted by
hooks on networks without memory (1 in 10 of the shipped spaces as they are, the others of at most 4 blocks a stage),
flops by fvcore on small networks. Run `python benchmarks/soak_cost.py`, for half an hour: it writes
benchmarks/results/soak_cost.json, and fails on any difference. With `--quick`: a hundredth of it, nothing is written.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from archspace.searching.machine import describe, versions

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from counting import Comparison, comparisons

SEED = 1
NETWORKS = {"meta": 9000, "deep": 1000, "fvcore": 500}
COUNTED = {
    "hooks": "params, macs, acts; networks of at most 4 blocks a stage (RegNet: 8 in all) on the meta device",
    "hooks, full depth": "params, macs, acts; networks of the shipped spaces as they are, on the meta device",
    "fvcore": "flops; networks of at most 3 blocks a stage (RegNet: 8 in all) and few channels",
}
OUT = Path(__file__).parent / "results" / "soak_cost.json"


def run(kind: str, comparison: Comparison) -> dict[str, Any]:
    """Compare every family; print and return what was found."""
    families: dict[str, Any] = {}
    for name, rows in comparison.rows.items():
        began = time.perf_counter()
        found = [asdict(one) for one in comparison.of(name)]
        families[name] = {"networks": len(rows), "seconds": round(time.perf_counter() - began, 1), "differences": found}
        print(f"{kind}: {name}, {len(rows)} networks, {len(found)} differences", flush=True)
    some = next(iter(comparison.spaces.values()))
    return {
        "counted": COUNTED[kind],
        "input": some.input,
        "classes": some.classes,
        "networks": sum(one["networks"] for one in families.values()),
        "seconds": round(sum(one["seconds"] for one in families.values()), 1),
        "differences": sum(len(one["differences"]) for one in families.values()),
        "families": families,
    }


def main() -> None:
    """Compare, print, write."""
    torch.set_num_threads(1)
    quick = "--quick" in sys.argv[1:]
    numbers = {name: max(18, number // 100) if quick else number for name, number in NETWORKS.items()}
    results = {kind: run(kind, comparison) for kind, comparison in comparisons(**numbers, seed=SEED).items()}
    total = sum(one["differences"] for one in results.values())
    result = {
        "seed": SEED,
        "machine": describe(),
        "threads": torch.get_num_threads(),
        "versions": {**versions(), "fvcore": version("fvcore"), "pandas": version("pandas")},
        "differences": total,
        **results,
    }
    if not quick:
        OUT.parent.mkdir(exist_ok=True)
        OUT.write_text(json.dumps(result, indent=2) + "\n")
    if total:
        raise SystemExit(f"{total} figures differ")


if __name__ == "__main__":
    main()
