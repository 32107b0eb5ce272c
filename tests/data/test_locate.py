"""A dataset is found one folder up or down, and what is there is said where nothing fits."""

import shutil

import numpy as np
import pytest

from landslide_lib.data.registry import DATASETS, BadFileError, DatasetNotFoundError, get_dataset

BIJIE = get_dataset("bijie")


@pytest.mark.parametrize(
    ("move", "root"),
    [
        ("data/bijie", "data/bijie"),  # LANDSLIDE_DATA is the dataset itself
        ("data/bijie/bijie", "data"),  # unpacked in a folder of its name
        ("data/bijie/Bijie v2", "data"),
        ("up/data/bijie", "up"),  # one folder too high
        ("up/anything", "up"),
        ("data/bijie", "data/bijie/landslide"),  # one folder too deep
    ],
)
def test_a_folder_one_level_up_or_down_is_found_and_named(tiny_bijie, tmp_path, capsys, move, root):
    before = BIJIE.fingerprint(BIJIE.samples(tiny_bijie))
    assert capsys.readouterr().err == ""
    home = tmp_path / "moved" / move
    home.parent.mkdir(parents=True)
    shutil.move(tiny_bijie / "bijie", home)
    for _ in range(2):  # said once
        assert BIJIE.fingerprint(BIJIE.samples(tmp_path / "moved" / root)) == before
    assert capsys.readouterr().err == f"bijie: read from {home}\n"


def test_two_folders_that_fit_are_refused(tiny_bijie, tmp_path):
    for name in ("first", "second"):
        shutil.copytree(tiny_bijie / "bijie", tmp_path / "up" / name)
    with pytest.raises(DatasetNotFoundError, match=r"2 folders could be meant: .*/first, .*/second"):
        BIJIE.samples(tmp_path / "up")


@pytest.mark.parametrize(
    "name", [name for name, of in DATASETS.items() if "synthetic" not in name and not of.places_of]
)
def test_a_file_and_nothing_and_something_else_are_each_one_line(tmp_path, name):
    dataset = get_dataset(name)
    (tmp_path / "a.txt").write_text("no data")
    for root, said in [
        (tmp_path / "a.txt", f"{name}: the data root {tmp_path / 'a.txt'} is a file, not a folder"),
        (tmp_path / "none", f"{name}: the data root {tmp_path / 'none'} does not exist"),
        (tmp_path, f"{tmp_path} holds a.txt. Set LANDSLIDE_DATA to the folder that holds {name}/"),
    ]:
        with pytest.raises(DatasetNotFoundError) as error:
            dataset.samples(root)
        assert said in str(error.value)
        assert "\n" not in str(error.value)


def test_a_folder_of_another_dataset_is_not_taken_for_ones_own(tmp_path, make):
    """Boxes of `landslide4sense-boxes` look like any other folder of them."""
    tile = tmp_path / "landslide4sense-boxes" / "train" / "1.jpg"
    make["picture"](tile, np.zeros((224, 224, 3), np.uint8))
    tile.with_suffix(".xml").write_text("<annotation/>")
    with pytest.raises(DatasetNotFoundError, match="voc: no JPEG or PNG"):
        get_dataset("voc").samples(tmp_path)


@pytest.mark.parametrize("names", [("images", "annotations"), ("Image", "MASKS"), ("img", "label")])
def test_folders_may_be_called_otherwise(tiny_bijie, tmp_path, make, names):
    home = tiny_bijie / "bijie" / "landslide"
    before = [BIJIE.read(sample)[1].sum() for sample in BIJIE.samples(tiny_bijie)]
    for old, new in zip(("image", "mask"), names, strict=True):
        (home / old).rename(home / new)
    assert [BIJIE.read(sample)[1].sum() for sample in BIJIE.samples(tiny_bijie)] == before
    for folder, value in zip(names, (90, 255), strict=True):
        make["picture"](tmp_path / "uav" / folder / "image_7.png", np.full((128, 128), value, np.uint8))
    (sample,) = get_dataset("uav").samples(tmp_path)
    assert get_dataset("uav").read(sample)[1].all()


@pytest.mark.parametrize(
    ("images", "masks", "part"),
    [
        ("traindata/img", "traindata/mask", "train"),
        ("TRAIN/images", "TRAIN/masks", "train"),
        ("images/val", "annotations/validation", "valid"),
        ("images", "annotations", "train"),
    ],
)
def test_layouts_of_patches(tmp_path, make, images, masks, part):
    make["landslide4sense"](tmp_path / "made", "original")
    made, home = tmp_path / "made" / "landslide4sense", tmp_path / "landslide4sense"
    for old, new in (("img", images), ("mask", masks)):
        shutil.copytree(made / "TrainData" / old, home / new)
    dataset = get_dataset("landslide4sense")
    found = dataset.samples(tmp_path)
    assert [(s.id, s.part) for s in found] == [(f"{part}/{n}", part) for n in (1, 2, 10)]
    assert [bool(dataset.read(s)[1].any()) for s in found] == [True, False, False]


@pytest.mark.parametrize("folder", ["Train_Data", "TRAIN/Images", "train_data/train_data"])
def test_folders_of_labelled_tiles(tmp_path, folder):
    home = tmp_path / "zindi"
    (home / folder).mkdir(parents=True)
    np.save(home / folder / "ID_1.npy", np.ones((64, 64, 12)))
    (home / "train.csv").write_text("ID,label\nID_1,1\n")
    (sample,) = get_dataset("zindi").samples(tmp_path)
    assert get_dataset("zindi").read(sample)[1].all()


def test_tiles_with_boxes_in_a_folder_of_another_case(tmp_path, make):
    tile = tmp_path / "landslide4sense-boxes" / "TRAIN" / "1.jpg"
    make["picture"](tile, np.zeros((224, 224, 3), np.uint8))
    box = "<xmin>{}</xmin><ymin>0</ymin><xmax>{}</xmax><ymax>1</ymax>"
    text = "<annotation><object><name>landslides</name><bndbox>{}</bndbox></object></annotation>"
    tile.with_suffix(".xml").write_text(text.format(box.format(0, 56)))
    dataset = get_dataset("landslide4sense-boxes")
    (sample,) = dataset.samples(tmp_path)
    assert dataset.boxes(sample).tolist() == [[0, 0, 0.25, 1 / 224]]
    tile.with_suffix(".xml").write_text(text.format(box.format(0.1, 0.5)))
    with pytest.raises(BadFileError, match="looks normalised"):
        dataset.boxes(sample)


def test_two_folders_of_one_meaning_are_refused(tiny_bijie):
    (tiny_bijie / "bijie" / "landslide" / "images").mkdir()
    with pytest.raises(BadFileError, match=r"holds image/ and images/\. It is not clear which"):
        BIJIE.samples(tiny_bijie)
