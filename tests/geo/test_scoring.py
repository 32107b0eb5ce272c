"""`landslide score`: folders of masks, pairs, and every convention by value."""

import cv2
import h5py
import numpy as np
import pytest

from landslide_lib.geo import scoring
from landslide_lib.metrics import scores
from tests.study.test_cli import landslide

#: Predicted and true of two images: tp 1, fp 1, fn 1, tn 1; and nothing called where one pixel is landslide.
CALLED = {"a": [[1, 1], [0, 0]], "b": [[0, 0], [0, 0]]}
TRUE = {"a": [[1, 0], [1, 0]], "b": [[0, 0], [0, 1]]}


def fill(folder, masks, white=255, suffix=".png"):
    folder.mkdir()
    for name, mask in masks.items():
        cv2.imwrite(str(folder / f"{name}{suffix}"), np.array(mask, np.uint8) * white)
    return folder


def patches(folder, word, numbers, shape=(128, 128), key="mask"):
    folder.mkdir()
    for number, rows in numbers.items():
        mask = np.zeros(shape, np.uint8)
        mask[:rows] = 1
        with h5py.File(folder / f"{word}_{number}.h5", "w") as file:
            file[key] = mask
    return folder


def test_counts_and_scores_by_value(tmp_path):
    predicted, truth = fill(tmp_path / "p", CALLED), fill(tmp_path / "t", TRUE, white=1, suffix=".tif")
    counts, _ = scoring.counts(predicted, truth)
    assert counts.tolist() == [[1, 1, 1, 1], [0, 0, 1, 3]]
    table = scoring.table(counts)
    assert list(table.columns) == ["precision", "recall", "f1", "iou", "miou"]
    assert table.loc["pooled"].dropna().to_dict() == pytest.approx(
        {"precision": 1 / 2, "recall": 1 / 3, "f1": 2 / 5, "iou": 1 / 4}
    )
    assert table.miou["two_class"] == table.iou["two_class"] == pytest.approx((1 / 4 + 4 / 7) / 2)
    assert table.f1["two_class"] == pytest.approx((2 / 5 + 8 / 11) / 2)
    assert table.f1["per_image"] == pytest.approx((1 / 2 + 0) / 2)
    for convention, wanted in scores.scores(counts).items():
        assert table.f1[convention] == pytest.approx(wanted["f1"])


def test_the_command_prints_the_table(tmp_path):
    status, text = landslide("score", str(fill(tmp_path / "p", CALLED)), str(fill(tmp_path / "t", TRUE)))
    assert status == 0
    assert "2 masks; landslide pixels: tp 1, fp 1, fn 2; tn 4" in text
    pooled = next(line for line in text.splitlines() if line.startswith("pooled"))
    assert pooled.split() == ["pooled", "0.5000", "0.3333", "0.4000", "0.2500", "-"]
    assert "two_class" in text
    assert "per_image" in text


def test_the_command_prints_landslides_by_size(tmp_path):
    called, true = np.zeros((2, 40, 40)), np.zeros((2, 40, 40))
    called[0, :10, :10] = true[0, :10, :15] = 1  # found
    true[0, 30:, 30:32] = called[1, 0, 0] = 1  # missed, and false
    masks = [dict(zip("ab", each, strict=True)) for each in (called, true)]
    status, text = landslide("score", str(fill(tmp_path / "p", masks[0])), str(fill(tmp_path / "t", masks[1])))
    assert status == 0
    lines = [line.rsplit(maxsplit=6) for line in text.splitlines()[-5:]]
    assert lines == [
        ["all", "0.5000", "0.5000", "0.5000", "1", "1", "1"],
        ["under 10", "0.0000", "-", "0.0000", "0", "1", "0"],
        ["10 to 100", "-", "0.0000", "0.0000", "0", "0", "1"],
        ["100 to 1000", "1.0000", "1.0000", "1.0000", "1", "0", "0"],
        ["from 1000", "-", "-", "-", "0", "0", "0"],
    ]


def test_patches_of_landslide4sense_are_paired_by_number(tmp_path):
    predicted = patches(tmp_path / "p", "mask", {"1": 2, "10": 0})
    truth = patches(tmp_path / "t", "image", {"0001": 4, "010": 0})
    assert scoring.counts(predicted, truth)[0].tolist() == [[256, 0, 256, 15872], [0, 0, 0, 16384]]
    pictures = fill(tmp_path / "pictures", {"1": np.zeros((128, 128)), "mask_10": np.ones((128, 128))})
    assert scoring.counts(pictures, truth)[0].tolist() == [[0, 0, 512, 15872], [0, 16384, 0, 0]]


def test_where_nothing_is_there_and_nothing_called_a_score_is_a_dash(tmp_path):
    status, text = landslide(
        "score", str(fill(tmp_path / "p", {"a": np.zeros((2, 2))})), str(fill(tmp_path / "t", {"a": np.zeros((2, 2))}))
    )
    assert status == 0
    assert next(line for line in text.splitlines() if line.startswith("pooled")).split()[1:] == ["-"] * 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p, t: (p / "a.png").unlink(), "p: no mask for 1 of 2, such as a.png"),
        (lambda p, t: (t / "b.png").unlink(), "t: no mask for 1 of 2, such as b.png"),
        (lambda p, t: cv2.imwrite(str(p / "a.png"), np.zeros((3, 2), np.uint8)), "is (3, 2), "),
        (lambda p, t: cv2.imwrite(str(t / "b.png"), np.full((2, 2), 7, np.uint8)), "mask holds 7; only 0, 1 and 255"),
        (lambda p, t: (p / "a.tif").write_bytes((p / "a.png").read_bytes()), "a.png is of the same image"),
        (lambda p, t: (p / "a.png").write_bytes(b"no picture"), "no JPEG, PNG, TIFF"),
        (lambda p, t: [(p / f"{name}.png").unlink() for name in "ab"], "p: holds no mask; PNG, TIFF or HDF5"),
    ],
)
def test_bad_input_is_one_line(tmp_path, change, words):
    predicted, truth = fill(tmp_path / "p", CALLED), fill(tmp_path / "t", TRUE)
    change(predicted, truth)
    status, text = landslide("score", str(predicted), str(truth))
    assert status == 2
    assert words in text
    assert len(text.strip().splitlines()) == 1
    assert "skip-bad" not in text


@pytest.mark.parametrize(
    ("how", "words"), [({"key": "img"}, "has no key 'mask'"), ({"shape": (64, 64)}, "shape (64, 64)")]
)
def test_a_bad_patch_is_one_line(tmp_path, how, words):
    predicted, truth = patches(tmp_path / "p", "mask", {"1": 2}, **how), patches(tmp_path / "t", "mask", {"1": 2})
    status, text = landslide("score", str(predicted), str(truth))
    assert (status, words in text, len(text.strip().splitlines())) == (2, True, 1)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    assert landslide("score", str(tmp_path / "none"), str(tmp_path))[0] == 2


def probability_map(path, values):
    rasterio = pytest.importorskip("rasterio")
    values = np.array(values, np.float32)
    shape = dict(zip(("height", "width"), values.shape, strict=True))
    with rasterio.open(path, "w", driver="GTiff", count=1, dtype="float32", nodata=np.nan, **shape) as file:
        file.write(values, 1)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_map_of_probabilities_is_cut_at_the_threshold_and_its_unknown_pixels_count_nowhere(tmp_path):
    truth = fill(tmp_path / "t", {"a": [[1, 1, 0, 0], [1, 0, 0, 1]]})
    (tmp_path / "p").mkdir()
    probability_map(tmp_path / "p" / "a.tif", [[0.9, np.nan, 0.5, np.nan], [0.3, 0.31, 0.0, 1.0]])
    counts, landslides = scoring.counts(tmp_path / "p", truth, threshold=0.3)
    assert counts.tolist() == [[2, 2, 1, 1]]  # 0.3 is not above 0.3
    assert landslides.sum(0).tolist() == [1, 3, 1]  # half of a union is no match
    status, text = landslide("score", str(tmp_path / "p"), str(truth), "--threshold", "0.3")
    assert (status, "tp 2, fp 2, fn 1; tn 1" in text) == (0, True)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_is_no_map_of_probabilities_is_refused(tmp_path):
    truth = fill(tmp_path / "t", {"a": [[1, 0]]})
    (tmp_path / "p").mkdir()
    probability_map(tmp_path / "p" / "a.tif", [[0, 255]])
    with pytest.raises(ValueError, match=r"a.tif: 0 to 255 are no probabilities"):
        scoring.counts(tmp_path / "p", truth, threshold=0.5)
    (tmp_path / "p" / "a.tif").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a.tif: no map that can be read"):
        scoring.counts(tmp_path / "p", truth, threshold=0.5)
