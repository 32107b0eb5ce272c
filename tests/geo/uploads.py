"""Uploads for the server: a tiny network, a scene it takes, and a stream of files that it has to refuse."""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import rasterio
import torch
from PIL import Image
from rasterio.transform import from_origin

from landslide_lib.models import MODELS
from landslide_lib.training.bundle import save_bundle

SIZE = 96


def network(
    path: Path,
    bands: Sequence[str] = ("R", "G", "B"),
    metres: float = 0.8,
    units: Sequence[float] = (255.0,) * 3,
    mean: float = 0.4,
    deviation: float = 0.4,
) -> Path:
    """Write a tiny network with its card; by default for photographs of 8 bits, as data/models has them."""
    torch.manual_seed(0)
    count = len(bands)
    fields = {"bands": bands, "shift": torch.full((count,), mean), "scale": torch.full((count,), deviation)}
    fields |= {
        "threshold": 0.5,
        "post_processing": [],
        "metres_per_pixel": metres,
        "units": [float(unit) for unit in units],
    }
    net = MODELS["unet"](in_channels=count, width=4).eval()
    path.with_suffix(".md").write_text("# tiny\n\n- **Licence**: MIT for\n  the file.\n- **Use**: tests.\n", "utf-8")
    return save_bundle(path, net, {"model": "unet", "in_channels": count, "width": 4}, **fields, about={"size": 32})


def pixels(seed: int = 0, size: int = SIZE) -> np.ndarray:
    """Return smooth coloured noise, (size, size, 3), uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (size // 8, size // 8, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def geotiff(image: np.ndarray, overviews: str | None = None, **profile: object) -> bytes:
    """Return an image (H, W, C) as a GeoTIFF of 0.8 m in UTM zone 45 N, which may say where its overviews are."""
    height, width, count = image.shape
    place = {"crs": "EPSG:32645", "transform": from_origin(400_000, 3_000_000, 0.8, 0.8)} | profile
    with rasterio.MemoryFile() as file:
        with file.open(driver="GTiff", width=width, height=height, count=count, dtype=image.dtype, **place) as target:
            target.write(image.transpose(2, 0, 1))
            if overviews:
                target.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=overviews)
        return bytes(file.read())


def picture(image: np.ndarray, form: str = "PNG") -> bytes:
    """Return an image as the bytes of a picture."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, form)
    return file.getvalue()


def sparse(width: int, height: int, **profile: object) -> bytes:
    """Return a small GeoTIFF that says it has so many pixels, none of which is written."""
    with rasterio.MemoryFile() as file:
        options = {"count": 3, "dtype": "uint8", "SPARSE_OK": True} | profile
        with file.open(driver="GTiff", width=width, height=height, **options):
            pass
        return bytes(file.read())


def png_bomb(width: int, height: int) -> bytes:
    """Return a PNG whose header says it has so many pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b""))
    parts = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


VRT = (
    b'<VRTDataset rasterXSize="64" rasterYSize="64">'
    + b"".join(
        b'<VRTRasterBand dataType="Byte" band="%d"><SimpleSource><SourceFilename>%s</SourceFilename>'
        b"<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>" % (band, b"/vsicurl/http://127.0.0.1:9/secret.tif")
        for band in (1, 2, 3)
    )
    + b"</VRTDataset>"
)
#: A JPEG by its first bytes, whose comment is a VRT: GDAL's driver of VRT looks for its tag anywhere in the start.
POLYGLOT = b"\xff\xd8\xff\xfe\x3c\x21" + VRT


def bad(seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of uploads without end, each of which is to be refused."""
    rng = np.random.default_rng(seed)
    whole = geotiff(pixels())
    tiled = geotiff(pixels(), tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    png, jpeg = picture(pixels()), picture(pixels(), "JPEG")
    while True:
        yield "empty.tif", b""
        for name, content in (("cut.tif", whole), ("cut.tif", tiled), ("cut.png", png)):
            yield name, content[: int(rng.integers(1, len(content) * 3 // 4))]
        yield "cut.jpg", jpeg[: int(rng.integers(1, len(jpeg) // 4))]
        head = bytearray(whole)
        head[int(rng.integers(0, 4))] ^= 0xFF
        yield "head.tif", bytes(head)
        yield "wide.tif", sparse(int(rng.integers(30_000, 2_000_000)), int(rng.integers(1_000, 30_000)))
        yield "square.tif", sparse(100_000, 100_000, tiled=True, BIGTIFF="YES")
        yield "tile.tif", sparse(64, 64, tiled=True, blockxsize=32_768, blockysize=32_768)
        yield "bands.tif", sparse(64, 64, count=int(rng.integers(33, 500)))
        yield "bomb.png", png_bomb(int(rng.integers(20_000, 2**31)), int(rng.integers(20_000, 2**31)))
        yield "one.tif", geotiff(pixels()[:, :, :1])
        yield "complex.tif", geotiff(pixels().astype(np.complex64))
        yield "vrt.tif", VRT
        yield "polyglot.jpg", POLYGLOT
        yield "overviews.tif", geotiff(pixels(), "/vsicurl/http://127.0.0.1:9/secret.tif")
        yield "/vsicurl/http://127.0.0.1:9/a.tif", b"/vsicurl/http://127.0.0.1:9/a.tif"
        yield "../../../etc/passwd", b"root:x:0:0:root:/root:/bin/bash\n"
        yield "..\\..\\win.ini", rng.bytes(300)
        yield "a.zip", b"PK\x03\x04" + rng.bytes(500)
        yield "a.gif", picture(pixels(), "GIF")
        yield "a.html", b"<script>alert(1)</script>" * 20


def flipped(seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield files of which some bytes are others, most of them in the header: they may hold a scene."""
    rng = np.random.default_rng(seed)
    tiled = geotiff(pixels(), tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    while True:
        for content in (geotiff(pixels()), tiled, picture(pixels()), picture(pixels(), "JPEG")):
            damaged = bytearray(content)
            for at in rng.integers(0, 600, 3), rng.integers(0, len(content), 2):
                for place in at:
                    damaged[min(place, len(content) - 1)] = rng.integers(256)
            yield "flipped", bytes(damaged)
