"""What is usable of a dataset's files and yet worth a remark, printed once for a dataset."""

from __future__ import annotations

from collections.abc import Sequence

from landslide_lib.data.base import Sample, printable
from landslide_lib.data.formats.files import list_files
from landslide_lib.data.formats.masks import HALF

#: Suffixes of pictures that are not read.
NOT_READ = (
    *(".avif", ".exr", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2", ".jxl", ".psd", ".dng"),
    *(".ecw", ".img", ".sid", ".vrt", ".pdf", ".pgm", ".ppm", ".svg"),
)


def remarks(samples: Sequence[Sample]) -> list[str]:
    """Return a line for each folder with pictures that are not read, and one on masks in JPEG."""
    lines = []
    for folder in sorted({path.parent for sample in samples for path in (sample.image, sample.mask) if path}):
        if others := list_files(folder, NOT_READ):
            kinds = ", ".join(sorted({path.suffix.lower() for path in others}))
            count = f"{len(others)} picture{'s' * (len(others) != 1)} of a kind that is not read ({kinds})"
            lines.append(printable(f"{folder}: {count}, such as {others[0].name}; save them as PNG or TIFF"))
    masks = [sample.mask for sample in samples if sample.mask is not None]
    if lossy := [mask for mask in masks if mask.suffix.lower() in (".jpg", ".jpeg")]:
        lines.append(
            f"{len(lossy)} of {len(masks)} masks are JPEG, which blurs their edges: a pixel is landslide from "
            f"{HALF} of 255 on"
        )
    return lines
