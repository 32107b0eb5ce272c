"""Pictures in files: whole ones are read whatever follows them, cut and damaged ones never."""

import struct
import unicodedata
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image
from typer.testing import CliRunner

from landslide_lib import cli
from landslide_lib.data.formats.pictures import colours, list_images, open_picture, read_rgb
from landslide_lib.data.registry import BadFileError, get_dataset, load_packed
from landslide_lib.data.statistics import verify_files

BIJIE, VOC = get_dataset("bijie"), get_dataset("voc")
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
GEO = {"crs": "EPSG:32648", "transform": rasterio.Affine(0.8, 0, 5e5, 0, -0.8, 3e6)}


def geotiff(path, pixels, **options):
    height, width, count = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=count, dtype=pixels.dtype, **GEO, **options
    ) as file:
        file.write(pixels.transpose(2, 0, 1))
    return path


# --- Whole, cut, damaged --------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tif"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_a_picture_that_was_cut_off_anywhere_is_refused(tmp_path, make, suffix, share):
    path = make["picture"](tmp_path / f"cut{suffix}", PIXELS)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BadFileError, match=f"cut{suffix}.*--skip-bad"):
        read_rgb(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("more", [b"\0" * 5000, b"<xmp/>" * 99, b"\xff\xd9" * 40, b"\xff\xd8\xff"])
def test_bytes_after_the_end_of_a_picture_do_no_harm(tmp_path, make, suffix, more):
    path = make["picture"](tmp_path / f"p{suffix}", PIXELS)
    before = read_rgb(path)
    path.write_bytes(path.read_bytes() + more)
    np.testing.assert_array_equal(read_rgb(path), before)


def test_the_end_of_a_thumbnail_is_not_taken_for_that_of_its_picture(tmp_path):
    thumbnail, picture = BytesIO(), BytesIO()
    Image.fromarray(PIXELS[:8, :8]).save(thumbnail, "JPEG")
    Image.fromarray(PIXELS).save(picture, "JPEG", progressive=True)
    body, whole = thumbnail.getvalue(), picture.getvalue()
    segment = b"\xff\xe3" + struct.pack(">H", 2 + len(body)) + body
    # Behind the tables, right before the first scan, where most of the header is there.
    at = whole.index(b"\xff\xda")
    path = tmp_path / "t.jpg"
    path.write_bytes(whole[:at] + segment + whole[at:])
    assert read_rgb(path).shape == PIXELS.shape
    for beyond in (0, 10, 40, 64, 500):
        path.write_bytes((whole[:at] + segment + whole[at:])[: at + len(segment) + beyond])
        with pytest.raises(BadFileError, match="is truncated"):
            read_rgb(path)


@pytest.mark.parametrize("offset", [9, 20, 60, -30, -14])
def test_a_png_with_a_flipped_byte_is_refused(tmp_path, make, offset):
    path = make["picture"](tmp_path / "flipped.png", PIXELS)
    data = bytearray(path.read_bytes())
    data[offset] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(BadFileError, match=r"flipped\.png"):
        read_rgb(path)


def test_what_is_no_picture_is_refused_in_a_line(tmp_path):
    (tmp_path / "page.jpg").write_text("<html>Not found</html>")
    (tmp_path / "ten.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (tmp_path / "short.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    (tmp_path / "short.tif").write_bytes(b"II*\0")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    for name, problem in {
        "page.jpg": "is truncated or no JPEG, PNG, TIFF, BMP or WebP",
        "ten.png": "is truncated",
        "short.jpg": "is truncated",
        "short.tif": "is truncated or no picture that can be read",
        "empty.png": "is empty",
        "folder.png": "cannot be read",
        "nothing.png": "cannot be read",
    }.items():
        with pytest.raises(BadFileError, match=f"{name}: {problem}") as error:
            read_rgb(tmp_path / name)
        assert "\n" not in str(error.value)
        assert "BytesIO" not in str(error.value)


def test_a_header_that_claims_more_pixels_than_memory_holds_is_refused(tmp_path, make):
    path = make["picture"](tmp_path / "huge.png", PIXELS)
    data = path.read_bytes()
    for side in (100_000, 12_000):
        head = b"IHDR" + struct.pack(">II", side, side) + data[24:29]
        path.write_bytes(data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:])
        with pytest.raises(BadFileError, match=r"is too large.*Cut it into tiles"):
            read_rgb(path)
    with rasterio.open(
        tmp_path / "huge.tif",
        "w",
        driver="GTiff",
        height=70_000,
        width=70_000,
        count=3,
        dtype="uint8",
        sparse_ok=True,
        **GEO,
    ):
        pass
    with pytest.raises(BadFileError, match="is too large"):
        read_rgb(tmp_path / "huge.tif")


# --- What the numbers mean ------------------------------------------------------------------------


def test_pictures_of_8_bits_are_read_the_same_from_every_format(tmp_path, make):
    expected = PIXELS.astype(np.float32) / np.float32(255)
    for suffix in (".png", ".bmp", ".tif"):
        path = make["picture"](tmp_path / f"p{suffix}", PIXELS)
        np.testing.assert_array_equal(read_rgb(path), expected)
    Image.fromarray(PIXELS).save(tmp_path / "p.webp", lossless=True)
    np.testing.assert_array_equal(read_rgb(tmp_path / "p.webp"), expected)
    for compress in ("none", "lzw", "deflate"):
        for interleave in ("pixel", "band"):
            path = geotiff(tmp_path / "g.tif", PIXELS, compress=compress, interleave=interleave)
            np.testing.assert_array_equal(read_rgb(path), expected)
    four = np.dstack([PIXELS, np.full((40, 50), 255, np.uint8)])
    np.testing.assert_array_equal(read_rgb(geotiff(tmp_path / "a.tif", four)), expected)
    gray = read_rgb(geotiff(tmp_path / "gray.tif", PIXELS[..., :1]))
    np.testing.assert_array_equal(gray, np.dstack([expected[..., :1]] * 3))


def test_16_bits_are_read_where_they_are_said_to_be_rgb(tmp_path, make):
    sixteen = (PIXELS.astype(np.uint16) + 1) * 256 - 1
    expected = sixteen.astype(np.float32) / np.float32(65_535)
    for path in (
        make["picture"](tmp_path / "p.png", sixteen),
        make["picture"](tmp_path / "p.tif", sixteen),
        geotiff(tmp_path / "g.tif", sixteen, photometric="RGB"),
    ):
        np.testing.assert_array_equal(read_rgb(path), expected)
    twelve = geotiff(tmp_path / "t.tif", sixteen >> 4, photometric="RGB", nbits=12)
    np.testing.assert_allclose(read_rgb(twelve), expected, atol=1 / 4095)


def test_a_sensors_16_bits_are_read_by_one_scale_where_that_is_asked_for(tmp_path):
    path = geotiff(tmp_path / "g.tif", np.full((8, 9, 3), 3000, np.uint16))
    assert colours(open_picture(path), sensor=True) == pytest.approx(3000 / 65_535)


def test_pixels_that_hold_no_data_are_no_colour(tmp_path):
    path = geotiff(tmp_path / "g.tif", PIXELS, nodata=255)
    with pytest.raises(BadFileError, match=r"without data \(255\).*-a_nodata none"):
        read_rgb(path)


@pytest.mark.parametrize(
    ("pixels", "problem", "remedy"),
    [
        (np.full((8, 8, 3), 3021, np.uint16), "up to 3021, and does not say", "-scale LOW HIGH"),
        (np.zeros((8, 8, 4), np.uint16), "4 bands .* does not say", "gdal_translate -ot Byte"),
        (np.zeros((8, 8, 5), np.uint8), "5 bands .* which are red", "-colorinterp red,green,blue"),
        (np.zeros((8, 8, 3), np.float32), "of float32, not RGB of 8 or 16", "-scale LOW HIGH"),
    ],
)
def test_a_geotiff_whose_meaning_is_not_plain_is_refused_with_a_command(tmp_path, pixels, problem, remedy):
    with pytest.raises(BadFileError, match=problem) as error:
        read_rgb(geotiff(tmp_path / "sensor.tif", pixels))
    assert remedy in str(error.value)


def test_bands_are_taken_in_the_order_that_the_file_names(tmp_path):
    blue_first = np.arange(3, dtype=np.uint16) * np.ones((8, 8, 1), np.uint16)
    path = geotiff(tmp_path / "bgr.tif", blue_first)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [rasterio.enums.ColorInterp[name] for name in ("blue", "green", "red")]
    np.testing.assert_array_equal((read_rgb(path)[0, 0] * 65_535).round(), [2, 1, 0])


def test_a_png_of_16_bits_of_gray_is_no_picture(tmp_path, make):
    path = make["picture"](tmp_path / "dem.png", np.zeros((8, 8), np.uint16))
    with pytest.raises(BadFileError, match="what of them is white"):
        read_rgb(path)


def test_a_picture_is_shown_as_exif_turns_it(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    for name in ("p.jpg", "p.png", "p.webp"):
        Image.fromarray(PIXELS).save(tmp_path / name, exif=exif, lossless=True)
        assert read_rgb(tmp_path / name).shape == (50, 40, 3)
    shown = cv2.imread(str(tmp_path / "p.jpg"), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(read_rgb(tmp_path / "p.jpg"), shown / np.float32(255))


# --- Names ----------------------------------------------------------------------------------------


def test_pictures_are_listed_by_suffix_in_any_case_without_hidden_ones(tmp_path):
    for name in ("b.TIF", "a.jpeg", "c.WebP", "d.bmp", "._a.jpg", "e.gif", "f.tif.aux.xml"):
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == ["a.jpeg", "b.TIF", "c.WebP", "d.bmp"]
    assert list_images(tmp_path / "nowhere") == []


def test_a_name_that_is_not_utf8_is_packed_and_kept_as_text(tiny_bijie, cache):
    home = tiny_bijie / "bijie" / "landslide"
    old = "滑坡".encode("gbk").decode("utf-8", "surrogateescape")
    for folder in ("image", "mask"):
        (home / folder / "ls_1.png").rename(home / folder / f"{old}.png")
    assert verify_files(BIJIE, tiny_bijie).bad == ()
    packed = load_packed(BIJIE, 16, root=tiny_bijie, cache=cache)
    odd = [name for name in packed.ids if "udc" in name]
    assert odd == [r"\udcbb\udcac\udcc6\udcc2"]
    assert "".join(packed.ids + packed.groups).encode("utf-8")
    (home / "mask" / f"{old}.png").write_bytes(b"")
    (problem,) = verify_files(BIJIE, tiny_bijie).bad
    assert (problem.file + problem.problem).encode("utf-8").endswith(b"udcc2.pngis empty")


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_an_accent_may_be_a_letter_of_its_own_in_a_name(tiny_bijie, make, forms, tmp_path):
    image, other = (unicodedata.normalize(form, "Erdrutsch-Höhe") for form in forms)
    home = tiny_bijie / "bijie" / "landslide"
    (home / "image" / "ls_1.png").rename(home / "image" / f"{image}.png")
    (home / "mask" / "ls_1.png").rename(home / "mask" / f"{other}.png")
    verdict = verify_files(BIJIE, tiny_bijie)
    assert (verdict.images, verdict.bad) == (8, ())
    make["picture"](tmp_path / "voc" / f"{image}.png", PIXELS)
    (tmp_path / "voc" / f"{other}.XML").write_text("<annotation/>")
    (tmp_path / "voc" / f"{image}.png.aux.xml").write_text("<PAMDataset/>")
    verdict = verify_files(VOC, tmp_path)
    assert (verdict.images, verdict.bad) == (1, ())


def test_the_command_prints_what_cannot_be_read(tiny_bijie):
    home = tiny_bijie / "bijie" / "landslide"
    (home / "image" / "ls_1.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    done = CliRunner().invoke(cli.app, ["data", "verify", "bijie", "--data-root", str(tiny_bijie)])
    assert done.exit_code == 1
    bad, count = (line.strip() for line in done.output.splitlines()[4:])
    assert bad.startswith(f"{home / 'image' / 'ls_1.png'}: is truncated")
    assert count == "1 unusable files; fetch them again, or use --skip-bad"


def test_two_names_that_differ_by_form_alone_are_twins(tiny_bijie, make):
    home = tiny_bijie / "bijie" / "non-landslide" / "image"
    for form in ("NFC", "NFD"):
        make["picture"](home / f"{unicodedata.normalize(form, 'ö')}.png", PIXELS)
    (problem,) = verify_files(BIJIE, tiny_bijie).bad
    assert problem.problem.startswith("has the id 'non/ö' of")


def test_a_folder_of_geotiffs_is_a_dataset(tmp_path):
    home = tmp_path / "bijie" / "landslide"
    for folder in ("image", "mask"):
        (home / folder).mkdir(parents=True)
    geotiff(home / "image" / "1.tif", PIXELS)
    geotiff(home / "mask" / "1.tif", (PIXELS[..., :1] > 99).astype(np.uint8))
    geotiff(home / "image" / "2.TIFF", PIXELS.astype(np.uint16))
    geotiff(home / "mask" / "2.TIFF", np.zeros((40, 50, 1), np.uint16))
    verdict = verify_files(BIJIE, tmp_path)
    assert (verdict.images, verdict.landslide_share) == (1, (PIXELS[..., 0] > 99).mean())
    assert Path(verdict.bad[0].file).name == "2.TIFF"
    assert "3 bands (gray, undefined, undefined) of uint16, up to 255" in verdict.bad[0].problem
