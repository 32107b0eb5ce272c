"""The slope of the ground, from its elevation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def slope(elevation: NDArray[Any], metres_per_pixel: tuple[float, float]) -> NDArray[np.float32]:
    """Return the slope in degrees, 0 to 90, (H, W), of an elevation in metres, (H, W), on a grid in metres.

    The gradient is that of Horn (1981, doi:10.1109/PROC.1981.11918), over 3 x 3 pixels, as in GDAL and QGIS: Sobel's
    kernels divided by 8. `metres_per_pixel` is the width and the height of a pixel. Where one of the nine elevations is
    NaN or outside, the slope is NaN: the border of one pixel always is.

    >>> slope(np.array([[0, 10, 20]] * 3), (10, 10))[1]
    array([nan, 45., nan], dtype=float32)
    """
    metres = np.asarray(elevation, np.result_type(elevation, np.float32))
    across, down = (
        ndimage.sobel(metres, axis, mode="constant", cval=np.nan) / metres.dtype.type(8 * side)
        for axis, side in zip((1, 0), metres_per_pixel, strict=True)
    )
    steep = np.hypot(across, down, out=across)
    return np.asarray(np.degrees(np.arctan(steep, out=steep), out=steep), np.float32)
