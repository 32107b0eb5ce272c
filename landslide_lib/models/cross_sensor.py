"""Cross-sensor normalization: batch norms that keep the statistics of two domains apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Literal

from torch import Tensor, nn

Domain = Literal["source", "target"]


class CrossSensorNorm(nn.Module):
    """A batch norm of each domain; both share what they learn, weight and bias.

    A domain of which no batch was seen in training has the statistics that it began with, and in evaluation a network
    says nothing sensible of it. Its batches need no labels for that: those of the target may go through without a
    gradient. The authors' code copies the source's statistics to the target instead, once, before the first
    pseudo-labels.

    Args:
        norm: What it takes the place of: the source's from now on, of which the target's is a copy, with the statistics
            it has. An activation inside, as timm has, stays there.

    Attributes:
        norms: By domain. Weight and bias are the same parameters in both, so an optimizer has them once; a state dict
            names them twice.
        domain: Which of them is used, see `of_domain`; not in the state dict.

    Reference: Wang and others 2022, doi:10.1016/j.rse.2022.113058; https://github.com/Junjue-Wang/LoveCS.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.norms = nn.ModuleDict({"source": norm, "target": deepcopy(norm)})
        self.norms["target"].weight, self.norms["target"].bias = norm.weight, norm.bias
        self.domain: Domain = "source"

    def forward(self, x: Tensor) -> Tensor:
        """Return what the norm of the domain makes of it."""
        normalised: Tensor = self.norms[self.domain](x)
        return normalised


def cross_sensor(network: nn.Module) -> nn.Module:
    """Put a `CrossSensorNorm` in the place of every batch norm of a network, in the network itself.

    A network without any, or converted before, is left as it is. Its optimizer may be built before or after.

    Returns:
        The network; where it is itself a batch norm, what takes its place.

    >>> network = cross_sensor(nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)))
    >>> len(cross_sensor_norms(network)), sum(p.numel() for p in network.parameters())
    (1, 48)
    """
    if isinstance(network, CrossSensorNorm):
        return network
    if isinstance(network, nn.BatchNorm2d):
        return CrossSensorNorm(network)
    for name, child in network.named_children():
        setattr(network, name, cross_sensor(child))
    return network


def cross_sensor_norms(network: nn.Module) -> list[CrossSensorNorm]:
    """Return a network's cross-sensor norms."""
    return [module for module in network.modules() if isinstance(module, CrossSensorNorm)]


@contextmanager
def of_domain(network: nn.Module, domain: Domain) -> Iterator[None]:
    """Let a network take what it is given, inside, for images of a domain; elsewhere for the source's.

    In training the statistics of that domain alone are updated; a batch is of one domain. A network without
    cross-sensor norms does the same for both.
    """
    norms = cross_sensor_norms(network)
    before = [norm.domain for norm in norms]
    for norm in norms:
        norm.domain = domain
    try:
        yield
    finally:
        for norm, previous in zip(norms, before, strict=True):
            norm.domain = previous
