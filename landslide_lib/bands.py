"""Names of bands. Engineered channels will stand here too, computed when a dataset is packed."""

from __future__ import annotations

#: The 14 bands of a Landslide4Sense patch in the order of the file: Sentinel-2 as the
#: competition numbers it, then slope and elevation of ALOS PALSAR.
L4S = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B12", "slope", "DEM")
