"""Data: datasets, reading their files, packing, splits, loaders, channels, transforms."""
