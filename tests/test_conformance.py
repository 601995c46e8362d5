"""Every registered family keeps its promises; every check catches a block that does not; the guide is followed."""

# ruff: noqa: ARG001  # layouts and cost functions take all their arguments, used or not

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn
from torch.nn import functional as F

from archspace.blocks.registry import Family, families
from archspace.conformance import Check, __main__, checks, problems
from archspace.errors import GenomeError
from archspace.featuremap import FeatureMap
from archspace.parts.ordering import SUM
from archspace.parts.shortcut import shortcut
from archspace.plan import Part, Planned

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("check", checks(), ids=lambda check: check.name)
@pytest.mark.parametrize("name", sorted(families()))
def test_every_family_keeps_its_promises(name: str, check: Check) -> None:
    assert check.problems(families()[name]) == []


class Branch(nn.Module):
    """3x3 convolution and its normalisation: a branch with nothing wrong."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_width, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(F.relu(x)))
        return out


def branch_cost(x: FeatureMap, in_width: int, width: int, stride: int) -> FeatureMap:
    return x.relu().conv(width, 3, stride).norm()


def saves_no_relu(x: FeatureMap, in_width: int, width: int, stride: int) -> FeatureMap:
    return x.conv(width, 3, stride).norm()


def costs_no_norm(x: FeatureMap, in_width: int, width: int, stride: int) -> FeatureMap:
    return x.conv(width, 3, stride)


def costs_depth(x: FeatureMap, in_width: int, width: int, stride: int) -> FeatureMap:
    """Right for two blocks a stage and wrong for five: it depends on what came before."""
    out = x.conv(width, 3, stride).norm()
    return out._replace(params=out.params + int(x.layers > 4))


class Open(Branch):
    """Ends in its convolution."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__(in_width, width, stride)
        self.norm = nn.BatchNorm2d(in_width)
        self.last = nn.Conv2d(in_width, width, kernel_size=3, stride=stride, padding=1, bias=False)
        del self.conv

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(F.relu(self.norm(x)))
        return out


class Idle(Branch):
    """Has a parameter that nothing reads."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__(in_width, width, stride)
        self.idle = nn.Parameter(torch.ones(1))


class Cut(Idle):
    """Reads its parameter, times nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 0.0 * self.idle


class Comparing(Branch):
    """Sees the other images of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(0))


class Rolling(Branch):
    """Mixes neighbours in the batch, whose mean stays the same."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + x.roll(1, 0))


class AlwaysDropping(Branch):
    """Drops in eval mode too."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, 0.5))


class LouderInTraining(Branch):
    """Is another function while training."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(2.0 * x if self.training else x)


class Viewing(Branch):
    """Takes its map for contiguous."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.view(len(x), -1).view(x.shape))


class ReadingMemory(Branch):
    """Reads values in the order in which they lie in memory."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.as_strided(x.shape, torch.empty(x.shape).stride()))


class Unseeded(Branch):
    """Leaves a bias as torch's constructor draws it."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__(in_width, width, stride)
        self.conv = nn.Conv2d(in_width, width, kernel_size=3, stride=stride, padding=1)


class Padded(Branch):
    """Lets torch decide how to pad."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__(in_width, width, stride)
        self.conv = nn.Conv2d(in_width, width, kernel_size=3, padding="same", bias=False)
        self.pool = nn.AvgPool2d(stride, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.pool(x))


class Halving(Branch):
    """Cannot do with maps of one pixel, and does not say so."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.interpolate(F.avg_pool2d(x, 2), x.shape[2:]))


class Secretive(Branch):
    """Multiplies by a number that no weights file holds."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__(in_width, width, stride)
        self.register_buffer("scale", torch.rand(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale


def halved(x: Tensor) -> Tensor:
    return 0.5 * x


class Helped(Branch):
    """Calls a function of its module that its Part does not ship."""

    def forward(self, x: Tensor) -> Tensor:
        return halved(super().forward(x))


class Alone(nn.Module):
    """ReLU of a branch that nothing stands beside."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x))


class Peeping(nn.Module):
    """Reaches into its branch, which stochastic depth may have wrapped."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        quiet = 0.5 if isinstance(self.branch, Branch) else 1.0
        out: Tensor = quiet * self.branch(x) + self.shortcut(x)
        return out


class Dividing(nn.Module):
    """Divides by a branch that may be skipped."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.branch(x)
        return self.shortcut(x) + out / abs(out)


@dataclass(frozen=True)
class Genes:
    """No genes."""


@dataclass(frozen=True)
class IdleGenes:
    """A gene that nothing reads."""

    kernel: int = 3


@dataclass(frozen=True)
class Mistyped:
    """A gene whose type a file cannot satisfy."""

    kernel: int = 3

    def __post_init__(self) -> None:
        if self.kernel not in (3, "three"):
            raise GenomeError("kernel must be 3")


SOUND = Part(Branch, branch_cost, needs=(), ends_in_norm=True)


def part(module: type[Branch]) -> Part:
    """A part that ships the class it inherits from, and has the right cost."""
    return Part(module, branch_cost, needs=(Branch,), ends_in_norm=True)


def family(branch: Part = SOUND, block: Part = SUM, genes: Any = Genes(), **options: Any) -> Family:
    """A family of residual blocks around a branch; `block` is what joins it to its shortcut."""

    def lay_out(genes: Any, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]) -> Planned:
        planned = survive(branch(in_width=in_width, width=width, stride=stride))
        return block(branch=planned, shortcut=shortcut("B", in_width, width, stride))

    return Family("trial", type(genes), lay_out, (genes,), **options)


def laid_out(lay_out: Callable[..., Planned]) -> Family:
    """A family with a layout of its own."""
    return Family("trial", Genes, lay_out, (Genes(),))


def lay_out_fickle(
    genes: Any, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]
) -> Planned:
    """Makes its Part anew each time."""
    fresh = Part(Branch, lambda x, **arguments: branch_cost(x, **arguments))
    return SUM(
        branch=survive(fresh(in_width=in_width, width=width, stride=stride)),
        shortcut=shortcut("B", in_width, width, stride),
    )


def lay_out_unskipped(
    genes: Any, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]
) -> Planned:
    """Does not hand its branch to `survive`."""
    branch = SOUND(in_width=in_width, width=width, stride=stride)
    return SUM(branch=branch, shortcut=shortcut("B", in_width, width, stride))


def lay_out_alone(genes: Any, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]) -> Planned:
    """Has no shortcut."""
    alone = Part(Alone, lambda x, branch: branch.cost(x))
    return alone(branch=survive(SOUND(in_width=in_width, width=width, stride=stride)))


def lay_out_silent(
    genes: Any, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]
) -> Planned:
    """Refuses narrow stages and does not say why."""
    if width < 16:
        raise GenomeError("")
    return lay_out_unskipped(genes, in_width, width, stride, survive)


def lay_out_narrow(
    genes: Any, in_width: int, width: int, stride: int, survive: Callable[[Planned], Planned]
) -> Planned:
    """Divides by what is left of a narrow stage."""
    return lay_out_unskipped(genes, in_width, width + 0 // (width // 16), stride, survive)


PEEPING = Part(Peeping, lambda x, branch, shortcut: branch.cost(x).plus(shortcut.cost(x), start=x))
DIVIDING = Part(Dividing, lambda x, branch, shortcut: branch.cost(x).plus(shortcut.cost(x), start=x))

BROKEN: dict[str, tuple[str, Family, str]] = {
    "no samples": ("cost", Family("trial", Genes, lay_out_unskipped, ()), "sample_genes is empty"),
    "norm not counted": ("cost", family(Part(Branch, costs_no_norm)), r"19x17, 7 classes: params: closed form"),
    "cost not steady": ("cost", family(Part(Branch, costs_depth)), r"5 blocks a stage, 1x9x11, 2 classes: params"),
    "relu not saved": (
        "memory",
        family(Part(Branch, saves_no_relu)),
        r"2 blocks a stage, 3x19x17, 7 classes: closed form [\d,]+, saved [\d,]+ bytes, [+-][\d,]+",
    ),
    "idle gene": ("genes", family(genes=IdleGenes()), r"kernel = 1 instead of 3 changes nothing and is not refused"),
    "parts made anew": ("genes", laid_out(lay_out_fickle), "drawn twice, it gives two different blueprints"),
    "mistyped gene": ("file", family(genes=Mistyped("three")), "expected a whole number, found 'three'"),  # type: ignore[arg-type]
    "rule that leads elsewhere": (
        "file",
        family(
            genes=IdleGenes(),
            rules={"ratio": "kernel"},
            rules_of=lambda _, width: {"ratio": 3 / width},
            resolve=lambda given, width: {"kernel": round(given["ratio"] * width) + 1},
        ),
        r"its rules at a width of 64, \{'ratio': 0\.046875\}, resolve to IdleGenes\(kernel=4\)",
    ),
    "rule without an inverse": ("file", family(rules={"ratio": "kernel"}), r"rules_of gives \[\], and rules names"),
    "flag missing": ("flags", family(Part(Branch, branch_cost)), "its branch ends in a norm.* ends_in_norm=False"),
    "flag wrong": ("flags", family(part(Open)), "its branch does not end in a norm.* ends_in_norm=True"),
    "padding same": ("padding", family(part(Padded)), r'branch\.conv has padding="same"'),
    "idle parameter": ("gradients", family(part(Idle)), r"no gradient reaches stages\.0\.0\.branch\.idle"),
    "gradient of zero": ("gradients", family(part(Cut)), r"the gradient of stages\.0\.0\.branch\.idle is zero"),
    "compares images": ("company", family(part(Comparing)), "scored differently alone"),
    "mixes neighbours": ("company", family(part(Rolling)), "scored differently in another order"),
    "drops in eval": ("modes", family(part(AlwaysDropping)), "not scored alike twice"),
    "other while training": ("modes", family(part(LouderInTraining)), "train mode departs from eval mode by up to"),
    "views a map": ("memory-format", family(part(Viewing)), "RuntimeError: view size is not compatible"),
    "reads memory": ("memory-format", family(part(ReadingMemory)), "channels last gives other scores: by up to"),
    "bias from nowhere": ("seeds", family(part(Unseeded)), r"branch\.conv\.bias starts at random values"),
    "needs two pixels": ("edges", family(part(Halving)), "stride 1 on 1x1x1: RuntimeError"),
    "refused without a reason": ("edges", laid_out(lay_out_silent), "width 1 and .* refused without a reason"),
    "fails when narrow": ("edges", laid_out(lay_out_narrow), "width 7 and .* ZeroDivisionError"),
    "branch not handed over": ("survival", laid_out(lay_out_unskipped), "of 4 blocks, 0 hand a branch to `survive`"),
    "no shortcut": ("survival", laid_out(lay_out_alone), "mode batch: with every branch skipped, TypeError"),
    "reaches into its branch": ("survival", family(block=PEEPING), "a survival of 1 is not what is without"),
    "not by survival": ("survival", family(block=PEEPING), "branches do not count by their survival: by up to"),
    "not finite when skipped": ("survival", family(block=DIVIDING), "mode sample: .* scores are not finite"),
    "helper not shipped": ("export", family(part(Helped)), "Helped uses halved.*add it to `needs`"),
    "value not handed over": ("export", family(part(Secretive)), "does not equal its network: its outputs differ"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_check_catches(what: str) -> None:
    name, broken, message = BROKEN[what]
    (check,) = (check for check in checks() if check.name == name)
    found = check.problems(broken)
    assert any(re.search(message, problem, re.DOTALL) for problem in found), found


def test_every_check_is_seen_to_catch_something() -> None:
    assert {name for name, _, _ in BROKEN.values()} == {check.name for check in checks()}


def test_a_sound_family_has_no_problems_and_the_registry_is_left_as_it_was() -> None:
    before = dict(families())
    assert problems(family()) == []
    assert families() == before
    assert list(families()) == list(before)


def test_problems_name_family_check_and_genes() -> None:
    (first, *_) = problems(Family("trial", Genes, lay_out_unskipped, ()))
    assert first.startswith("trial: genes: sample_genes is empty")


def test_the_command_prints_what_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(__main__, "checks", lambda: checks()[:1])
    good = CliRunner().invoke(__main__.main, ["plain", "basic"])
    assert good.exit_code == 0
    assert "plain: 4 sample genes, defined in archspace.blocks.plain\n  holds  genes: Every gene" in good.output
    assert good.output.endswith("0 problems\n")
    monkeypatch.setitem(families(), "trial", family(genes=IdleGenes()))
    bad = CliRunner().invoke(__main__.main, ["trial"])
    assert bad.exit_code == 1
    assert "  wrong  genes: " in bad.output
    assert "- IdleGenes(kernel=3): kernel = 1 instead of 3 changes nothing" in bad.output
    unknown = CliRunner().invoke(__main__.main, ["plian"])
    assert unknown.exit_code == 2
    assert "did you mean 'plain'?" in unknown.output
    assert CliRunner().invoke(__main__.main, []).exit_code == 2


GUIDE = (ROOT / "docs" / "add-a-block.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w.-]+)`:\n\n```\w+\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL))
SHELL = [
    line for text in re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL) for line in text.splitlines()
]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide's package, written down and installed as its pyproject.toml says."""
    folder = tmp_path_factory.mktemp("guide")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    installed = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    installed.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (installed / "METADATA").write_text(metadata, encoding="utf-8")
    points = "".join(f"[{group}]\n{lines(names)}" for group, names in project["entry-points"].items())
    (installed / "entry_points.txt").write_text(points, encoding="utf-8")
    return folder


def lines(names: dict[str, str]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in names.items())


def ran(package: Path, *command: str) -> str:
    path = os.pathsep.join((str(package), str(ROOT)))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=package,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_guide_names_its_files() -> None:
    assert sorted(FILES) == ["inverted.py", "inverted.yaml", "pyproject.toml", "test_inverted.py"]
    assert {name for name in FILES if name.endswith(".py") and not ast.parse(FILES[name]).body} == set()


@pytest.mark.slow
def test_the_guides_own_test_passes(package: Path) -> None:
    printed = ran(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_inverted.py")
    assert re.search(r"^\d+ passed", printed, re.MULTILINE), printed


def test_the_guides_commands_do_what_it_says(package: Path) -> None:
    commands = [shlex.split(line, comments=True) for line in SHELL]
    (cost,) = (words[1:] for words in commands if words[:2] == ["archspace", "cost"])
    assert "--check" in cost
    promised = re.search(r"([\d,]+) params", GUIDE)
    assert promised
    printed = ran(package, "-c", "from archspace.cli.main import main; main()", *cost)
    assert promised[1] in printed
    assert ["python", "-m", "archspace.conformance", "inverted"] in commands
    assert ["archspace", "export", "inverted.yaml", "-o", "inverted_network.py"] in commands


def test_the_guide_explains_every_field_of_a_family() -> None:
    fields = set(Family.__dataclass_fields__) | {"ends_in_norm", "needs"}
    assert {name for name in fields if f"`{name}`" not in GUIDE} == set()
