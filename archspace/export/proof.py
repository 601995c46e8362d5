"""The proof that an exported file is the trained network: equal keys, equal shapes, outputs equal bit by bit."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspace.errors import RunFailed
from archspace.genome import Shape

if TYPE_CHECKING:
    from torch import Tensor, nn

BATCHES = (1, 3)
"""Images in each batch that both networks are run on."""
PATIENCE = 900
"""Seconds after which the isolated process is given up."""


@dataclass(frozen=True)
class Case:
    """An exported file to be held against its network; without `weights`, the file is given weights for the proof."""

    source: Path
    weights: Path | None
    network: nn.Module
    input: Shape


@dataclass(frozen=True)
class Proof:
    """What was shown: `keys` state-dict entries of equal name, shape and type, `params` equal trainable scalars, and
    outputs that differ by at most `max_difference` (0.0: bit by bit) on one batch of each size in `batches`."""

    keys: int
    params: int
    batches: tuple[int, ...]
    max_difference: float


def prove(source: Path, weights: Path | None, network: nn.Module, input: Shape) -> Proof:
    """Hold one exported file against `network` on images of `input` (channels, height, width); raises RunFailed.

    A process that cannot import archspace builds the file's network with its defaults, loads the weights strictly and
    runs it on the CPU in eval mode. Where there are no weights, both networks are given random ones, as new networks
    that end their branches in zeros would hide a difference. `network` itself is left as it is.
    """
    (result,) = prove_all([Case(source, weights, network, input)])
    if isinstance(result, RunFailed):
        raise result
    return result


def prove_all(cases: Sequence[Case]) -> list[Proof | RunFailed]:
    """As `prove`, for several files in one process: for each its proof, or the failure that stands in its way."""
    with tempfile.TemporaryDirectory(prefix="archspace-proof-") as name:
        folder = Path(name)
        references = [_reference(case, folder / str(number)) for number, case in enumerate(cases)]
        _run_isolated([request for request, _ in references], folder)
        return [_result(case, *reference) for case, reference in zip(cases, references, strict=True)]


def _reference(case: Case, folder: Path) -> tuple[dict[str, str], nn.Module]:
    """The request for one case, its files written, and the network that it is to equal: on the CPU, in eval mode."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    network = copy.deepcopy(case.network).cpu().eval()
    for parameter in network.parameters():
        parameter.data = parameter.data.contiguous()
    generator = torch.Generator().manual_seed(0)
    inputs = {f"batch{size}": torch.randn(size, *case.input, generator=generator) for size in BATCHES}
    save_file(inputs, folder / "inputs.safetensors")
    weights = case.weights
    if weights is None:
        _stir(network, inputs[f"batch{BATCHES[-1]}"], generator)
        weights = folder / "weights.safetensors"
        save_file(storable(network.state_dict()), weights)
    files = {name: str(folder / f"{name}.safetensors") for name in ("inputs", "outputs")}
    names = {"source": case.source.absolute(), "weights": weights.absolute(), "report": folder / "report.json"}
    return {**files, **{name: str(path) for name, path in names.items()}}, network


def storable(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of a state dict's tensors as safetensors can hold them: on the CPU, contiguous, sharing nothing."""
    return {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}


def _stir(network: nn.Module, images: Tensor, generator: Any) -> None:
    """Give every norm random scale and shift, and the statistics of `images`: every layer then shows in the output."""
    import torch
    from torch import nn

    def take_statistics(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(inputs[0].mean((0, 2, 3)))
        norm.running_var.copy_(inputs[0].var((0, 2, 3), unbiased=False))

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            nn.init.uniform_(norm.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(norm.bias, std=0.1, generator=generator)
        hooks = [norm.register_forward_pre_hook(take_statistics) for norm in norms]
        network(images)
        for hook in hooks:
            hook.remove()


def _run_isolated(cases: list[dict[str, str]], folder: Path) -> None:
    """Answer the requests in a process of its own, in an empty folder, with as many threads as here."""
    import safetensors
    import torch

    request = {
        "cases": cases,
        "sites": [str(Path(str(module.__file__)).parents[1]) for module in (torch, safetensors)],
        "threads": torch.get_num_threads(),
        "precision": torch.get_float32_matmul_precision(),
    }
    path, empty = folder / "request.json", folder / "empty"
    path.write_text(json.dumps(request), encoding="utf-8")
    empty.mkdir()
    command = [sys.executable, "-I", "-B", str(Path(__file__).with_name("isolated.py")), str(path)]
    try:
        done = subprocess.run(command, cwd=empty, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise RunFailed(f"the isolated process that checks an export gave no answer in {PATIENCE} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunFailed(f"the isolated process that checks an export ended with status {done.returncode}: {last}")


def _result(case: Case, request: dict[str, str], network: nn.Module) -> Proof | RunFailed:
    try:
        return _compare(case, request, network)
    except RunFailed as failure:
        return failure


def _compare(case: Case, request: dict[str, str], network: nn.Module) -> Proof:
    import torch
    from safetensors.torch import load_file

    report = json.loads(Path(request["report"]).read_text(encoding="utf-8"))
    if "shapes" in report:
        _compare_shapes(case, report, network)
    if "failed" in report:
        raise _unproven(case, f"without archspace, a fresh Python could not {report['failed']}: {report['why']}")
    outputs = load_file(request["outputs"])
    worst = 0.0
    with torch.no_grad():
        for name, images in load_file(request["inputs"]).items():
            here, there = network(images.clone()), outputs[name]
            if not bool(torch.isfinite(here).all()):
                raise _unproven(case, "the network's own outputs are not finite, so they prove nothing")
            if here.shape != there.shape:
                raise _unproven(case, f"outputs are of shape {list(there.shape)}, the network's {list(here.shape)}")
            if not torch.equal(here, there):
                worst = max(worst, float((here - there).abs().nan_to_num(float("inf")).max()))
    if worst > 0.0:
        raise _unproven(case, f"its outputs differ from the network's by up to {worst:.3g}")
    return Proof(len(report["shapes"]), report["params"], BATCHES, worst)


def _compare_shapes(case: Case, report: dict[str, Any], network: nn.Module) -> None:
    here = {key: [str(value.dtype), *value.shape] for key, value in network.state_dict().items()}
    there: dict[str, list[Any]] = report["shapes"]
    if missing := [key for key in here if key not in there]:
        raise _unproven(case, f"its state dict lacks {len(missing)} of {len(here)} keys, {missing[0]} first")
    if foreign := [key for key in there if key not in here]:
        raise _unproven(case, f"its state dict has {len(foreign)} keys that the network has not, {foreign[0]} first")
    for key, shape in here.items():
        if there[key] != shape:
            raise _unproven(case, f"{key} is {there[key]} there and {shape} in the network")
    params = sum(value.numel() for value in network.parameters() if value.requires_grad)
    if params != report["params"]:
        raise _unproven(case, f"it has {report['params']} params, the network {params}")


def _unproven(case: Case, why: str) -> RunFailed:
    return RunFailed(f"{case.source} does not equal its network: {why}")
