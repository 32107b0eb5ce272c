"""The drawing of the heads: its data are the shapes that it was given."""

import matplotlib as mpl
import numpy as np
import pytest

from landslide_lib.study.plots import heads as plots_heads

mpl.use("Agg")


def test_masks_and_a_number_of_the_image_are_drawn():
    outputs = {"mono": {"mask": (1, 16, 16)}, "dual": {"mask": (1, 16, 16), "image": (1,)}}
    picture = plots_heads.heads(outputs, side=16)
    rows = picture.data[["head", "output"]].to_numpy().tolist()
    assert rows == [["mono", "mask"], ["dual", "mask"], ["dual", "image"]]
    assert picture.data["height"].isna().tolist() == [False, False, True]


def test_a_shape_that_is_neither_mask_nor_number_is_refused():
    with pytest.raises(ValueError, match=r"dual, image: shape \(1, 2\)"):
        plots_heads.heads({"dual": {"image": (1, 2)}}, side=16)


def test_each_mask_is_named_with_its_size():
    masks = {"half": np.zeros((2, 2)), "mask": np.eye(4)}
    picture = plots_heads.targets(masks)
    assert [place.get_title() for place in picture.figure.axes] == ["half: 2 × 2", "mask: 4 × 4"]
