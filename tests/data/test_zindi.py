"""Zindi's tiles: read with their labels, and refused where a list or a tile is wrong."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from landslide_lib.data import bands
from landslide_lib.data.datasets.zindi import UNIT, read_tile
from landslide_lib.data.registry import (
    BadFileError,
    DatasetNotFoundError,
    DownloadError,
    Packed,
    get_dataset,
    load_packed,
)
from landslide_lib.data.split import Split, split
from landslide_lib.data.statistics import verify_files
from tools import describe

ZINDI = get_dataset("zindi")
SHAPE = (64, 64, len(bands.ZINDI))
LABELS = {"ID_A": 1, "ID_B": 0, "ID_C": 0, "ID_D": 1}


def tile(seed):
    """Digital numbers and decibels as the challenge has them, float64."""
    draw = np.random.default_rng(seed)
    optical = draw.integers(0, 20_945, (64, 64, 4))
    return np.concatenate([optical, draw.uniform(-60, 33, (64, 64, 8))], axis=2)


def fill(home, train="train_data", test="test_data"):
    for folder, names in ((train, LABELS), (test, ("ID_Y", "ID_Z"))):
        (home / folder).mkdir(parents=True)
        for i, name in enumerate(names):
            np.save(home / folder / f"{name}.npy", tile(i))
    lines = [f"{name},{label}" for name, label in LABELS.items()]
    (home / "Train.csv").write_text("\n".join(["ID,label", *lines, ""]))
    (home / "Test.csv").write_text("ID\nID_Y\nID_Z\n")


@pytest.fixture
def root(tmp_path):
    """Four labelled tiles and two of the test set."""
    fill(tmp_path / "data" / "zindi")
    return tmp_path / "data"


@pytest.fixture
def home(root):
    return root / "zindi"


def problems(root):
    return {p.file.removeprefix(f"{root}/zindi/"): p.problem for p in verify_files(ZINDI, root).bad}


# --- What is read ---------------------------------------------------------------------------------


def test_tiles_are_listed_in_the_order_of_the_lists_each_a_scene_of_its_own(root):
    found = ZINDI.samples(root)
    assert [s.id for s in found] == [*LABELS, "ID_Y", "ID_Z"]
    assert [s.part for s in found] == ["train"] * 4 + ["test, no masks"] * 2
    assert len({s.group for s in found}) == len(found)


def test_a_tile_is_reflectance_and_decibel_and_its_label_is_its_mask(root):
    for i, sample in enumerate(ZINDI.samples(root)[:4]):
        image, mask = ZINDI.read(sample)
        assert (image.shape, image.dtype, mask.dtype) == (SHAPE, np.float32, np.uint8)
        np.testing.assert_allclose(image[..., :4] * UNIT, tile(i)[..., :4], rtol=1e-6)
        np.testing.assert_allclose(image[..., 4:], tile(i)[..., 4:], rtol=1e-6)
        assert (mask == LABELS[sample.id]).all()


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64, ">f4"])
def test_numbers_of_any_type_are_read(home, dtype):
    numbers = np.rint(tile(0)).astype(dtype)
    np.save(home / "tile.npy", numbers)
    np.testing.assert_array_equal(read_tile(home / "tile.npy"), numbers)


def test_packed_a_digital_number_is_kept_to_a_twentieth_of_a_percent(root, cache):
    packed = load_packed(ZINDI, 64, root=root, cache=cache)
    kept = packed.images[:4, :4].astype(np.float64).transpose(0, 2, 3, 1) * UNIT
    given = np.stack([tile(i)[..., :4] for i in range(4)])
    # Below the smallest normal float16 the error is absolute: a fraction of a digital number.
    assert (np.abs(kept - given) <= np.maximum(given * 2.0**-11, 0.01) * 1.01).all()


def test_test_tiles_have_no_truth_and_are_neither_trained_nor_scored_on(home, root, cache):
    with (home / "Train.csv").open("a") as labels:
        for i in range(8):
            np.save(home / "train_data" / f"ID_{i}.npy", tile(i))
            labels.write(f"ID_{i},{i % 2}\n")
    packed = load_packed(ZINDI, 64, root=root, cache=cache)
    assert packed.parts[-2:] == ("test, no masks",) * 2
    assert packed.positive.sum() == 6
    parts = split(packed, Split(folds=2, validation=0.4))
    assert sorted(i for some in parts.values() for i in some) == list(range(12))


@pytest.mark.parametrize("train", ["train_data/train_data", "train/images", "train"])
def test_other_folders_that_tiles_were_met_in_are_read_too(tmp_path, train):
    fill(tmp_path / "zindi", train, train.replace("train", "test"))
    assert len(ZINDI.samples(tmp_path)) == 6
    assert problems(tmp_path) == {}


def test_without_the_list_or_the_folder_of_test_tiles_the_rest_is_read(home, root):
    (home / "Test.csv").rename(home / "elsewhere.csv")
    assert [s.id for s in ZINDI.samples(root)] == list(LABELS)
    (home / "elsewhere.csv").rename(home / "Test.csv")
    (home / "test_data").rename(home / "elsewhere")
    assert [s.id for s in ZINDI.samples(root)] == list(LABELS)


def test_a_label_that_changes_is_another_fingerprint_and_is_packed_anew(home, root, cache):
    before = load_packed(ZINDI, 64, root=root, cache=cache)
    text = (home / "Train.csv").read_text()
    (home / "Train.csv").write_text(text.replace("ID_B,0", "ID_B,1"))
    after = load_packed(ZINDI, 64, root=root, cache=cache)
    assert before.fingerprint != after.fingerprint
    assert (before.positive[1], after.positive[1]) == (False, True)


# --- What is refused ------------------------------------------------------------------------------


class Trap:
    """Unpickled it would write a file."""

    def __reduce__(self):
        return open, ("trap", "w")


def write_pickle(path):
    path.write_bytes(pickle.dumps(Trap()))


def write_objects(path):
    np.save(path, np.full(SHAPE, Trap(), object), allow_pickle=True)


def write_cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def write_huge(path):
    """A header that promises far more than any memory holds."""
    path.write_bytes(path.read_bytes().replace(b"(64, 64, 12)", b"(9**9,64,12)", 1))


def write_large(path):
    path.write_bytes(path.read_bytes().replace(b"64, 64, 12), ", b"99999999,99),", 1))


def write_nan(path):
    spoilt = tile(0)
    spoilt[3, 4, 5] = np.nan
    np.save(path, spoilt)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (write_pickle, "nothing is unpickled"),
        (write_objects, "nothing is unpickled"),
        (write_cut, "is no array of numbers that can be read"),
        (write_huge, "is no array of numbers that can be read"),
        (write_large, "is no array of numbers that can be read"),
        (lambda path: path.write_bytes(b""), "is no array of numbers that can be read"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\x05\x00{(\n["), "is no array of numb"),
        (lambda path: np.savez(path.open("wb"), a=tile(0)), "is no array of numbers"),
        (lambda path: np.save(path, np.zeros(SHAPE, "U3")), "holds <U3 of shape"),
        (lambda path: np.save(path, np.zeros(SHAPE, complex)), "holds complex128"),
        (lambda path: np.save(path, tile(0).transpose(2, 0, 1)), r"of shape (12, 64, 64), not num"),
        (lambda path: np.save(path, tile(0)[..., :11]), "of shape (64, 64, 11), not numbers of"),
        (write_nan, "holds values from nan to nan"),
        (lambda path: np.save(path, np.full(SHAPE, np.inf)), "holds values from inf to inf"),
        (lambda path: np.save(path, np.full(SHAPE, 1e9)), "packed are numbers within"),
        (lambda path: path.unlink(), "is missing"),
    ],
)
def test_a_tile_that_is_wrong_is_named_and_left_out_where_asked(
    root, home, cache, tmp_path, monkeypatch, spoil, problem
):
    monkeypatch.chdir(tmp_path)
    spoil(home / "train_data" / "ID_C.npy")
    (found,) = problems(root).items()
    assert found[0] == "train_data/ID_C.npy"
    assert problem in found[1]
    with pytest.raises(BadFileError, match=r"ID_C\.npy"):
        load_packed(ZINDI, 64, root=root, cache=cache)
    packed = load_packed(ZINDI, 64, root=root, cache=cache, skip_bad=True)
    first, *more = packed.excluded
    assert (first["file"], more) == ("train_data/ID_C.npy", [])
    assert packed.ids == ("ID_A", "ID_B", "ID_D", "ID_Y", "ID_Z")
    assert not (tmp_path / "trap").exists()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_whatever_array_a_file_holds_it_is_read_whole_or_refused_as_a_bad_file(tmp_path_factory, data):
    shape = data.draw(st.one_of(st.just(SHAPE), arrays.array_shapes(max_dims=4, max_side=6)))
    dtype = data.draw(arrays.scalar_dtypes())
    path = tmp_path_factory.mktemp("tile") / "tile.npy"
    numbers = np.full(shape, data.draw(arrays.from_dtype(dtype)), dtype)
    np.save(path, numbers)
    # The type holds numbers, and there is no other number than a finite one.
    fine = shape == SHAPE and dtype.kind in "fiu" and np.isfinite(numbers).all()
    if fine:
        with np.errstate(over="ignore"):  # a float64 may be too large; packing refuses it
            expected = numbers.astype(np.float32)
            np.testing.assert_array_equal(read_tile(path), expected)
    else:
        with pytest.raises(BadFileError):
            read_tile(path)


@pytest.mark.parametrize(
    ("line", "file", "problem"),
    [
        ("ID_E,0", "ID_E.npy", "is missing"),
        ("ID_A,1", "ID_A.npy", "stands in 2 lines of Train.csv, with labels 1"),
        ("ID_A,0", "ID_A.npy", "stands in 2 lines of Train.csv, with labels 0, 1"),
        ("ID_Y,1", "ID_Y.npy", "is missing"),
    ],
)
def test_a_line_that_fits_no_tile_or_several_lines_is_refused(root, home, line, file, problem):
    with (home / "Train.csv").open("a") as file_of_labels:
        file_of_labels.write(f"{line}\n")
    found = problems(root)
    assert found[f"train_data/{file}"] == problem
    if line.startswith("ID_Y"):
        assert "has the id 'ID_Y' of" in found["test_data/ID_Y.npy"]


def test_what_macos_leaves_beside_a_tile_is_none(root, home):
    (home / "train_data" / "._ID_A.npy").write_bytes(b"\0\5\26\7")
    assert problems(root) == {}


@pytest.mark.parametrize("name", ["../../ID_E", "ID/E", "x" * 251])
def test_an_id_that_is_no_name_of_a_file_is_refused_with_its_list(root, home, name):
    with (home / "Train.csv").open("a") as file:
        file.write(f"{name},1\n")
    said = f"has the id {name[:99]!r}, which is no name of a file"
    assert problems(root)["Train.csv"] == said


@pytest.mark.parametrize("label", ["2", "-1", "0.5", "yes", "nan", ""])
def test_a_label_other_than_0_and_1_is_refused(root, home, label):
    (home / "Train.csv").write_text(f"ID,label\nID_A,{label}\nID_B,0\nID_C,1\nID_D,1\n")
    assert problems(root) == {"train_data/ID_A.npy": f"has the label {label!r} in Train.csv, neither 0 nor 1"}


def test_a_tile_in_no_line_is_refused(root, home):
    np.save(home / "train_data" / "ID_X.npy", tile(0))
    np.save(home / "test_data" / "ID_W.npy", tile(0))
    assert problems(root) == {
        "train_data/ID_X.npy": "stands in no line of Train.csv",
        "test_data/ID_W.npy": "stands in no line of Test.csv",
    }


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is no CSV in utf-8 that can be read"),
        (b"id,Label\nID_A,1\n", "has no column ID, label; it has id, Label"),
        (b"ID\nID_A\n", "has no column label; it has ID"),
        (b"ID,label\nID_A,1,7\n", "its rows have more cells than its head"),
        (b'ID,label\n"ID_A,1\n', "is no CSV in utf-8 that can be read"),
        (b"ID,label\nID_\xff,1\n", "is no CSV in utf-8 that can be read"),
    ],
)
def test_a_list_that_is_broken_is_one_clear_error(root, home, content, problem):
    (home / "Train.csv").write_bytes(content)
    with pytest.raises(BadFileError, match=r"Train\.csv: ") as error:
        ZINDI.samples(root)
    assert problem in str(error.value)


def test_the_mark_that_spreadsheets_put_before_a_csv_does_not_count(root, home):
    text = (home / "Train.csv").read_bytes()
    (home / "Train.csv").write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    assert problems(root) == {}


@pytest.mark.parametrize("there", [False, True])
def test_nothing_there_is_refused_with_what_to_do(tmp_path, there):
    if there:
        (tmp_path / "zindi").mkdir()
        (tmp_path / "zindi" / "Train.csv").write_text("ID,label\nID_A,1\n")
    with pytest.raises(DatasetNotFoundError, match=r"LANDSLIDE_DATA.*needs a login") as error:
        ZINDI.samples(tmp_path)
    assert f"{tmp_path} holds {'zindi' if there else 'nothing'}. " in str(error.value)


def test_download_says_what_to_do(tmp_path):
    with pytest.raises(DownloadError, match="need a login") as error:
        ZINDI.download(tmp_path)
    assert str(tmp_path / "zindi") in str(error.value)
    assert not (tmp_path / "zindi").exists()


# --- Labels in place of masks ---------------------------------------------------------------------


def test_what_is_verified_and_described_is_labels_and_no_pixels(root, cache, monkeypatch):
    verdict = verify_files(ZINDI, root)
    assert (verdict.images, verdict.with_landslide) == (6, 2)
    assert verdict.parts == {"train": 4, "test, no masks": 2}
    assert verdict.landslide_share is verdict.boxes is None
    monkeypatch.setenv("LANDSLIDE_CACHE", str(cache))
    facts = describe.measure("zindi", 64, root=root)
    assert (facts["labelled"], facts["positive"]) == (4, 0.5)
    assert facts["landslide"] is facts["smallest"] is facts["largest"] is facts["areas"] is None
    assert facts["parts"]["train"]["positive"] == 0.5
    assert facts["parts"]["train"]["landslide"] is None
    assert facts["sizes"] is None


def test_a_cloud_score_is_the_mean_brightness_of_packed_tiles(root, cache):
    packed: Packed = load_packed(ZINDI, 64, root=root, cache=cache)
    score = bands.cloud_score(*(packed.plane(name) for name in bands.RGB))
    expected = packed.images[:, :3].astype(np.float64).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(score, expected, rtol=1e-3)
