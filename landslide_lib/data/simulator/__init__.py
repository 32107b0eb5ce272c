"""Simulated scenes: terrain, land cover, landslides, and how Sentinel-2 and Sentinel-1 see them."""
