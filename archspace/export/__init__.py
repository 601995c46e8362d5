"""Handing networks over: each format writes files, and proves that they are the network."""

from collections.abc import Callable, Mapping

from archspace.export.facts import Facts
from archspace.export.python import Exported, Trained, export_python, export_safetensors

FORMATS: Mapping[str, Callable[..., Exported]] = {"python": export_python, "safetensors": export_safetensors}
"""Every format's function, called as (blueprint, trained, facts, path)."""

__all__ = ["FORMATS", "Exported", "Facts", "Trained", "export_python", "export_safetensors"]
