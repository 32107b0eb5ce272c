"""The detection report's other data: Dynahead-YOLO's pictures with boxes, and fMoW's images alone."""

import json

import numpy as np
import pytest
import torch

from landslide_lib.data.boxes import load_boxes
from landslide_lib.data.registry import DatasetNotFoundError, DownloadError, get_dataset, load_packed
from landslide_lib.data.split import Split, split
from landslide_lib.data.statistics import verify_files
from landslide_lib.study import domains, runs
from landslide_lib.study.recipe import profile, recipe
from landslide_lib.study.records import Store

DYNAHEAD, FMOW = get_dataset("dynahead-yolo"), get_dataset("fmow")
XML = (
    "<annotation><folder>images</folder><filename>{0}.jpg</filename><path>D:\\images\\{0}.jpg</path><size><width>512"
    "</width><height>512</height><depth>3</depth></size><object><name>landslide</name><bndbox><xmin>128</xmin>"
    "<ymin>256</ymin><xmax>256</xmax><ymax>512</ymax></bndbox></object></annotation>"
)


@pytest.mark.parametrize("layout", ["{part}/{name}", "{kind}/{name}"])
def test_dynahead_is_read_in_the_parts_of_the_report_or_in_two_folders(tmp_path, cache, make, layout):
    home = tmp_path / "dynahead-yolo"
    for shade, (part, name) in enumerate([("train", "1"), ("train", "js023"), ("valid", "wn003"), ("test", "ld264")]):
        places = [home / layout.format(part=part, name=name, kind=kind) for kind in ("images", "annotations")]
        make["picture"](places[0].with_suffix(".jpg"), np.full((512, 512, 3), 60 + 40 * shade, np.uint8))
        places[1].parent.mkdir(parents=True, exist_ok=True)
        places[1].with_suffix(".xml").write_text(XML.format(name))
    verdict = verify_files(DYNAHEAD, tmp_path)
    assert (verdict.images, verdict.boxes, verdict.bad) == (4, 4, ())
    packed = load_packed(DYNAHEAD, 16, root=tmp_path, cache=cache)
    np.testing.assert_allclose(load_boxes(DYNAHEAD, packed, tmp_path).of(0), [[4, 8, 8, 16]])
    if "part" in layout:
        theirs = split(packed, Split(method="published"))
        assert {part: len(images) for part, images in theirs.items()} == {"train": 2, "valid": 1, "test": 1}
    with pytest.raises(DownloadError, match=r"https://github\.com/Abbott-max/dataset"):
        DYNAHEAD.download(tmp_path)


@pytest.fixture
def fmow(tmp_path, make):
    """Thirty images of ten places, with what else lies beside them."""
    draw = np.random.default_rng(0)
    for number in range(30):
        place = f"airport_hangar_{number // 3}"
        path = tmp_path / "fmow" / "train" / "airport_hangar" / place / f"{place}_{number % 3}_rgb.jpg"
        make["picture"](path, draw.integers(0, 255, (40 + number, 64, 3), np.uint8))
        path.with_suffix(".json").write_text(json.dumps({"gsd": 0.5}))
        make["picture"](path.with_name(path.name.replace("rgb", "msrgb")), np.zeros((8, 8, 3), np.uint8))
    return tmp_path


def test_fmow_is_its_rgb_images_by_place(fmow, make):
    samples = FMOW.samples(fmow)
    assert len(samples) == 30
    assert {sample.group for sample in samples} == {f"airport_hangar_{i}" for i in range(10)}
    assert verify_files(FMOW, fmow).bad == ()
    lost = fmow / "fmow" / "train" / "zoo" / "zoo_1" / "zoo_0_1_rgb.jpg"
    make["picture"](lost, np.zeros((8, 8, 3), np.uint8))
    (bad,) = verify_files(FMOW, fmow).bad
    assert bad.file == str(lost)
    assert bad.problem == "lies in another folder than train/CLASS/PLACE/PLACE_N_rgb.jpg"


def test_where_fmow_is_not_one_line_says_how_to_get_it(tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"no train/CLASS/PLACE/PLACE_N_rgb\.jpg below .*aws s3 sync"):
        FMOW.samples(tmp_path)


def test_a_masked_autoencoder_learns_on_fmow(fmow):
    wanted = recipe({"task": "detection", "dataset": "bijie"}, profile("smoke", "detection"))
    change = {"encoder": "vit_tiny", "start": {"name": "mae", "on": "fmow"}, "subset": None}
    (learnt,) = recipe(wanted.model_dump(), change).depends_on
    assert learnt.dataset == "fmow"
    record = runs.run(learnt, 0, store=Store(fmow / "runs" / "records", more=()), device="cpu", data_root=fmow)
    assert sum(record.images.values()) == len(domains.load(learnt, root=fmow)) == 30
    assert torch.isfinite(torch.tensor(record.test.metrics["pixels"]["loss"]))
