"""A trial whose memory ends: a process with less of it than a whole batch takes, or half of one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trainings import CPU, GENOME, RECIPE, few

from archspace.genome import genome_data
from archspace.searching.trial import TrialSpec, epochs_of
from archspace.training.loop import train

SCRIPT = """
import json, resource, sys
from pathlib import Path
import torch
from archspace.blocks.basic import BasicGenes
from archspace.closed_form import cost_of
from archspace.data.tasks import load_task
from archspace.genome import Genome, Stage, Stem, genome_data
from archspace.memory import training_memory
from archspace.searching.trial import TrialSpec, epochs_of
from archspace.training.mode import Mode
from archspace.training.recipe import Recipe

torch.set_num_threads(1)
genome = Genome((Stage("basic", 2, 16, 1, BasicGenes()),), Stem("cifar", 16))
task = load_task("digits")
recipe = Recipe(epochs=1, rungs=(1,), batch=1077, norm_batches=1, warmup=0)
spec = TrialSpec(0, genome_data(genome), 1, "digits", recipe, Mode("cpu", False, False), sys.argv[1], 0.0)
step = training_memory(cost_of(genome, task.input, task.classes), recipe.batch, "cpu")
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = int(taken + float(sys.argv[2]) * step)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(json.dumps(list(epochs_of(spec, task))))
"""


def epochs(folder: Path, share: float) -> list[dict[str, object]]:
    """A trial of one epoch, where the process has `share` of the bytes of a whole batch's step left."""
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), str(share)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found: list[dict[str, object]] = json.loads(ran.stdout)
    return found


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="needs Linux, where a process's memory can be limited"
)
@pytest.mark.slow
def test_a_batch_that_is_too_large_goes_in_halves_once(tmp_path: Path) -> None:
    for name in ("half", "little"):
        (tmp_path / name).mkdir()
    (halves,) = epochs(tmp_path / "half", 0.8)
    assert halves["parts"] == 2
    (failed,) = epochs(tmp_path / "little", 0.25)
    assert str(failed["failed"]).startswith("out of memory, a step took up to ")


def test_halves_begin_anew_where_a_checkpoint_has_lost_its_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory ends at the first step: what was refused at the start is not gone on from after it."""
    spec = TrialSpec(0, genome_data(GENOME), 1, "digits", RECIPE, CPU, str(tmp_path), 0.0)
    whole = list(epochs_of(spec, few()))
    (tmp_path / "metrics.jsonl").unlink()
    starts = []

    def ends_once(*given: Any, **named: Any) -> Any:
        starts.append(given[5])
        if len(starts) == 1:
            raise MemoryError
        return train(*given, **named)

    monkeypatch.setattr("archspace.searching.trial.train", ends_once)
    halves = list(epochs_of(spec, few()))
    assert starts == [None, None]
    assert [epoch["epoch"] for epoch in halves] == [epoch["epoch"] for epoch in whole] == [1, 2, 3]
    assert all(epoch["parts"] == 2 for epoch in halves)
