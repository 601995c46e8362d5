"""Exported files: read by a fresh Python without archspace, they are the network that was trained."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from strategies import blueprints
from torch import Tensor, nn

from archspace.blocks.basic import BasicGenes
from archspace.blocks.bottleneck import BottleneckGenes
from archspace.blueprint import Blueprint, draw
from archspace.closed_form import cost
from archspace.errors import RunFailed, UserError
from archspace.export import FORMATS, Facts, export_python, export_safetensors
from archspace.export.proof import Case, Proof, prove_all, storable
from archspace.export.python import _folder_beside
from archspace.export.source import source_of
from archspace.genome import Genome, Shape, Stage, Stem, Survival, genome_data
from archspace.network import Network, build
from archspace.plan import Part

DIGITS: Shape = (1, 8, 8)
SMALL = Genome(
    (Stage("basic", 3, 8, 1, BasicGenes("A")), Stage("bottleneck", 2, 16, 2, BottleneckGenes(2, 4))),
    Stem("cifar", 8),
)
SKIPPED = dataclasses.replace(SMALL, survival=Survival(0.7))


def facts_of(genome: Genome, name: str = "small") -> Facts:
    return Facts(name, genome, cost(draw(genome)))


def trained(blueprint: Blueprint) -> Network:
    """A network whose every tensor has moved from where it began."""
    network = build(blueprint, torch.Generator().manual_seed(1)).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    for step in range(3):
        images = torch.randn(8, *blueprint.input, generator=torch.Generator().manual_seed(step))
        nn.functional.cross_entropy(network(images), torch.arange(8) % blueprint.classes).backward()
        optimizer.step()
    return network


def loaded(path: Path) -> Network:
    spec = importlib.util.spec_from_file_location("exported_here", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network: Network = module.build()
    return network


def lint(*arguments: str) -> subprocess.CompletedProcess[str]:
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    return subprocess.run([ruff, *arguments], capture_output=True, text=True, check=False)


inputs = st.tuples(st.sampled_from([1, 3]), st.just(16), st.sampled_from([15, 16]))


@settings(max_examples=2, deadline=None, derandomize=True, phases=[Phase.generate])
@given(drawn=st.lists(blueprints(inputs, st.integers(2, 12), max_stages=3, max_depth=3), min_size=8, max_size=8))
def test_any_genome_exports_as_its_own_network(
    drawn: list[tuple[Genome, Blueprint]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    cases = []
    for number, (genome, blueprint) in enumerate(drawn):
        source = folder / f"n{number}.py"
        source.write_text(source_of(blueprint, facts_of(genome)), encoding="utf-8")
        cases.append(Case(source, None, build(blueprint), blueprint.input))
    for case, proof in zip(cases, prove_all(cases), strict=True):
        assert isinstance(proof, Proof), proof
        assert proof.keys == len(case.network.state_dict())
        assert proof.params == sum(value.numel() for value in case.network.parameters())
        assert proof.max_difference == 0.0


def test_trained_network_is_handed_over(tmp_path: Path) -> None:
    blueprint = draw(SKIPPED, DIGITS, 10)
    network = trained(blueprint)
    modes = [module.training for module in network.modules()]
    exported = export_python(blueprint, network, facts_of(SKIPPED), tmp_path / "deep" / "winner.py")
    assert exported.paths == (tmp_path / "deep" / "winner.py", tmp_path / "deep" / "winner.safetensors")
    assert sorted(exported.paths) == sorted((tmp_path / "deep").iterdir())
    assert len({path.stat().st_mode for path in exported.paths}) == 1
    assert [module.training for module in network.modules()] == modes

    copy = loaded(exported.paths[0])
    copy.load_state_dict(load_file(exported.paths[1]), strict=True)
    images = torch.randn(4, *DIGITS)
    with torch.no_grad():
        assert torch.equal(copy.eval()(images), network.eval()(images))
    torch.manual_seed(3)
    here = network.train()(images)
    torch.manual_seed(3)
    assert torch.equal(copy.train()(images), here)


def test_new_weights_are_drawn_alike(tmp_path: Path) -> None:
    blueprint = draw(SKIPPED, DIGITS, 10)
    path = tmp_path / "net.py"
    path.write_text(source_of(blueprint, facts_of(SKIPPED)), encoding="utf-8")
    torch.manual_seed(5)
    there = loaded(path).state_dict()
    torch.manual_seed(5)
    here = build(blueprint).state_dict()
    assert list(there) == list(here)
    assert all(torch.equal(there[key], here[key]) for key in here)


def test_a_source_is_clean_and_imports_torch_alone(tmp_path: Path) -> None:
    for name, genome in {"plain": SMALL, "survival": SKIPPED}.items():
        text = source_of(draw(genome, DIGITS, 10), facts_of(genome), "w.safetensors")
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        nodes = list(ast.walk(ast.parse(text)))
        imported = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        imported += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
        assert set(imported) <= {"torch", "torch.nn"}
        assert ("BatchSurvival" in text) == (name == "survival")
        assert max(len(line) for line in text.splitlines()) <= 120
    checked = lint("check", "--isolated", "--select", "F,E,I,W", "--line-length", "120", str(tmp_path))
    assert checked.returncode == 0, checked.stdout


def test_build_is_formatted_and_loops_over_what_repeats(tmp_path: Path) -> None:
    text = source_of(draw(SMALL, DIGITS, 10), facts_of(SMALL))
    body = text[text.index("def build") :]
    assert "*(Residual(" in body
    assert body.count("range(") == 1, "the second stage's two blocks differ, so nothing repeats there"
    path = tmp_path / "body.py"
    path.write_text(body, encoding="utf-8")
    formatted = lint("format", "--isolated", "--line-length", "120", "--diff", str(path))
    assert formatted.returncode == 0, formatted.stdout


def test_many_survival_probabilities_are_bit_equal(tmp_path: Path) -> None:
    deep = Genome((Stage("basic", 40, 4, 1, BasicGenes()),), Stem("cifar", 4), survival=Survival(0.5))
    path = tmp_path / "deep.py"
    path.write_text(source_of(draw(deep, DIGITS, 10), facts_of(deep)), encoding="utf-8")
    ps = tuple(module.p for module in loaded(path).modules() if hasattr(module, "p"))
    assert ps == tuple(deep.survival.probabilities(40))
    assert max(len(line) for line in path.read_text(encoding="utf-8").splitlines()) <= 120


def test_docstring_tells_what_is_known() -> None:
    blueprint = draw(SMALL, DIGITS, 10)
    facts = Facts(
        'odd """name\\', SMALL, cost(draw(SMALL)), cost(blueprint), "digits", 0.0321, 0.1234, 17, {"torch": "2.13"}
    )
    text = ast.get_docstring(ast.parse(source_of(blueprint, facts, "w.safetensors"))) or ""
    assert text.startswith('odd """name\\: ')
    assert "Trained on digits: val error 3.21 %, val cross-entropy 0.1234, seed 17." in text
    assert f"at 3x224x224, 1000 classes (target):\n        {facts.target.params:,} params" in text
    assert f"at 1x8x8, 10 classes (task digits):\n        {cost(blueprint).params:,} params" in text
    genome = text[text.index("{") : text.index("Use:")]
    assert json.loads(genome) == genome_data(SMALL)
    unknown = ast.get_docstring(ast.parse(source_of(blueprint, facts_of(SMALL)))) or ""
    assert not any(word in unknown for word in ("Trained", "val error", "seed", "None", "load_file", "Made with"))


def test_what_differs_is_not_proven(tmp_path: Path) -> None:
    blueprint = draw(SKIPPED, DIGITS, 10)
    network = trained(blueprint)
    text = source_of(blueprint, facts_of(SKIPPED))
    state = storable(network.state_dict())
    key = "stages.0.1.branch.branch.norm1.running_var"
    nudged = {**state, key: state[key] * 1.001}
    short = {name: value for name, value in state.items() if name != key}
    cases: list[Case] = []
    expected: list[str] = []

    def refuse(weights: dict[str, Tensor] | None, old: str, new: str, message: str) -> None:
        source, beside = tmp_path / f"{len(cases)}.py", tmp_path / f"{len(cases)}.safetensors"
        assert old in text
        source.write_text(text.replace(old, new), encoding="utf-8")
        if weights is not None:
            save_file(weights, beside)
        cases.append(Case(source, None if weights is None else beside, network, DIGITS))
        expected.append(message)

    refuse(nudged, "", "", "outputs differ from the network's by up to")
    refuse(short, "", "", "could not load the weights: .*running_var")
    refuse(None, "p=0.76", "p=0.77", "outputs differ")
    refuse(None, "F.relu(self.norm1(self.conv1(x)))", "self.norm1(self.conv1(x))", "outputs differ")
    refuse(state, "num_classes: int = 10", "num_classes: int = 11", "classifier.* is .*11.* there")
    refuse(state, "self.norm1", "self.first", "lacks .* keys, .*norm1")
    refuse(None, "return network", "return network.missing", r"could not call build\(\): AttributeError")
    refuse(None, "import torch\n", "import torch\nimport archspace.errors\n", "it imports archspace")
    refuse(None, "import torch\n", "import torch\nfrom archspace import cost\n", "it imports archspace")
    for result, message in zip(prove_all(cases), expected, strict=True):
        assert isinstance(result, RunFailed)
        assert re.search(message, str(result)), result


def test_a_failed_proof_leaves_what_was_there(tmp_path: Path) -> None:
    blueprint = draw(SMALL, DIGITS, 10)
    path = tmp_path / "winner.py"
    path.write_text("# exported by archspace.\n", encoding="utf-8")
    other = build(draw(SMALL, DIGITS, 9))
    with pytest.raises(RunFailed, match="nothing was exported") as caught:
        export_python(blueprint, other, facts_of(SMALL), path)
    assert path.read_text(encoding="utf-8") == "# exported by archspace.\n"
    (kept,) = (entry for entry in tmp_path.iterdir() if entry.is_dir())
    assert str(kept) in str(caught.value)
    assert sorted(entry.name for entry in kept.iterdir()) == ["winner.py", "winner.safetensors"]


def test_weights_alone(tmp_path: Path) -> None:
    blueprint = draw(SMALL, DIGITS, 10)
    state = trained(blueprint).state_dict()
    exported = FORMATS["safetensors"](blueprint, state, facts_of(SMALL), tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == list(exported.paths) == [tmp_path / "w.safetensors"]
    there = load_file(exported.paths[0])
    assert set(there) == set(state)
    assert all(torch.equal(there[key], state[key]) for key in state)


def test_mistakes_are_named(tmp_path: Path) -> None:
    blueprint = draw(SMALL, DIGITS, 10)
    with pytest.raises(UserError, match="no weights to export"):
        export_safetensors(blueprint, None, facts_of(SMALL), tmp_path / "w")
    with pytest.raises(UserError, match="not this network's"):
        export_python(blueprint, {"x": torch.zeros(1)}, facts_of(SMALL), tmp_path / "w.py")
    (tmp_path / "taken.py").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        export_python(blueprint, None, facts_of(SMALL), tmp_path / "taken.py")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken.py"]


def scaled(x: Tensor) -> Tensor:
    return 2.0 * x


class ScaledHead(nn.Module):
    """A head that calls a helper of its own module."""

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = scaled(self.classifier(x.amax((2, 3))))
        return scores


def test_a_helper_is_shipped_where_its_part_needs_it(tmp_path: Path) -> None:
    blueprint = draw(SMALL, DIGITS, 10)

    def with_head(part: Part) -> Blueprint:
        return dataclasses.replace(blueprint, head=blueprint.head._replace(part=part))

    closed_form = blueprint.head.part.cost
    with pytest.raises(UserError, match=r"ScaledHead uses scaled.*add it to `needs`"):
        source_of(with_head(Part(ScaledHead, closed_form)), facts_of(SMALL))
    whole = with_head(Part(ScaledHead, closed_form, needs=(scaled,)))
    exported = export_python(whole, None, facts_of(SMALL), tmp_path / "scaled")
    assert list(tmp_path.iterdir()) == list(exported.paths) == [tmp_path / "scaled.py"]
    assert "def scaled(x: Tensor)" in exported.paths[0].read_text(encoding="utf-8")


def test_a_file_of_ones_own_is_not_written_over(tmp_path: Path) -> None:
    blueprint, path = draw(SMALL, DIGITS, 10), tmp_path / "separable.py"
    path.write_text("FAMILIES = ()\n", encoding="utf-8")
    with pytest.raises(UserError, match="no file that archspace exported; name another with -o"):
        export_python(blueprint, None, facts_of(SMALL), path)
    assert path.read_text(encoding="utf-8") == "FAMILIES = ()\n"
    path.unlink()
    long = facts_of(SMALL, "a name so long that the first line of the docstring wraps somewhere within its last words")
    for _ in range(2):  # an export may be made again
        assert export_python(blueprint, None, long, path).paths == (path,)


def test_weights_of_ones_own_are_not_written_over(tmp_path: Path) -> None:
    for mine in (b"mine", None):
        path = tmp_path / "net.safetensors"
        if mine is None:
            save_file({"weight": torch.zeros(1)}, path)
        else:
            path.write_bytes(mine)
        before = path.read_bytes()
        with pytest.raises(UserError, match=r"net.safetensors: is there already and no file that archspace exported"):
            _folder_beside(tmp_path / "net.py", "net", (tmp_path / "net.py", path))
        assert path.read_bytes() == before
