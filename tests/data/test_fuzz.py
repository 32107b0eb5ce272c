"""Random bytes, cuts and flips in valid files: a reader says what is wrong, or what is there.

No traceback, no hang, and where a file can tell (a PNG, or one that was cut) nothing but what was
in it. Files are small, so that an example takes a millisecond or two.
"""

from io import BytesIO

import h5py
import numpy as np
import pandas as pd
import pytest
import rasterio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.io import MemoryFile

from landslide_lib.data import tabular
from landslide_lib.data.bands import ZINDI
from landslide_lib.data.datasets.landslide4sense import read_array
from landslide_lib.data.datasets.zindi import read_tile
from landslide_lib.data.formats.boxes import read_objects
from landslide_lib.data.formats.pictures import open_picture, read_mask, read_rgb
from landslide_lib.data.registry import BadFileError
from tools import tables

fuzz = settings(max_examples=60, deadline=2000, database=None, suppress_health_check=list(HealthCheck))

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 17, 3), np.uint8)
TRUTH = (PIXELS[..., 0] > 128).astype(np.uint8)
PATCH = np.random.default_rng(1).normal(size=(8, 8, 3))


def saved(image, form, **options):
    out = BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def tiff(pixels, **options):
    height, width, count = pixels.shape
    with MemoryFile() as file:
        with file.open(
            driver="GTiff",
            height=height,
            width=width,
            count=count,
            dtype=pixels.dtype,
            transform=rasterio.Affine(2, 0, 0, 0, -2, 0),
            **options,
        ) as target:
            target.write(pixels.transpose(2, 0, 1))
        return file.read()


def turned(orientation=6):
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def hdf5(**options):
    out = BytesIO()
    with h5py.File(out, "w") as file:
        file.create_dataset("img", data=PATCH, **options)
    return out.getvalue()


INDEXED = Image.fromarray(TRUTH, "P")
INDEXED.putpalette([255, 255, 255, 0, 0, 0])
RGB = Image.fromarray(PIXELS)
ALPHA = Image.fromarray(np.dstack([np.zeros_like(PIXELS), 255 * TRUTH]))

PNG = {
    "gray": saved(Image.fromarray(255 * TRUTH), "PNG"),
    "palette": saved(INDEXED, "PNG"),
    "alpha": saved(ALPHA, "PNG"),
    "colours": saved(RGB, "PNG", exif=turned()),
}
JPEG = {"jpeg": saved(RGB, "JPEG", exif=turned()), "progressive": saved(RGB, "JPEG", progressive=True)}
TIFF = {
    "tiff": tiff(PIXELS, compress="lzw"),
    "tiles": tiff(PIXELS, compress="deflate", tiled=True, blockxsize=16, blockysize=16),
    "float": tiff(TRUTH[..., None].astype(np.float32)),
}
OTHER = {"webp": saved(RGB, "WEBP", exif=turned()), "bmp": saved(RGB, "BMP")}
HDF5 = {"contiguous": hdf5(), "chunks": hdf5(chunks=(4, 4, 3), compression="gzip")}
XML = (
    b'<?xml version="1.0" encoding="utf-8"?><annotation><object><name>scar</name><bndbox>'
    b"<xmin>1</xmin><ymin>2</ymin><xmax>9.5</xmax><ymax>8</ymax></bndbox></object></annotation>"
)

flips = st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 255)), min_size=1, max_size=4)


def flipped(data, changes):
    changed = bytearray(data)
    for at, by in changes:
        changed[at % len(data)] ^= by
    return bytes(changed)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """One file, written anew by each example."""
    return tmp_path_factory.mktemp("fuzz") / "file"


def read(reader, path, data):
    """Read a file of some bytes; None where it is refused, in one line that names it."""
    path.write_bytes(data)
    return read_again(reader, path)


def read_again(reader, path):
    said = ""
    try:
        result = reader(path)
    except BadFileError as error:
        result, said = None, str(error)
    assert said == "" or (said.startswith(f"{path}: ") and "\n" not in said)
    return result


def mask_of(path):
    return read_mask(open_picture(path))


def pictures(path, data):
    """Read bytes as an image and as a mask."""
    image, mask = read(read_rgb, path, data), read_again(mask_of, path)
    if image is not None:
        assert (image.dtype, image.ndim, image.shape[2]) == (np.float32, 3, 3)
        assert 0 <= image.min() <= image.max() <= 1
    if mask is not None:
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 1}
    return image, mask


# --- Pictures -------------------------------------------------------------------------------------

WEBP = b"RIFF\x20\0\0\0WEBPVP8 "
MAGIC = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"BM", WEBP]


@fuzz
@given(st.sampled_from([*MAGIC, PNG["gray"][:33], TIFF["tiff"][:200]]), st.binary(max_size=300))
@example(b"\x89PNG\r\n\x1a\n", b"\0\0")
def test_random_bytes_are_no_picture(path, magic, data):
    pictures(path, magic + data)


def cut(forms):
    """Draw a valid file of one of some forms without its end."""
    return st.sampled_from(sorted(forms.values())).flatmap(
        lambda whole: st.integers(0, len(whole) - 1).map(lambda length: whole[:length])
    )


@pytest.mark.parametrize("forms", [PNG, JPEG, TIFF, OTHER], ids=["png", "jpeg", "tiff", "other"])
@fuzz
@given(data=st.data())
def test_a_picture_that_is_cut_is_never_read_in_part(path, forms, data):
    form = data.draw(st.sampled_from(sorted(forms)))
    whole = pictures(path, forms[form])
    for found, expected in zip(pictures(path, data.draw(cut({form: forms[form]}))), whole, strict=True):
        assert found is None or np.array_equal(found, expected)


@pytest.fixture(scope="module")
def expected(path):
    return {form: pictures(path, data) for form, data in PNG.items()}


@fuzz
@given(form=st.sampled_from(sorted(PNG)), changes=flips)
def test_a_png_with_flipped_bytes_gives_its_own_pixels_or_none(path, expected, form, changes):
    now_read = pictures(path, flipped(PNG[form], changes))
    for was, now in zip(expected[form], now_read, strict=True):
        if now is not None:
            np.testing.assert_array_equal(now, was)


@pytest.mark.parametrize("forms", [JPEG, TIFF, OTHER], ids=["jpeg", "tiff", "other"])
@fuzz
@given(data=st.data())
def test_another_picture_with_flipped_bytes_gives_pixels_or_none(path, forms, data):
    whole = data.draw(st.sampled_from(sorted(forms.values())))
    pictures(path, flipped(whole, data.draw(flips)))


# --- Arrays ---------------------------------------------------------------------------------------


def patch_of(path):
    return read_array(path, "img", PATCH.shape)


@fuzz
@given(st.sampled_from([b"", b"\x89HDF\r\n\x1a\n", HDF5["chunks"][:400]]), st.binary(max_size=300))
def test_random_bytes_are_no_hdf5(path, magic, data):
    assert read(patch_of, path, magic + data) is None


@fuzz
@given(cut(HDF5))
def test_an_hdf5_that_is_cut_is_never_read(path, data):
    assert read(patch_of, path, data) is None


@fuzz
@given(st.sampled_from(sorted(HDF5)), flips)
def test_an_hdf5_with_flipped_bytes_gives_an_array_of_its_shape_or_none(path, form, changes):
    array = read(patch_of, path, flipped(HDF5[form], changes))
    assert array is None or array.shape == PATCH.shape


@pytest.fixture(scope="module")
def npy():
    out = BytesIO()
    np.save(out, np.ones((64, 64, len(ZINDI)), np.float16))
    return out.getvalue()


@fuzz
@given(st.sampled_from([b"", b"\x93NUMPY\x01\0", b"\x93NUMPY\x03\0\x76\0\0\0"]), st.binary())
def test_random_bytes_are_no_npy(path, magic, data):
    assert read(read_tile, path, magic + data) is None


@fuzz
@given(share=st.floats(0, 1, exclude_max=True))
def test_an_npy_that_is_cut_is_never_read(path, npy, share):
    assert read(read_tile, path, npy[: int(share * len(npy))]) is None


@fuzz
@given(changes=st.lists(st.tuples(st.integers(0, 127), st.integers(1, 255)), min_size=1))
def test_an_npy_with_a_damaged_header_gives_an_array_of_its_shape_or_none(path, npy, changes):
    array = read(read_tile, path, flipped(npy, changes))
    assert array is None or array.shape == (64, 64, len(ZINDI))


# --- Text -----------------------------------------------------------------------------------------


@fuzz
@given(st.binary(max_size=300))
def test_random_bytes_are_no_xml(path, data):
    assert read(read_objects, path, data) is None


@fuzz
@given(st.integers(0, len(XML) - 1))
def test_an_xml_that_is_cut_is_never_read(path, cut):
    assert read(read_objects, path, XML[:cut]) is None


@fuzz
@given(flips)
def test_an_xml_with_flipped_bytes_gives_boxes_with_area_or_none(path, changes):
    objects = read(read_objects, path, flipped(XML, changes))
    if objects is not None:
        assert (objects[:, :2] < objects[:, 2:]).all()


LABELS = b"ID,label\r\nID_A,1\r\nID_B,0\r\nID_C,1\r\n"


def labels_of(path):
    return dict(tabular.read(path, ["ID", "label"]).to_numpy().tolist())


@fuzz
@given(st.one_of(st.binary(), st.binary().map(lambda data: b"ID,label\n" + data)))
def test_random_bytes_are_labels_cell_by_cell_or_no_csv(path, data):
    labels = read(labels_of, path, data)
    assert labels is None or all(isinstance(label, str) for label in labels.values())


@fuzz
@given(st.integers(0, len(LABELS) - 1))
def test_labels_that_are_cut_are_those_of_the_first_lines(path, cut):
    labels = read(labels_of, path, LABELS[:cut])
    names, values = zip(*(labels or {"": ""}).items(), strict=True)
    assert "ID_A,ID_B,ID_C".startswith(",".join(names))
    assert "1,0,1".startswith(",".join(values).rstrip(","))


TABLE = b"lon,lat,target\n109.5,27.25,1\n108.25,26.5,0\n107.75,26.75,1\n"


def table_of(path):
    frame = tabular.read(path, ["lon", "lat", "target"])
    for name in ("lon", "lat", "target"):
        tables.number(frame, name, path, 180)
    return frame


@fuzz
@given(st.one_of(st.binary(), st.binary().map(lambda data: TABLE + data)))
def test_random_bytes_are_a_table_of_numbers_or_refused(path, data):
    frame = read(table_of, path, data)
    assert frame is None or not frame.isna().any().any()


@fuzz
@given(flips)
def test_a_table_with_flipped_bytes_is_refused_or_of_numbers(path, changes):
    frame = read(table_of, path, flipped(TABLE, changes))
    assert frame is None or isinstance(frame, pd.DataFrame)


@fuzz
@given(st.integers(0, len(TABLE) - 1))
def test_a_table_that_is_cut_is_refused_or_of_its_first_rows(path, cut):
    frame = read(table_of, path, TABLE[:cut])
    if frame is not None:
        whole = TABLE.decode().split()[1:]
        rows = [",".join(row) for row in frame.to_numpy()]
        assert rows[:-1] == whole[: len(rows) - 1]
        assert whole[len(rows) - 1].startswith(rows[-1])
