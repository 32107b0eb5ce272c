"""The pictures of a run: what six test images keep of their probabilities, and how they are drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import landslide_lib as ll
from landslide_lib.study import domains
from landslide_lib.training.pictures import decode, encode, spread, true_colour

SMOKE = {"dataset": "synthetic", "profile": "smoke", "seeds": [0]}


@given(arrays(np.float32, (7, 7), elements=st.floats(0, 1, width=32)))
def test_a_probability_is_kept_to_half_a_level(probability):
    np.testing.assert_allclose(decode(encode(probability), 7), probability, atol=0.5 / 255 + 1e-6)
    assert decode(encode(probability), 14).shape == (14, 14)


def test_images_with_landslides_are_spread_from_the_smallest_to_the_largest():
    masks = np.zeros((40, 10, 10), np.uint8)
    sizes = np.random.default_rng(0).permutation(40)  # one has none
    for mask, size in zip(masks, sizes, strict=True):
        mask.flat[:size] = 1
    assert sizes[spread(masks)].tolist() == [1, 9, 16, 24, 31, 39]
    assert sorted(sizes[spread(masks[:4])]) == sizes[spread(masks[:4])].tolist() == sorted(sizes[:4])
    assert not len(spread(masks[:0]))
    assert not len(spread(np.zeros((3, 4, 4))))


def test_true_colour_stretches_each_image_by_itself():
    images = np.random.default_rng(0).normal(size=(2, 4, 8, 8))
    drawn = true_colour(images, ("B2", "B3", "B4", "B8"))
    low, high = np.percentile(images[1, :3], [2, 98])
    np.testing.assert_allclose(drawn[1, ..., 0], ((images[1, 2] - low) / (high - low)).clip(0, 1), rtol=1e-5)
    np.testing.assert_array_equal(drawn[1], true_colour(images[1], ("B2", "B3", "B4", "B8")))


def test_a_run_keeps_what_six_test_images_got_and_a_table_draws_it(monkeypatch):
    table = ll.table("raunet/losses", **SMOKE).run(rows=["ce", "focal"], device="cpu")
    records = [table.records[row][0] for row in ("ce", "focal")]
    packed = domains.load(records[0].recipe)
    names = [*records[0].examples]
    masks = packed.masks[[packed.ids.index(name) for name in names]]
    assert set(names) <= set(records[0].test_ids)
    assert [*records[1].examples] == names
    for record in records:  # the counts of these images are those of the record
        for name, mask in zip(names, masks, strict=True):
            called, counts = decode(record.examples[name], 32), record.test_counts[record.test_ids.index(name)]
            hits = [int(((called > at) & (mask == 1)).sum()) for at in (0.5 + 1 / 255, 0.5 - 1 / 255)]
            assert hits[0] <= counts[0] <= hits[1]
    figure = table.examples(["ce", "focal"])
    assert len(figure.axes) == len(names) * (2 + 2 * 2)
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), masks[0])
    np.testing.assert_array_equal(figure.axes[4].images[0].get_array(), decode(records[1].examples[names[0]], 32))
    assert "hits, misses, false alarms" in figure.get_label()
    assert 'alt="Lines of pictures' in figure._repr_html_()
    monkeypatch.setenv("LANDSLIDE_TRAIN", "no")  # a book has no images of a publisher
    assert len(ll.table("raunet/losses", **SMOKE).examples(["ce", "focal"]).axes) == len(names) * 2
    assert "No runs" in ll.table("raunet/losses", **SMOKE).examples(["ce", "iou"]).data
    with pytest.raises(ValueError, match="ce-focal"):
        table.examples(["ce-focal"])
