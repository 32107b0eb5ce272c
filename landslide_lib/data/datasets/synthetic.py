"""The embedded datasets: simulated scenes cut into neighbouring patches, and tiles with radar drawn from others."""

from collections.abc import Sequence
from functools import lru_cache, partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.bands import L4S, SENTINEL_2, ZINDI
from landslide_lib.data.base import Dataset, Sample
from landslide_lib.data.simulator.cover import SPECTRA
from landslide_lib.data.simulator.fields import REGIONS, Field, Rng, Scene, fractal, top
from landslide_lib.data.simulator.radar import backscatter
from landslide_lib.data.simulator.scenes import UNITS, air, lay_out, sensor, simulate_scene, under_clouds
from landslide_lib.fields import REVISIONS

PATCH, ROW = 128, 4  # the side of a patch in pixels, and the patches in a row of a scene
TILE, SCENE, SCENES = 64, 384, 17  # sides of a tile and a scene in pixels of 10 m, and scenes of each region
TILES, POSITIVE = 17, 3  # tiles of a scene, and how many of them hold a landslide: the share of the challenge's labels
LEAST = 64  # landslide pixels of a tile with a landslide, at least; one with fewer, but some, is left out

#: Where red, green, blue and near infrared stand among the simulator's bands.
CHANNELS = [L4S.index(SENTINEL_2[name]) for name in ZINDI[:3]] + [L4S.index("B8")]
#: Sentinel-2 adds it to the reflectance of its products since 2022 (baseline 04.00), and the darkest quartile of the
#: challenge's pixels suggests that theirs have it.
OFFSET = 0.1
CORRECTED = 0.7  # the share of the air's light that the correction of the atmosphere removes


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
    """Patches like those of Landslide4Sense, `region/scene/row/column`: 8 scenes of each region, 16 patches of each."""

    name = "synthetic"
    scale = "rescaled, about 1 per band"
    metres_per_pixel = 10  # see `simulator.scenes`
    units = MappingProxyType(dict(zip(L4S, UNITS.tolist(), strict=True)))
    about = "simulated scenes, 12 Sentinel-2-like bands, slope, DEM (this study)"
    remedy = "landslide data make synthetic"
    scenes = 8
    tiles = tuple(f"{row}/{column}" for row in range(ROW) for column in range(ROW))
    together = len(tiles)  # two threads would each simulate the scene

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        region, scene, row, column = sample.id.split("/")
        image, mask = _scene(region, int(scene))
        place = tuple(slice(int(i) * PATCH, (int(i) + 1) * PATCH) for i in (row, column))
        return image[place], mask[place]


_scene = lru_cache(maxsize=4)(partial(simulate_scene, size=ROW * PATCH))


class SyntheticZindi(Simulated):
    """Simulated tiles with the channels of Zindi's challenge: needs no network and no files.

    `SCENES` scenes of each region, from each of which `TILES` tiles are drawn, `POSITIVE` of them with a landslide.
    Radar as in `radar`; clouds hide some tiles from Sentinel-2, partly or wholly, and none from the radar. The id of a
    tile is `region/scene/tileN`, N in raster order, which tells nothing of its label. Masks are of pixels.
    """

    name = "synthetic-zindi"
    scale = "reflectance + 0.1 (R, G, B, NIR); dB (SAR)"
    units = None
    about = "simulated tiles, optical and SAR before and after (this study)"
    remedy = "landslide data make synthetic-zindi"
    scenes = SCENES
    tiles = tuple(f"tile{tile:02}" for tile in range(TILES))
    together = TILES

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        region, scene, tile = sample.id.split("/")
        images, masks = _tiles(region, int(scene))
        number = int(tile.removeprefix("tile"))
        return images[number], masks[number]


@lru_cache(maxsize=4)
def _tiles(region: str, number: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    for attempt in count():  # a place with too few landslides, or too many, is left out
        scene, draw = lay_out(region, number + attempt * SCENES, SCENE)
        masks = _cut(scene.mask[..., None])[..., 0]
        pixels = masks.sum((1, 2), dtype=int)
        positive, empty = np.flatnonzero(pixels >= LEAST), np.flatnonzero(pixels == 0)
        if len(positive) >= POSITIVE and len(empty) >= TILES - POSITIVE:
            break
    chooser, sky, radar = draw.spawn(3)
    positive = chooser.choice(positive, POSITIVE, replace=False)
    chosen = np.sort(np.concatenate([positive, chooser.choice(empty, TILES - POSITIVE, replace=False)]))
    optical = _optical(sky, sensor(draw, scene)[..., CHANNELS], scene)
    seen = backscatter(radar, scene)
    image = np.concatenate([optical, np.stack([seen[name] for name in ZINDI[4:]], axis=-1)], axis=-1)
    return _cut(image)[chosen].astype(np.float32), masks[chosen]


def _optical(draw: Rng, toa: Field, scene: Scene) -> Field:
    """Lay clouds over what is seen from space and correct it for the air: reflectance + `OFFSET`.

    Landslides come with rain: each scene has clouds, most have few, and some are overcast; the cloudier a region, the
    more. They are a tile or so wide.
    """
    size = toa.shape[0]
    share = 3 * scene.place.cloud * draw.random() ** 3
    cover = top(fractal(draw, size, 6, 200, 2), share, 0.4)
    # Thick cloud is white, thin cloud grey.
    light = np.exp(0.3 * fractal(draw, size, 3, 60, 2))[..., None]
    toa = under_clouds(toa, cover, scene.place, SPECTRA["cloud"][CHANNELS] * light)
    ground = toa - CORRECTED * air(scene)[..., CHANNELS]
    return np.asarray(np.maximum(ground + OFFSET, 0))


def _cut(scene: NDArray[Any]) -> NDArray[Any]:
    """Cut (SCENE, SCENE, C) into (tiles, TILE, TILE, C) in raster order."""
    side = scene.shape[0] // TILE
    tiles = scene.reshape(side, TILE, side, TILE, -1).swapaxes(1, 2)
    return tiles.reshape(side * side, TILE, TILE, -1)
