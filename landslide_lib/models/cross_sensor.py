"""Cross-sensor normalization: batch norms that keep the statistics of two domains apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Literal

from torch import Tensor, nn

Domain = Literal["source", "target"]


class CrossSensorNorm(nn.Module):
    """A batch norm of each domain; both share what they learn, weight and bias.

    The given norm is the source's, the target's a copy that begins with its statistics. In evaluation a network says
    nothing sensible of a domain of which no batch was seen in training; for that batches need no labels and no
    gradient. The authors' code trains on the source alone first, and copies its statistics to the target's norms once,
    before the first pseudo-labels. `domain`, see `of_domain`, says which of the norms is used.

    Reference: Wang and others 2022, doi:10.1016/j.rse.2022.113058; https://github.com/Junjue-Wang/LoveCS.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.norms = nn.ModuleDict({"source": norm, "target": deepcopy(norm)})
        self.norms["target"].weight, self.norms["target"].bias = norm.weight, norm.bias
        self.domain: Domain = "source"

    def forward(self, x: Tensor) -> Tensor:
        return self.norms[self.domain](x)


def cross_sensor(network: nn.Module) -> nn.Module:
    """Put a `CrossSensorNorm` in the place of every batch norm of a network, in the network itself, and return it."""
    if isinstance(network, nn.BatchNorm2d):
        return CrossSensorNorm(network)
    for name, child in network.named_children():
        setattr(network, name, cross_sensor(child))
    return network


@contextmanager
def of_domain(network: nn.Module, domain: Domain) -> Iterator[None]:
    """Let a network take what it is given, inside, for images of a domain; its statistics alone are updated."""
    norms = [module for module in network.modules() if isinstance(module, CrossSensorNorm)]
    for norm in norms:
        norm.domain = domain
    try:
        yield
    finally:
        for norm in norms:
            norm.domain = "source"
