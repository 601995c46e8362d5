"""Counts taken from a built network, for the closed form to be held against."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archspace.genome import Shape

if TYPE_CHECKING:
    from torch import Tensor, nn

    from archspace.blueprint import Blueprint


@dataclass(frozen=True)
class Difference:
    """A figure ("params", "macs", "flops" or "acts") whose closed form is not what was counted."""

    figure: str
    closed_form: int
    counted: int


def differences(blueprint: Blueprint) -> tuple[Difference, ...]:
    """Where the closed-form cost of a blueprint departs from its built network: empty when all four figures agree.

    Params are summed, macs and acts come from forward hooks, flops from fvcore. Runs the network twice on the CPU.
    """
    from archspace.closed_form import cost
    from archspace.network import build

    closed = cost(blueprint)
    network = build(blueprint)
    macs, acts = _hooked(network, blueprint.input)
    compared = (
        Difference("params", closed.params, counted_params(network)),
        Difference("macs", closed.macs, macs),
        Difference("flops", closed.flops, traced_flops(network, blueprint.input)),
        Difference("acts", closed.acts, acts),
    )
    return tuple(item for item in compared if item.closed_form != item.counted)


def counted_params(network: nn.Module) -> int:
    """Trainable scalars of a network."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def traced_flops(network: nn.Module, input: Shape) -> int:
    """Flops of one image of `input` (channels, height, width): fvcore's total in eval mode at batch 1."""
    with _evaluated(network), _quiet_tracing():
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(network, _one_image(network, input))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        return int(analysis.total())


def hooked_macs(network: nn.Module, input: Shape) -> int:
    """Multiply-adds of the convolutions and linear layers that one image of `input` runs through, without bias."""
    return _hooked(network, input)[0]


def hooked_acts(network: nn.Module, input: Shape) -> int:
    """Output elements of the convolutions that one image of `input` runs through."""
    return _hooked(network, input)[1]


def _hooked(network: nn.Module, input: Shape) -> tuple[int, int]:
    """Macs and acts, seen by hooks on every convolution and linear layer during one forward pass."""
    from torch import nn

    macs: list[int] = []
    acts: list[int] = []

    def on_conv(layer: nn.Conv2d, _: tuple[Tensor, ...], output: Tensor) -> None:
        macs.append(output.numel() * (layer.in_channels // layer.groups) * math.prod(layer.kernel_size))
        acts.append(output.numel())

    def on_linear(layer: nn.Linear, _: tuple[Tensor, ...], output: Tensor) -> None:
        macs.append(output.numel() * layer.in_features)

    hooks = [m.register_forward_hook(on_conv) for m in network.modules() if isinstance(m, nn.Conv2d)]
    hooks += [m.register_forward_hook(on_linear) for m in network.modules() if isinstance(m, nn.Linear)]
    try:
        with _evaluated(network):
            network(_one_image(network, input))
    finally:
        for hook in hooks:
            hook.remove()
    return sum(macs), sum(acts)


def _one_image(network: nn.Module, input: Shape) -> Tensor:
    import torch

    like = next(network.parameters())
    return torch.zeros(1, *input, device=like.device, dtype=like.dtype)


@contextmanager
def _evaluated(network: nn.Module) -> Iterator[None]:
    """Eval mode without gradients; afterwards every module is in the mode it was in, frozen norms included."""
    import torch

    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _quiet_tracing() -> Iterator[None]:
    """Silences what fvcore logs and torch warns about while fvcore is imported and traces, here alone."""
    logger = logging.getLogger("fvcore.nn.jit_analysis")
    disabled, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = disabled
