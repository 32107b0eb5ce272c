"""A folder of one's own pictures, in each format, trained on from the command line."""

import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from landslide_lib import cli
from landslide_lib.study.records import Store

BOX = (8, 4, 20, 28)


@pytest.fixture(params=["yolo", "coco", "masks"])
def own(request, tmp_path):
    """24 pictures of 32 pixels, every other with a bright landslide; the format."""
    draw = np.random.default_rng(0)
    images, boxes = [], []
    left, top, right, bottom = BOX
    for folder in ("images", "labels", "masks", "annotations"):
        (tmp_path / folder).mkdir()
    for i in range(24):
        image = draw.integers(20, 100, (32, 32, 3), np.uint8)
        mask = np.zeros((32, 32), np.uint8)
        if i % 2:
            mask[top:bottom, left:right] = 1
        cv2.imwrite(str(tmp_path / "images" / f"{i:02}.png"), image + 120 * mask[..., None])
        if request.param == "masks":
            cv2.imwrite(str(tmp_path / "masks" / f"{i:02}.png"), 255 * mask)
        if request.param == "yolo":
            line = f"0 {(left + right) / 64} {(top + bottom) / 64} {12 / 32} {24 / 32}\n"
            (tmp_path / "labels" / f"{i:02}.txt").write_text(line * (i % 2))
        images.append({"id": i, "file_name": f"{i:02}.png", "width": 32, "height": 32})
        boxes += [{"image_id": i, "bbox": [left, top, 12, 24], "iscrowd": 0}] * (i % 2)
    if request.param == "coco":
        content = {"images": images, "annotations": boxes}
        (tmp_path / "annotations" / "instances_train.json").write_text(json.dumps(content))
    for folder in ("labels", "masks", "annotations"):
        if not any((tmp_path / folder).iterdir()):
            (tmp_path / folder).rmdir()
    return request.param, tmp_path


def test_a_network_is_trained_on_it(own):
    form, root = own
    table, row, name = ("detection/backbones", "resnet-18-random", "voc")
    if form == "masks":
        table, row, name = ("raunet/losses", "focal", "folder")
    words = [
        "train",
        table,
        "--row",
        row,
        "--dataset",
        name,
        "--profile",
        "smoke",
        "--device",
        "cpu",
        "--data-root",
        str(root),
    ]
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == 0, done.output
    (record,) = [one for one in Store().all() if one.recipe.dataset == name]
    assert not record.excluded
    assert sum(record.images.values()) == 24
