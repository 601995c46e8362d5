"""What does counting a network's cost take? archspace's closed form beside counters that run the network.

archspace starts from a genome: it draws the blueprint and sums it up; no network exists. The others start from a
network that is already built, in eval mode, without gradients, and count one forward pass at batch 1; building is timed
apart. In each round every counter runs once, in an order that rotates, so that what else the machine does meets all.
Install them with `pip install -c constraints.txt -e '.[bench]'`, run `python benchmarks/cost.py`: it prints a table and
writes benchmarks/results/cost.json. With `--quick`: three rounds of the first network, and nothing is written.
"""

from __future__ import annotations

import copy
import gc
import io
import json
import re
import statistics
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from archspace.blueprint import draw
from archspace.closed_form import Cost, cost_of
from archspace.lookup import Found, find_genome
from archspace.network import build
from archspace.searching.machine import describe, versions
from archspace.units import percent, shape_text

NETWORKS = {
    "ResNet-50": "resnet50",
    "ResNeXt-101 64x4d": "ResNeXt-101_64x4d",
    "DenseNet-201": "densenet121",
    "PreResNet-1001": "PreResNet-1001_c10",
    "ResNet-1202": "ResNet-1202_A_c10",
}
"""Each network's zoo entry."""
DEPTHS = {"DenseNet-201": (6, 12, 48, 32)}
"""Blocks in each stage of what the zoo has at another depth (Huang et al. 2017, 1608.06993, Table 1)."""
ROUNDS, LEAST, SEED = 9, 3, 0
BUDGET = 3.0
"""Seconds of one counter on one network, after which it leaves the rounds if it ran `LEAST` times."""
PACKAGES = ("fvcore", "ptflops", "thop", "calflops", "transformers", "torchinfo")
OUT = Path(__file__).parent / "results" / "cost.json"
TERMS = {
    "macs": "multiply-adds of convolutions and linear layers",
    "bias": "outputs to which a layer adds a bias",
    "norm": "elements that batch norm sees",
    "scale": "scales and shifts of batch norm",
    "relu": "elements that ReLU sees",
    "pool": "elements that pooling of any kind sees",
    "adaptive": "those of them that adaptive pooling sees",
    "mean": "outputs of average pooling of any kind",
}
"""What one forward pass does; a convention is a sum of these. Nobody counts the sums that shortcuts end in."""


@dataclass(frozen=True)
class Subject:
    """What a counter is given: a genome at its input and classes, and a network of its own with one image."""

    found: Found
    network: nn.Module
    image: Tensor


@dataclass(frozen=True)
class Method:
    """A way to count: the counts of one call by name, of each its convention and the measure of ours next to it."""

    count: Callable[[Subject], Mapping[str, float]]
    conventions: Mapping[str, tuple[str, str]]
    reason: str
    device: str = "cpu"


@dataclass
class Taken:
    """What one counter gave on one network: counts, the seconds of its calls, the error that ended them."""

    counts: Mapping[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    error: str = ""


def by_archspace(subject: Subject) -> Mapping[str, float]:
    """The closed form, from the genome."""
    found = cost_of(subject.found.genome, subject.found.input, subject.found.classes)
    return {"macs": found.macs, "flops": found.flops}


def by_nobody(subject: Subject) -> Mapping[str, float]:
    """The forward pass alone."""
    subject.network(subject.image)
    return {}


def by_fvcore(subject: Subject) -> Mapping[str, float]:
    """Operators of the graph that torch.jit traces."""
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(subject.network, subject.image)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    return {"flops": analysis.total()}


def by_torch(subject: Subject) -> Mapping[str, float]:
    """Operators that torch dispatches."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        subject.network(subject.image)
    return {"flops": counter.get_total_flops()}


def by_ptflops(subject: Subject, backend: str) -> Mapping[str, float]:
    """Hooked modules and patched functions (`pytorch`, its default), or dispatched operators (`aten`)."""
    from ptflops import get_model_complexity_info

    settings: dict[str, Any] = {"as_strings": False, "print_per_layer_stat": False, "backend": backend}
    macs, _ = get_model_complexity_info(subject.network, tuple(subject.image.shape[1:]), **settings)
    if macs is None:
        raise RuntimeError("no count:")
    return {"macs": macs}


def by_thop(subject: Subject) -> Mapping[str, float]:
    """Hooked modules."""
    from thop import profile

    return {"macs": profile(subject.network, (subject.image,), verbose=False)[0]}


def by_calflops(subject: Subject) -> Mapping[str, float]:
    """Patched functions."""
    from calflops import calculate_flops

    settings: dict[str, Any] = {"print_results": False, "output_as_string": False}
    flops, macs, _ = calculate_flops(subject.network, tuple(subject.image.shape), **settings)
    return {"macs": macs, "flops": flops}


def by_torchinfo(subject: Subject) -> Mapping[str, float]:
    """Hooked modules' parameters and output sizes."""
    from torchinfo import summary

    return {"mult-adds": summary(subject.network, input_data=subject.image, verbose=0).total_mult_adds}


MACS, TWICE, FLOPS = ("macs", "macs"), ("2 macs", "2 macs"), ("macs + 2 norm + adaptive", "flops")
METHODS = {
    "archspace": Method(by_archspace, {"macs": MACS, "flops": FLOPS}, "flops are defined to be fvcore's"),
    "forward pass alone": Method(by_nobody, {}, "counts nothing: what running the network takes by itself"),
    "fvcore": Method(by_fvcore, {"flops": FLOPS}, "a multiply-add is 1; no bias, no ReLU, no pooling but adaptive"),
    "FlopCounterMode": Method(by_torch, {"flops": TWICE}, "a multiply-add is 2; nothing else"),
    "FlopCounterMode, meta": Method(by_torch, {"flops": TWICE}, "a network without memory: shapes alone", "meta"),
    "ptflops": Method(
        partial(by_ptflops, backend="pytorch"),
        {"macs": ("macs + bias + 2 norm + relu + 2 pool", "flops")},
        "a pooling module counts twice: its hook does, and so does the patched function that it calls",
    ),
    "ptflops, aten": Method(
        partial(by_ptflops, backend="aten"), {"macs": ("macs + bias", "macs")}, "a bias is one multiply-add an output"
    ),
    "thop": Method(
        by_thop,
        {"macs": ("macs + 4 norm + adaptive + mean", "flops")},
        "batch norm is 2 an element, doubled where it has scale and shift; no bias",
    ),
    "calflops": Method(
        by_calflops,
        {"macs": MACS, "flops": ("2 macs + 2 norm + relu + pool", "2 macs")},
        "flops: a multiply-add is 2; a convolution's bias would count (there is none), a linear layer's does not",
    ),
    "torchinfo": Method(
        by_torchinfo,
        {"mult-adds": ("macs + bias + scale", "macs")},
        "every parameter, times a convolution's output positions; so batch norm is no more than its parameters",
    ),
}


class Operations(TorchFunctionMode):
    """Tallies the terms of what runs inside it, from the functions that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.terms: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run `func`, and note what it did."""
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in ("conv2d", "linear"):
            self.terms.update(macs=out.numel() * args[1][0].numel(), bias=0 if args[2] is None else out.numel())
        elif name == "batch_norm":
            self.terms.update(norm=out.numel(), scale=2 * out.shape[1])
        elif name == "relu":
            self.terms.update(relu=out.numel())
        elif name.endswith("_pool2d"):
            sees = args[0].numel()
            adaptive, mean = sees if "adaptive" in name else 0, out.numel() if "avg" in name else 0
            self.terms.update(pool=sees, adaptive=adaptive, mean=mean)
        return out


def find(name: str) -> Found:
    """One of NETWORKS at its published input and classes."""
    found = find_genome(NETWORKS[name], Path("runs"))
    if name not in DEPTHS:
        return found
    pairs = zip(found.genome.stages, DEPTHS[name], strict=True)
    return replace(found, genome=replace(found.genome, stages=tuple(replace(s, depth=d) for s, d in pairs)))


def built(found: Found, device: str) -> tuple[nn.Module, float]:
    """A network in eval mode with random weights, and the seconds that drawing and building it took."""
    began = time.process_time()
    with torch.device(device):
        generator = None if device == "meta" else torch.Generator().manual_seed(SEED)
        network = build(draw(found.genome, found.input, found.classes), generator).eval()
    return network, time.process_time() - began


def subject_of(found: Found, network: nn.Module, device: str) -> Subject:
    """Modules for one counter alone, since some leave attributes behind; the weights are shared."""
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return Subject(found, copy.deepcopy(network, shared), torch.zeros(1, *found.input, device=device))


def call(method: Method, subject: Subject, taken: Taken) -> None:
    """One count; nobody pays for another's garbage."""
    gc.collect()
    said = io.StringIO()
    try:
        with redirect_stdout(said), torch.no_grad():
            began = time.process_time()
            counts = method.count(subject)
            seconds = time.process_time() - began
        if taken.counts not in ({}, counts):
            raise RuntimeError(f"another call counted {taken.counts}, this one {counts}")
        taken.counts = counts
        taken.seconds.append(seconds)
    except Exception as error:  # whatever a package raises belongs to the result
        taken.error = " ".join(f"{type(error).__name__}: {error} {said.getvalue()}".split())


def measure(found: Found, networks: Mapping[str, nn.Module], rounds: int) -> dict[str, Taken]:
    """Every counter once to warm up, then round after round as long as its budget lasts."""
    subjects = {name: subject_of(found, networks[method.device], method.device) for name, method in METHODS.items()}
    every = {name: Taken() for name in METHODS}
    gc.collect()
    gc.freeze()  # collections while a counter runs shall not walk through the networks of all the others
    for name, method in METHODS.items():
        call(method, subjects[name], every[name])
        every[name].seconds.clear()
    names = list(METHODS)
    for index in range(rounds):
        start = index % len(names)
        for name in names[start:] + names[:start]:
            taken = every[name]
            if not taken.error and (len(taken.seconds) < LEAST or sum(taken.seconds) < BUDGET):
                call(METHODS[name], subjects[name], taken)
    gc.unfreeze()
    return every


def valued(formula: str, values: Mapping[str, int]) -> int:
    """What `macs + 2 norm`, say, comes to."""
    return sum(int(times or 1) * values[term] for times, term in re.findall(r"(?:(\d+) )?([a-z]+)", formula))


def row_of(method: Method, taken: Taken, ours: Cost, terms: Mapping[str, int]) -> dict[str, Any]:
    """Seconds, and of each count what its convention leaves unexplained and how far archspace's measure is."""
    row: dict[str, Any] = {"starts_from": "genome" if method.count is by_archspace else f"network on {method.device}"}
    if taken.error:
        row["error"] = taken.error
    if len(taken.seconds) >= LEAST:
        low, middle, high = statistics.quantiles(taken.seconds, n=4)
        row["seconds"] = {"median": middle, "quartile1": low, "quartile3": high, "n": len(taken.seconds)}
    row["counts"] = {}
    for name, count in taken.counts.items():
        convention, nearest = method.conventions[name]
        row["counts"][name] = {
            "count": int(count),
            "convention": convention,
            "unexplained": int(count) - valued(convention, terms),
            "compared_with": nearest,
            "difference": int(count) - valued(nearest, {"macs": ours.macs, "flops": ours.flops}),
        }
    return row


def one_network(name: str, rounds: int) -> dict[str, Any]:
    """All counters on one network."""
    found = find(name)
    ours = cost_of(found.genome, found.input, found.classes)
    (network, seconds), (bare, bare_seconds) = built(found, "cpu"), built(found, "meta")
    with Operations() as operations, torch.no_grad():
        network(torch.zeros(1, *found.input))
    every = measure(found, {"cpu": network, "meta": bare}, rounds)
    return {
        "zoo": NETWORKS[name],
        "depths": [stage.depth for stage in found.genome.stages],
        "input": found.input,
        "classes": found.classes,
        "params": ours.params,
        "build_seconds": {"cpu": seconds, "meta": bare_seconds},
        "operations": {term: operations.terms[term] for term in TERMS},
        "counters": {key: row_of(METHODS[key], taken, ours, operations.terms) for key, taken in every.items()},
    }


def show(name: str, result: Mapping[str, Any]) -> None:
    """One network's part of the table."""
    builds = " (meta device: ".join(f"{1e3 * seconds:,.0f} ms" for seconds in result["build_seconds"].values())
    print(f"\n{name}, {shape_text(result['input'])}, {result['classes']} classes; built once in {builds})")
    base = result["counters"]["archspace"]["seconds"]["median"]
    for key, row in result["counters"].items():
        times = ""
        if spent := row.get("seconds"):
            middle, low, high = (f"{1e3 * spent[which]:,.2f}" for which in ("median", "quartile1", "quartile3"))
            times = f"{middle:>9} {low:>9} {high:>9} {spent['n']:>3} {spent['median'] / base:>7,.0f}"
        lines = [f"{what:>9} {_counted(**count)}" for what, count in row["counts"].items()]
        lines += [row["error"]] if "error" in row else []
        for index, line in enumerate(lines or [""]):
            print(f"{'' if index else key:<22}{'' if index else times:>41} {line}".rstrip(), flush=True)


def _counted(count: int, convention: str, unexplained: int, compared_with: str, difference: int) -> str:
    """A count's cells."""
    said = convention + (f", off by {unexplained:+,}" if unexplained else "")
    share = percent(difference / (count - difference))
    return f"{count:>15,}  {said:<38}{compared_with:<7} {difference:>+13,} {share:>7}"


def legend() -> None:
    """What the table's words mean."""
    print("\nms: median of n counts, and quartiles; ratio: of medians, to archspace's; beside: archspace's measure")
    print("\n".join(f"  {term:<9} {words}" for term, words in TERMS.items()))
    print("\n".join(f"{name:<22} {method.reason}" for name, method in METHODS.items()))


def settings() -> dict[str, Any]:
    """How it was measured, on what."""
    return {
        "timed": "archspace: draw and cost of a genome; others: counting one forward pass of a built network",
        "forward": "eval mode, batch 1, fp32, without gradients",
        "clock": "CPU time of the process",
        "threads": torch.get_num_threads(),
        "machine": describe(),
        "versions": versions() | {name: version(name) for name in PACKAGES if find_spec(name)},
        "rounds": ROUNDS,
        "at_least": LEAST,
        "budget_seconds": BUDGET,
        "warm_up": 1,
        "seed": SEED,
        "terms": TERMS,
        "conventions": {name: method.reason for name, method in METHODS.items()},
    }


def main() -> None:
    """Measure, print, write."""
    quick = "--quick" in sys.argv[1:]
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for device in ("cpu", "meta"):  # else the first network would pay for what torch loads on first use
        built(find_genome("ResNet-20_A_c10", Path("runs")), device)
    print(f"{'':<22}{'ms':>9} {'25%':>9} {'75%':>9} {'n':>3} {'ratio':>7}", end="")
    print(f" {'':>9} {'count':>15}  {'convention':<38}{'beside':<7} {'difference':>13}")
    networks: dict[str, Any] = {}
    for name in list(NETWORKS)[: 1 if quick else None]:
        networks[name] = one_network(name, LEAST if quick else ROUNDS)
        show(name, networks[name])
    legend()
    # A second part, genomes a second of whole tables, goes in here, beside "networks" under a key of its own.
    if not quick:
        OUT.parent.mkdir(exist_ok=True)
        OUT.write_text(json.dumps(settings() | {"networks": networks}, indent=2) + "\n")


if __name__ == "__main__":
    main()
