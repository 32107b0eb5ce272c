"""Statistics of a dataset, as the book prints them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from landslide_lib.data import statistics
from landslide_lib.data.registry import DATASETS
from tools import describe


def test_the_numbers_are_those_of_the_pixels(packed):
    facts = describe.describe(packed)
    images = packed.images.astype(np.float64)
    for column, name in enumerate(packed.bands):
        assert facts["bands"][name]["mean"] == pytest.approx(images[:, column].mean())
        assert facts["bands"][name]["std"] == pytest.approx(images[:, column].std())
        assert facts["bands"][name]["max"] == images[:, column].max()
    areas = [mask.mean() for mask in packed.masks if mask.any()]
    assert facts["positive"] == len(areas) / len(packed)
    assert facts["landslide"] == pytest.approx(packed.masks.mean())
    assert (facts["smallest"], facts["largest"]) == (min(areas), max(areas))


def test_images_without_truth_have_no_share_of_landslides(packed):
    facts = describe.describe(replace(packed, parts=("test, no masks",) * len(packed)))
    assert facts["labelled"] == 0
    assert facts["positive"] is facts["landslide"] is facts["largest"] is None
    assert facts["images"] == len(packed)


def test_of_what_is_published_the_latest_is_read(packed, tmp_path):
    facts = describe.describe(packed)
    (tmp_path / "old.json").write_text(json.dumps({**facts, "made": "2025", "images": 0}))
    (tmp_path / "new.json").write_text(json.dumps(facts))
    assert statistics.published(tmp_path) == {packed.name: facts}


def test_parts_are_the_publishers_or_else_those_of_our_split(packed):
    facts = describe.describe(packed)
    assert facts["split"] == "blocked"
    assert set(facts["parts"]) == {"train", "valid", "test"}
    assert sum(part["images"] for part in facts["parts"].values()) == len(packed)
    shipped = replace(packed, parts=("train",) * 30 + ("test, no masks",) * 10)
    facts = describe.describe(shipped)
    assert facts["split"] == "shipped"
    assert facts["parts"]["test, no masks"]["landslide"] is None
    train = facts["parts"]["train"]
    assert train["landslide"] == pytest.approx(packed.masks[:30].mean(), rel=1e-4)
    assert train["positive"] == 0.5
    mean = packed.images[:30, 1].astype(np.float64).mean()
    assert train["bands"]["G"]["mean"] == pytest.approx(mean, rel=1e-4)


def test_regions_are_those_that_are_known(packed):
    facts = describe.describe(packed)
    south = np.array(packed.regions) == "south"
    assert list(facts["regions"]) == ["south", "north"]
    assert facts["regions"]["south"]["images"] == south.sum()
    std = packed.images[south, 0].astype(np.float64).std()
    assert facts["regions"]["south"]["bands"]["R"]["std"] == pytest.approx(std, rel=1e-4)
    unknown = replace(packed, regions=("",) * len(packed))
    assert describe.describe(unknown)["regions"] == {}


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_areas_count_images_and_connected_landslides(packed):
    masks = np.zeros_like(packed.masks)
    masks[0] = 1  # all of the image
    masks[1, 0, 0] = masks[1, 1, 1] = 1  # touch at a corner: one of two pixels
    masks[2, 0, 0] = masks[2, 5, 5] = 1  # two of one pixel
    areas = describe.describe(replace(packed, masks=masks))["areas"]

    def where(share):
        return int(np.searchsorted(areas["edges"], share, "right")) - 1

    assert areas["images"][-1] == areas["landslides"][-1] == 1
    assert areas["images"][where(2 / 256)] == 2
    assert areas["landslides"][where(2 / 256)] == 1
    assert areas["landslides"][where(1 / 256)] == 2
    assert areas["connected"] == sum(areas["landslides"]) == 4
    no_truth = replace(packed, parts=("train, no masks",) * len(packed))
    assert describe.describe(no_truth)["areas"] is None


def test_too_few_images_for_a_split_are_described_without_one(packed):
    few = replace(
        packed,
        images=packed.images[:3],
        masks=packed.masks[:3],
        ids=packed.ids[:3],
        groups=packed.groups[:3],
        parts=packed.parts[:3],
        regions=packed.regions[:3],
    )
    facts = describe.describe(few)
    assert (facts["split"], facts["parts"], facts["neighbours"]) == (None, {}, None)


def test_statistics_fit_into_a_small_file_of_plain_json(packed):
    facts = describe.describe(packed)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    for path in statistics.FOLDER.glob("*.json"):
        assert path.stat().st_size < 30_000


def test_measure_adds_what_packing_does_not_keep(bijie):
    facts = describe.measure("bijie", 16)
    assert facts["images"] == 48
    assert facts["sizes"] == {"short": [32] * 3, "long": [32] * 3, "aspect": [1] * 3}
    assert facts["boxes"] is None
    assert facts["neighbours"] is None  # no number is followed by the next one


def test_published_statistics_hold_what_the_chapter_reads():
    for name, facts in statistics.published().items():
        if "image_size" not in facts:
            continue  # a list of labels alone
        assert name in DATASETS
        assert {"regions", "split", "parts", "areas", "neighbours", "sizes", "boxes"} <= set(facts)
