"""The other side of a proof: a script, run alone, that builds exported files where archspace cannot be imported.

`python -I isolated.py REQUEST` reads a JSON request, and answers each of its cases with a JSON report and, where all
went well, the network's outputs as safetensors. It imports nothing of archspace: it is what a stranger would do.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


class NoArchspace(MetaPathFinder):
    """Refuses every import of archspace, installed or not."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] == "archspace":
            raise ImportError(f"it imports {fullname}; an exported file stands without archspace")
        return None


def main(request_path: str) -> None:
    """Answer every case of a request."""
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    sys.meta_path.insert(0, NoArchspace())
    # -I leaves out the user's own site-packages, where torch may be installed.
    sys.path.extend(place for place in request["sites"] if place not in sys.path)
    import torch

    torch.set_num_threads(request["threads"])
    torch.set_float32_matmul_precision(request["precision"])
    for case in request["cases"]:
        report = _answer(case)
        Path(case["report"]).write_text(json.dumps(report), encoding="utf-8")


def _answer(case: dict[str, Any]) -> dict[str, Any]:
    """What was found: `shapes` once the network is built, and `failed` with `why` where a step could not be taken."""
    import torch
    from safetensors.torch import load_file, save_file

    report: dict[str, Any] = {}
    step = "import the file"
    try:
        module = _import(case["source"])
        step = "call build()"
        network: nn.Module = module.build()
        state = network.state_dict()
        report["shapes"] = {key: [str(value.dtype), *value.shape] for key, value in state.items()}
        report["params"] = sum(value.numel() for value in network.parameters() if value.requires_grad)
        step = "load the weights"
        network.load_state_dict(load_file(case["weights"]), strict=True)
        step = "run the network"
        network.eval()
        inputs = load_file(case["inputs"])
        with torch.no_grad():
            outputs = {name: network(images.clone()) for name, images in inputs.items()}
        save_file({name: output.contiguous() for name, output in outputs.items()}, case["outputs"])
    except Exception as error:
        report |= {"failed": step, "why": " ".join(f"{type(error).__name__}: {error}".split())}
    return report


def _import(source: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("exported", source)
    if spec is None or spec.loader is None:
        raise ImportError(f"{source} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["exported"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(sys.argv[1])
