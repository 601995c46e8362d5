"""What a trial holds a built network to before it spends time on it."""

from __future__ import annotations

from archspace.closed_form import Cost
from archspace.measure.count import counted_params, hooked_macs
from archspace.network import Network


class WrongCost(Exception):  # noqa: N818
    """A network that was built is not the one that was costed: a mistake in a block, not in its use."""


def assert_costs(network: Network, cost: Cost) -> None:
    """Hold params and macs of a network on the CPU to the closed form; raises WrongCost. Passes one image through."""
    for figure, closed, counted in (
        ("params", cost.params, counted_params(network)),
        ("macs", cost.macs, hooked_macs(network, cost.input)),
    ):
        if closed != counted:
            raise WrongCost(f"the network has {counted:,} {figure}, its genome says {closed:,}")
