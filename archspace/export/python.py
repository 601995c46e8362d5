"""Handing a network over as source and weights: both proven before either is called by its name."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union

from archspace.errors import RunFailed, UserError
from archspace.export.facts import Facts
from archspace.export.proof import Proof, prove, storable
from archspace.export.source import source_of
from archspace.genome import canonical_json

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archspace.blueprint import Blueprint

EXPORTED = "exported by archspace."
"""What the docstring of an exported file says; a file without it is somebody's own and is not written over."""
Trained = Union["nn.Module", Mapping[str, "Tensor"], None]
"""A network, its state dict, or None where only the architecture is handed over."""


@dataclass(frozen=True)
class Exported:
    """The files that were written, and what was proven of them."""

    paths: tuple[Path, ...]
    proof: Proof


def export_python(blueprint: Blueprint, trained: Trained, facts: Facts, path: Path) -> Exported:
    """Write `path` (its ending made .py), and the weights beside it where there are any.

    Files of that name are replaced once the new ones are proven. Raises RunFailed where the proof fails (the files are
    then kept in a folder `*.unproven-*` that the message names), and UserError where `path` cannot be written.
    """
    endings = (".py",) if trained is None else (".py", ".safetensors")
    return _export(blueprint, trained, facts, path, endings)


def export_safetensors(blueprint: Blueprint, trained: Trained, facts: Facts, path: Path) -> Exported:
    """Write the weights alone, proven with a source that is not kept; raises as `export_python` does."""
    if trained is None:
        raise UserError(f"{facts.name}: it has no weights to export; train it, or export it as python")
    return _export(blueprint, trained, facts, path, (".safetensors",))


def _export(blueprint: Blueprint, trained: Trained, facts: Facts, path: Path, endings: tuple[str, ...]) -> Exported:
    stem = path.stem if path.suffix in (".py", ".safetensors") else path.name
    targets = tuple(path.with_name(stem + ending) for ending in endings)
    folder = _folder_beside(path, stem, targets)
    kept = False
    try:
        proof = _write_and_prove(blueprint, trained, facts, folder, stem)
        for target in reversed(targets):  # the source last: once it is there, so are the weights it speaks of
            (folder / target.name).replace(target)
    except RunFailed as failure:
        kept = True
        raise RunFailed(f"{failure}\nnothing was exported; the files are kept in {folder} for a look") from None
    finally:
        if not kept:
            shutil.rmtree(folder)
    return Exported(targets, proof)


def _folder_beside(path: Path, stem: str, targets: tuple[Path, ...]) -> Path:
    """A new folder on the same disk as the targets, so that files move into place at once."""
    for target in targets:
        if target.is_dir():
            raise UserError(f"{target}: is a folder; name a file to export to")
        if target.is_file() and not _is_export(target):
            raise UserError(f"{target}: is there already and no file that archspace exported; name another with -o")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{stem}.unproven-", dir=path.parent))
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _is_export(path: Path) -> bool:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as opened:
                return "genome" in (opened.metadata() or {})
        except (SafetensorError, OSError):
            return False
    return EXPORTED in " ".join(path.read_text(encoding="utf-8", errors="replace").split())


def _write_and_prove(blueprint: Blueprint, trained: Trained, facts: Facts, folder: Path, stem: str) -> Proof:
    from safetensors.torch import save_file

    source, weights = folder / f"{stem}.py", folder / f"{stem}.safetensors"
    network = _network(blueprint, trained)
    text = source_of(blueprint, facts, None if trained is None else weights.name)
    source.write_text(text, encoding="utf-8", errors="backslashreplace")  # names of files may be no UTF-8
    if trained is None:
        return prove(source, None, network, blueprint.input)
    save_file(storable(network.state_dict()), weights, metadata={"genome": canonical_json(facts.genome)})
    weights.chmod(source.stat().st_mode)  # safetensors writes files that the owner alone can read
    return prove(source, weights, network, blueprint.input)


def _network(blueprint: Blueprint, trained: Trained) -> nn.Module:
    from torch import nn

    from archspace.network import build

    if isinstance(trained, nn.Module):
        return trained
    network = build(blueprint)
    if trained is not None:
        try:
            network.load_state_dict(trained, strict=True)
        except RuntimeError as error:
            raise UserError(f"these weights are not this network's: {error}") from None
    return network
