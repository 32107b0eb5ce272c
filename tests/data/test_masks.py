"""Masks in every form that programs write: which pixels are landslide, by value."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from landslide_lib.data.formats.pictures import as_mask, open_picture, read_mask, read_pair
from landslide_lib.data.registry import BadFileError, Sample, get_dataset
from landslide_lib.data.statistics import verify_files

BIJIE = get_dataset("bijie")
TRUTH = np.zeros((40, 60), np.uint8)
TRUTH[5:20, 10:40] = 1
NOTHING = np.zeros_like(TRUTH)
#: Pascal VOC's first colours, which many programs of annotation write.
VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0]


def palette(indices, colours):
    image = Image.fromarray(indices, "P")
    image.putpalette(colours)
    return image


def merge(mode, *channels):
    planes = [c if isinstance(c, np.ndarray) else np.full(TRUTH.shape, c, np.uint8) for c in channels]
    return Image.merge(mode, [Image.fromarray(plane) for plane in planes])


def read(path):
    mask = read_mask(open_picture(path))
    assert mask.dtype == np.uint8
    return mask


@pytest.fixture
def saved(tmp_path):
    """Save an image of Pillow, or an array by OpenCV, and read it as a mask."""

    def save(image, suffix=".png", **options):
        path = tmp_path / f"m{suffix}"
        if isinstance(image, np.ndarray):
            assert cv2.imwrite(str(path), image)
        else:
            image.save(path, **options)
        return read(path)

    return save


WHITE = 255 * TRUTH


@pytest.mark.parametrize(
    "image",
    [
        palette(TRUTH, [255, 255, 255, 0, 0, 0]),
        palette(TRUTH, [0, 0, 0, 255, 255, 255]),
        palette(TRUTH, VOC),
        palette(TRUTH, [channel for gray in range(256) for channel in [gray] * 3]),
        palette(WHITE, [channel for gray in range(256) for channel in [gray] * 3]),
        merge("LA", 0, WHITE),
        merge("LA", WHITE, 255),
        merge("LA", WHITE, WHITE),
        merge("RGBA", 0, 0, 0, WHITE),
        merge("RGBA", 255, 255, 255, WHITE),
        merge("RGBA", 30, 60, 90, WHITE),
        merge("RGBA", 0, 0, 0, TRUTH),
        merge("RGBA", WHITE, WHITE, WHITE, 255),
        merge("RGBA", WHITE, 0, 0, 255),
        merge("RGBA", WHITE, 0, 0, WHITE),
        merge("RGB", TRUTH, 0, 0),
        merge("RGB", WHITE, 0, 0),
        merge("RGB", 0, WHITE, 0),
        merge("RGB", WHITE, WHITE, 0),
        merge("RGB", WHITE, WHITE, WHITE),
        Image.fromarray(WHITE),
        Image.fromarray(TRUTH),
        Image.fromarray(WHITE).convert("1"),
    ],
)
def test_a_mask_is_read_from_the_palette_alpha_or_colour_that_holds_it(saved, image):
    np.testing.assert_array_equal(saved(image), TRUTH)


@pytest.mark.parametrize("high", [1, 255, 65_535])
def test_masks_of_16_bits_are_read(saved, high):
    sixteen = high * TRUTH.astype(np.uint16)
    for suffix in (".png", ".tif"):
        np.testing.assert_array_equal(saved(sixteen, suffix), TRUTH)
        three = np.dstack([sixteen] * 3)
        np.testing.assert_array_equal(saved(three, suffix), TRUTH)
    alpha = np.dstack([np.zeros_like(sixteen)] * 3 + [sixteen])
    np.testing.assert_array_equal(saved(alpha), TRUTH)


@pytest.mark.parametrize("suffix", [".tif", ".TIFF", ".bmp", ".webp"])
def test_masks_of_other_formats_are_read(saved, suffix):
    lossless = {"lossless": True} if suffix == ".webp" else {}
    for gray in (TRUTH, WHITE):
        np.testing.assert_array_equal(saved(Image.fromarray(gray), suffix, **lossless), TRUTH)


def test_floating_and_indexed_masks_of_a_tiff_are_read(saved):
    np.testing.assert_array_equal(saved(TRUTH.astype(np.float32), ".tif"), TRUTH)
    inverted = palette(TRUTH, [255, 255, 255, 0, 0, 0])
    for image in (inverted, Image.fromarray(WHITE).convert("1"), merge("RGBA", 0, 0, 0, WHITE)):
        np.testing.assert_array_equal(saved(image, ".tif"), TRUTH)
    np.testing.assert_array_equal(saved(inverted, ".bmp"), TRUTH)


@pytest.mark.parametrize(
    ("image", "share"),
    [
        (Image.fromarray(NOTHING), 0),
        (Image.fromarray(NOTHING + 255), 1),
        (palette(NOTHING, [255, 255, 255, 0, 0, 0]), 0),
        (merge("RGBA", 0, 0, 0, 255), 0),
        (merge("RGBA", 0, 0, 0, 0), 0),
        (merge("RGBA", 255, 255, 255, 0), 0),
        (merge("RGBA", 255, 255, 255, 255), 1),
        (merge("LA", 9, 0), 0),
    ],
)
def test_a_mask_of_one_value_is_empty_or_full(saved, image, share):
    assert saved(image).mean() == share


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (merge("RGB", WHITE, WHITE[::-1], 0), "mask holds 2 channels that disagree"),
        (merge("RGBA", WHITE, 0, 0, WHITE[::-1].copy()), "mask holds 2 channels that disagree"),
        (merge("RGB", 255, 255 - WHITE, 255 - WHITE), "drawn on a ground that is not black"),
        (merge("RGB", 0, 0, 255), "drawn in one colour everywhere"),
        (merge("RGB", 128 * TRUTH, 0, 0), "mask holds 128; only 0, 1 and 255"),
        (palette(2 * TRUTH, VOC), "mask holds 2; only 0, 1 and 255"),
        (palette(WHITE, VOC + [224, 224, 192] * 253), "a palette with the index 255, whose colour is not white"),
        (merge("RGBA", 0, 0, 0, 128 * TRUTH), "mask holds 128; only 0, 1 and 255"),
    ],
)
def test_a_mask_whose_meaning_is_not_plain_is_refused_with_a_remedy(saved, image, problem):
    with pytest.raises(BadFileError, match=problem) as error:
        saved(image)
    assert "Save the mask as one channel with 0 and 255" in str(error.value)


# --- JPEG -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", [60, 75, 95])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_mask_in_jpeg_is_cut_at_half(saved, quality, mode):
    image = Image.fromarray(WHITE).convert(mode)
    np.testing.assert_array_equal(saved(image, ".jpg", quality=quality), TRUTH)
    for value in (0, 255):
        flat = Image.fromarray(NOTHING + np.uint8(value)).convert(mode)
        assert saved(flat, ".jpg", quality=quality).mean() == (value == 255)


def test_what_is_no_mask_in_jpeg_is_refused(saved):
    gray = np.linspace(0, 255, TRUTH.size).astype(np.uint8).reshape(TRUTH.shape)
    for image, problem in (
        (Image.fromarray(gray), "a JPEG, 7.* of its values far from 0 and 255"),
        (Image.fromarray(TRUTH), "values up to 1, which may be noise or a class"),
        (merge("RGB", WHITE, 0, 0), "a JPEG, .* of it in colours"),
        (Image.fromarray(np.full_like(TRUTH, 100)), "a JPEG, 100.0% of its values far"),
    ):
        with pytest.raises(BadFileError, match=problem):
            saved(image, ".jpg", quality=95)


# --- Values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ((0, 2), "holds 2; only 0, 1 and 255"),
        ((0, 128, 255), "holds 128"),
        ((0.0, 0.5), "holds 0.5"),
        ((0.0, np.nan), "holds nan"),
        ((0.0, np.inf), "holds inf"),
        ((0, -1), "holds -1"),
        ((0, 1, 255), "holds both 1 and 255"),
        ((0, 255, 65_535), "holds both 255 and 65535"),
    ],
)
def test_a_mask_with_other_values_is_refused(values, problem):
    mask = np.resize(np.array(values), (4, 6))
    with pytest.raises(BadFileError, match=f"m.png: mask {problem}"):
        as_mask(mask, Path("m.png"))


@pytest.mark.parametrize("high", [1, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_1_and_255_both_stand_for_landslide(high, dtype):
    mask = as_mask(np.array([[0, high], [0, 0]], dtype), Path("m.png"))
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 1], [0, 0]]
    assert as_mask(np.zeros((2, 2), dtype), Path("m.png")).sum() == 0


# --- EXIF -----------------------------------------------------------------------------------------


def oriented(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif


@pytest.fixture
def pair(tmp_path):
    """Write an image that is white where the mask is, turned by EXIF; return both as read."""

    def write(stored, mask, orientation, of_mask=1, suffix=".jpg"):
        image, drawn = tmp_path / f"i{suffix}", tmp_path / "m.png"
        shade = Image.fromarray(np.dstack([255 * stored] * 3))
        shade.save(image, quality=95, exif=oriented(orientation))
        Image.fromarray(255 * mask).save(drawn, exif=oriented(of_mask))
        colours, truth = read_pair(Sample("i", "i", image, drawn))
        np.testing.assert_array_equal(colours[..., 0] > 0.5, truth)
        return truth

    return write


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_mask_lies_on_its_image_whichever_of_the_two_exif_turns(pair, orientation, suffix):
    np.testing.assert_array_equal(pair(TRUTH, TRUTH, orientation, suffix=suffix), TRUTH)
    shown = {5: TRUTH.T, 6: np.rot90(TRUTH, -1), 7: np.rot90(TRUTH, 2).T, 8: np.rot90(TRUTH)}[orientation]
    np.testing.assert_array_equal(pair(TRUTH, shown, orientation, suffix=suffix), shown)
    np.testing.assert_array_equal(pair(shown, TRUTH, 1, orientation, suffix), shown)


@pytest.mark.parametrize("orientation", [3, 6])
def test_where_exif_turns_both_alike_neither_is_turned(pair, orientation):
    np.testing.assert_array_equal(pair(TRUTH, TRUTH, orientation, orientation), TRUTH)


@pytest.mark.parametrize(("side", "orientation"), [(40, 6), (40, 3), (60, 3), (60, 2)])
def test_where_sizes_do_not_tell_how_a_mask_lies_the_pair_is_refused(pair, side, orientation):
    truth = TRUTH[:, :side].copy()
    with pytest.raises(BadFileError, match=r"both sizes fit.*save both without EXIF") as error:
        pair(truth, truth, orientation)
    assert error.value.path.name == "i.jpg"


# --- verify ---------------------------------------------------------------------------------------


def test_verify_reads_every_form_and_names_what_it_cannot_read(tmp_path):
    home = tmp_path / "bijie" / "landslide"
    forms = {
        "palette": palette(TRUTH, [255, 255, 255, 0, 0, 0]),
        "alpha": merge("RGBA", 0, 0, 0, WHITE),
        "red": merge("RGB", TRUTH, 0, 0),
        "two": merge("RGB", WHITE, WHITE[::-1], 0),
        "turned": Image.fromarray(WHITE[:, :40]),
    }
    for folder in ("image", "mask"):
        (home / folder).mkdir(parents=True)
    for name, mask in forms.items():
        mask.save(home / "mask" / f"{name}.png")
        exif = oriented(6) if name == "turned" else oriented(1)
        photograph = Image.new("RGB", mask.size, (90, 80, 70))
        photograph.save(home / "image" / f"{name}.jpg", exif=exif)
    verdict = verify_files(BIJIE, tmp_path)
    said = {Path(p.file).name: p.problem for p in verdict.bad}
    assert "turned differently by EXIF" in said.pop("turned.jpg")
    assert said == {"two.png": "mask holds 2 channels that disagree"}
    assert (verdict.images, verdict.with_landslide) == (3, 3)
    assert verdict.landslide_share == TRUTH.mean()
