"""archspace from Python: the same as from the command line."""

import ast
import inspect
import math
import subprocess
import sys
import typing
from pathlib import Path

import pytest
import tiny
import torch
from end_to_end import SPACE, environment

import archspace
from archspace import api
from archspace.closed_form import Cost, cost_of
from archspace.outcome import Outcome
from archspace.searching.searcher import Searcher
from archspace.space.budget import parse_budget


def searched(runs: Path, **changes: typing.Any) -> Outcome:
    usual: dict[str, typing.Any] = {"trials": 2, "name": "t", "recipe": tiny.RECIPE, "executor": "in-process"}
    return archspace.search(tiny.SPACE, tiny.BUDGET, runs=runs, **usual | changes)


def test_every_public_name_is_there_and_documented() -> None:
    assert list(archspace.__all__) == sorted(archspace.__all__)
    for name in archspace.__all__:
        assert inspect.getdoc(getattr(archspace, name))
    assert set(api.__all__) <= set(archspace.__all__)
    for name in api.__all__:
        function = getattr(archspace, name)
        assert set(inspect.signature(function).parameters) | {"return"} == set(function.__annotations__)
    with pytest.raises(AttributeError, match="no attribute 'sarch'"):
        archspace.sarch  # noqa: B018


def test_a_type_checker_sees_the_public_names() -> None:
    tree = ast.parse(Path(archspace.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = [name.name for node in block.body if isinstance(node, ast.ImportFrom) for name in node.names]
    assert sorted(imported) == archspace.__all__
    assert (Path(archspace.__file__).parent / "py.typed").is_file()


def test_importing_archspace_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, archspace; print(*(n for n in sys.modules if '.' not in n))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    heavy = {"torch", "numpy", "ray", "optuna", "pandas", "plotly", "pydantic", "ruamel", "scipy", "sklearn"}
    assert not heavy & set(done.stdout.split())


def test_cost_and_build_agree() -> None:
    cost = archspace.cost("resnet18", (3, 32, 32), 10)
    assert isinstance(cost, Cost)
    network = archspace.build("resnet18", (3, 32, 32), 10)
    assert sum(parameter.numel() for parameter in network.parameters()) == cost.params
    with torch.inference_mode():
        assert network.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert archspace.cost("resnext50_32x4d").flops == 4259381248
    genome = archspace.load_genome("resnext50_32x4d")
    assert archspace.cost(genome) == archspace.cost("resnext50_32x4d")


def test_weights_come_from_the_seed_alone() -> None:
    genome = tiny.genomes(1)[0]
    torch.manual_seed(1)
    first = archspace.build(genome, (1, 32, 32), 10, seed=3).state_dict()
    torch.manual_seed(2)
    again = archspace.build(genome, (1, 32, 32), 10, seed=3).state_dict()
    other = archspace.build(genome, (1, 32, 32), 10, seed=4).state_dict()
    assert all(first[name].equal(again[name]) for name in first)
    assert not all(first[name].equal(other[name]) for name in first)


def test_sample_takes_a_space_by_name_file_or_object(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPACE)
    space = archspace.load_space(tmp_path / "tiny.yaml")
    budget = parse_budget(["600kFLOPs"])
    drawn = [archspace.sample(given, within, 3) for given, within in (
        (space, budget),
        (tmp_path / "tiny.yaml", "600kFLOPs"),
        (str(tmp_path / "tiny.yaml"), ["600kFLOPs"]),
    )]  # fmt: skip
    assert drawn[0] == drawn[1] == drawn[2]
    for candidate in drawn[0]:
        assert candidate.cost == cost_of(candidate.genome, space.input, space.classes)
        assert candidate.cost.flops <= 600_000
    assert archspace.sample("resnext", ["1GFLOPs", "5Mparams"], 1)[0].cost.params <= 5_000_000


def test_a_search_tries_what_is_enqueued_first_and_tells_every_epoch(tmp_path: Path) -> None:
    mine = tiny.genomes(5)[4]
    heard: list[tuple[int, int, int]] = []

    def listen(searcher: Searcher) -> None:
        done = sum(trial.state in ("complete", "stopped") for trial in searcher.ledger.trials())
        heard.append((done, len(searcher.running), sum(map(len, searcher.curves.values()))))

    outcome = searched(tmp_path, enqueue=[mine], progress=listen)
    trials = outcome.record.trials
    assert trials["id"][0] == trials["name"][0] == mine.id
    assert len(trials) == 2
    assert heard == sorted(heard, key=lambda item: (item[2], item[0]))
    assert {epochs for _, _, epochs in heard} == set(range(trials["epochs"].sum() + 1))
    assert heard[-1][:2] == (2, 0)
    assert outcome.report is not None
    assert outcome.source is not None
    assert not outcome.interrupted
    assert math.isfinite(outcome.hypervolume)

    kept = archspace.open_run("t", tmp_path)
    assert kept.trials.equals(trials)
    assert len(kept.curves) == trials["epochs"].sum()
    assert archspace.load_genome(f"t:{mine.id}", tmp_path) == mine


def test_a_run_is_resumed_and_extended(tmp_path: Path) -> None:
    def stop(searcher: Searcher) -> None:
        if searcher.curves[0]:
            raise KeyboardInterrupt

    stopped = searched(tmp_path, progress=stop)
    assert stopped.interrupted
    assert stopped.record.trials["state"].tolist() == ["unfinished"]
    whole = archspace.resume("t", runs=tmp_path, executor="in-process")
    assert not whole.interrupted
    assert len(whole.record.trials) == 2
    assert "unfinished" not in set(whole.record.trials["state"])
    more = archspace.resume("t", more_trials=1, runs=tmp_path, executor="in-process")
    assert more.record.trials["id"].tolist()[:2] == whole.record.trials["id"].tolist()
    assert len(more.record.trials) == 3


def test_runs_are_kept_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARCHSPACE_RUNS", raising=False)
    assert api.runs_folder() == Path("runs")
    monkeypatch.setenv("ARCHSPACE_RUNS", str(tmp_path / "elsewhere"))
    assert api.runs_folder() == tmp_path / "elsewhere"
    assert api.runs_folder("here") == Path("here")


def test_mistakes_are_told_before_anything_is_written(tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, typing.Any], str]] = [
        ({"task": "digit"}, "did you mean 'digits'"),
        ({"name": "../t"}, "run name"),
        ({"trials": 0}, "trials must be at least 1"),
        ({"seconds": 0.0}, "time must be above zero"),
        ({"enqueue": ["resnet50"]}, "is outside the budget"),
        ({"concurrency": 0}, "--concurrency 0"),
    ]
    for changes, told in wrong:
        with pytest.raises(archspace.UserError, match=told):
            searched(tmp_path / "runs", **changes)
    for call in (archspace.open_run, archspace.resume):
        with pytest.raises(archspace.UserError, match="no such run"):
            call("t", runs=tmp_path / "runs")
        with pytest.raises(archspace.UserError, match="not the plain name"):
            call("../t", runs=tmp_path / "runs")
    with pytest.raises(archspace.BudgetError, match="cannot be read"):
        archspace.sample("resnext", "4GFLIPs", 1)
    assert not (tmp_path / "runs").exists()
