"""Random fields, and the few operations on fields that the simulator shares.

A `Field` is (size, size); lengths are pixels.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
Rng = np.random.Generator


def fractal(rng: Rng, size: int, beta: float, longest: float, coarse: int = 1) -> Field:
    """Draw a field of mean 0 and deviation 1, power ~ f^-beta, of waves from `coarse` to about `longest` pixels."""
    n = size // coarse
    waves = np.fft.rfft2(rng.standard_normal((n, n), dtype=np.float32))
    f2 = np.fft.fftfreq(n)[:, None] ** 2 + np.fft.rfftfreq(n)[None] ** 2
    waves *= (f2 + (coarse / longest) ** 2) ** (-beta / 4)
    waves[0, 0] = 0
    field = np.fft.irfft2(waves, s=(n, n)).astype(np.float32)
    return np.asarray(cv2.resize(field / field.std(), (size, size), interpolation=cv2.INTER_CUBIC))


def blur(field: Field, sigma: float) -> Field:
    """Blur by a Gaussian of `sigma` pixels."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma))


def top(field: Field, share: float, softness: float) -> Field:
    """Soft mask over the highest `share` of the pixels."""
    cut = np.quantile(field[::3, ::3], 1 - share)
    return np.asarray(np.clip((field - cut) / softness + 0.5, 0, 1))


def warp(field: Field, dx: Field, dy: Field, pixels: float) -> Field:
    """Displace by `pixels` times (dx, dy)."""
    rows, cols = np.indices(field.shape, np.float32)
    x, y = (cols + pixels * dx).astype(np.float32), (rows + pixels * dy).astype(np.float32)
    return np.asarray(cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))
