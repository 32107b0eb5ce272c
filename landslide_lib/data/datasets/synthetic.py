"""The embedded dataset: simulated scenes cut into neighbouring tiles."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.bands import L4S
from landslide_lib.data.base import Dataset, Sample
from landslide_lib.data.simulator.scenes import REGIONS, simulate_scene
from landslide_lib.fields import REVISIONS

TILE, SCENE, SCENES = 128, 512, 8


class Simulated(Dataset):
    """What simulated datasets share: `scenes` of each region, from each the same `tiles`; no files."""

    scenes: int
    tiles: tuple[str, ...]

    def samples(self, root: Path) -> Sequence[Sample]:
        return [
            Sample(f"{region}/{scene}/{tile}", f"{region}/{scene}", region=region)
            for region in REGIONS
            for scene in range(self.scenes)
            for tile in self.tiles
        ]

    def fingerprint(self, samples: Sequence[Sample]) -> str:
        """Hash the ids and the revision of the simulator; not the bytes, as rounding differs between machines."""
        text = "\n".join([f"revision {REVISIONS.get(f'dataset/{self.name}', 1)}", *(sample.id for sample in samples)])
        return sha256(text.encode()).hexdigest()[:16]

    def download(self, root: Path) -> Path:
        return root


class Synthetic(Simulated):
    """Simulated Landslide4Sense-like patches, `region/scene/row/column`: `SCENES` of each region, 16 tiles of each."""

    name = "synthetic"
    bands: tuple[str, ...] = L4S
    scale = "rescaled, about 1 per band"
    metres_per_pixel = 10  # see `simulator.scenes`
    about = "simulated scenes, 12 Sentinel-2-like bands, slope, DEM (this study)"
    remedy = "landslide data make synthetic"
    scenes = SCENES
    tiles = tuple(f"{row}/{column}" for row in range(SCENE // TILE) for column in range(SCENE // TILE))
    together = len(tiles)  # two threads would each simulate the scene

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        region, scene, row, column = sample.id.split("/")
        image, mask = _scene(region, int(scene))
        place = tuple(slice(int(i) * TILE, (int(i) + 1) * TILE) for i in (row, column))
        return image[place], mask[place]


@lru_cache(maxsize=4)
def _scene(region: str, scene: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    return simulate_scene(region, scene, SCENE)
