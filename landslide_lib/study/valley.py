"""Optimizers on a valley of two dimensions, for the eye: what their steps are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from landslide_lib.study.recipe.parts import Optimizer
from landslide_lib.training.optimizers import OPTIMIZERS


class Valley(NamedTuple):
    """A bowl that is flat in one direction and steep in the other; its bottom is at (0, 0).

    Args:
        flat: Curvature along the floor.
        steep: Curvature across it.
        turn: Angle of the floor with the first axis, in degrees. At 0 each coordinate is one of
            the two directions, which suits optimizers that scale coordinates.
        start: Where a walk begins, along the floor and across it.
    """

    flat: float = 0.05
    steep: float = 5.0
    turn: float = 0.0
    start: tuple[float, float] = (-4.0, 1.0)

    @property
    def axes(self) -> NDArray[np.float64]:
        """Return the directions along the floor and across it as columns, (2, 2)."""
        angle = np.radians(self.turn)
        return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def height(self, points: ArrayLike) -> NDArray[np.float64]:
        """Return the height of points (..., 2): half of curvature times distance squared.

        >>> float(Valley(flat=1, steep=4).height([1, 1]))
        2.5
        """
        along = np.asarray(points, np.float64) @ self.axes
        return np.asarray((along**2 * (self.flat, self.steep)).sum(-1) / 2)


def descend(how: Optimizer, valley: Valley, *, steps: int = 60) -> NDArray[np.float64]:
    """Walk into a valley with torch's optimizer at a constant learning rate.

    Args:
        how: Name, learning rate and weight decay; the schedule is left out.
        valley: Where.
        steps: How many.

    Returns:
        The places, (steps + 1, 2), the start first. A walk that leaves the valley is not finite.

    Reference:
        The documentation of torch.optim, in which each rule is written out.

    >>> descend(Optimizer(name="sgd", lr=0.1), Valley(flat=1, steep=4), steps=1).round(3).tolist()
    [[-4.0, 1.0], [-3.6, 0.6]]
    """
    axes = torch.from_numpy(valley.axes)
    curvatures = torch.tensor([valley.flat, valley.steep], dtype=torch.float64)
    place = (axes @ torch.tensor(valley.start, dtype=torch.float64)).requires_grad_()
    made = OPTIMIZERS[how.name]([place], lr=how.lr, weight_decay=how.weight_decay)
    walk = [place.detach().numpy().copy()]
    for _ in range(steps):
        place.grad = axes @ (curvatures * (axes.T @ place.detach()))
        made.step()
        walk.append(place.detach().numpy().copy())
    return np.array(walk)


def mean_heights(how: Optimizer, valley: Valley, rates: ArrayLike, *, steps: int = 60) -> NDArray[np.float64]:
    """Return the mean height of a walk over its steps, a value a learning rate.

    The mean asks for speed, and a walk that swings far out on its way pays for it.

    Args:
        how: Its learning rate is replaced.
        valley: Where.
        rates: Learning rates, (N,), above 0.
        steps: How many.

    Returns:
        Heights, (N,); infinity where the walk overflows.
    """
    walks = [descend(how.model_copy(update={"lr": float(rate)}), valley, steps=steps) for rate in np.asarray(rates)]
    with np.errstate(over="ignore", invalid="ignore"):
        heights = valley.height(np.array(walks)).mean(-1)
    return np.where(np.isfinite(heights), heights, np.inf)
