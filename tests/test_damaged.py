"""Records and weights whose bytes changed on the way are refused, or hold all that was there."""

import json
import pickle

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from landslide_lib.models import weights
from landslide_lib.models.checkpoints import load_weights, read_checkpoint, write_checkpoint
from landslide_lib.study import records
from landslide_lib.study.recipe import non_default_fields

WEIGHTS = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.ones(2)}
#: In place of a value of a record.
VALUES = [None, True, -1, 1.5, 10**30, "", "x", [], {}, [[]], [None], {"a": 1}, [[1, 2, 3, 4]]]

many = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def damaged(draw, size):
    """Return a function that damages that many bytes: random ones, a cut, a gap or flips."""
    how = draw(st.sampled_from(["random", "cut", "gap", "flip"]))
    noise = draw(st.binary(max_size=60))
    place, gap = draw(st.integers(0, size - 1)), draw(st.integers(0, 40))
    flips = draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(1, 255)), max_size=3))

    def damage(whole):
        if how == "random":
            return noise
        if how == "cut":
            return whole[:place]
        if how == "gap":
            return whole[:place] + noise + whole[place + gap :]
        changed = bytearray(whole)
        for where, bits in flips:
            changed[where] ^= bits
        return bytes(changed)

    return damage


def same(one, other):
    """Whether both hold the same tensors by the same names, among the same plain values."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    return one == other


def unless_refused(read, path, error):
    """Read a file; None where it is refused in one line that names it."""
    try:
        return read(path)
    except error as refusal:
        said = str(refusal)
    assert str(path) in said
    assert "\n" not in said
    return None


def places(value, so_far=()):
    """Return the path of every value in a tree of JSON."""
    if not isinstance(value, dict | list):
        return
    for key, one in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*so_far, key)
        yield from places(one, (*so_far, key))


@many
@given(st.data())
def test_damaged_weights_of_a_run_are_refused_or_whole(tmp_path, record, data):
    of = record()
    about = {"recipe": non_default_fields(of.recipe), "seed": 0, "fingerprint": of.fingerprint}
    content = {**about, "weights": WEIGHTS}
    path = tmp_path / "run.pt"
    write_checkpoint(path, content)
    whole = path.read_bytes()
    path.write_bytes(data.draw(damaged(len(whole)))(whole))
    try:
        assert same(content, read_checkpoint(path))
    except pickle.UnpicklingError:
        with pytest.raises(ValueError, match=r"run\.pt: damaged .*Move the file away"):
            load_weights(path, **about)
    else:
        assert same(WEIGHTS, load_weights(path, **about))


@many
@given(st.data())
def test_damaged_weights_of_others_are_refused_or_whole(tmp_path, data):
    path = tmp_path / "theirs.pth"
    torch.save({"state_dict": WEIGHTS}, path)
    whole = path.read_bytes()
    path.write_bytes(data.draw(damaged(len(whole)))(whole))
    found = unless_refused(weights._read, path, ValueError)
    assert found is None or same(WEIGHTS, found)


@many
@given(st.data())
def test_damaged_safetensors_are_refused_or_of_the_same_size(tmp_path, data):
    """They have no checksum: a number that is another one is not noticed."""
    path = tmp_path / "theirs.safetensors"
    save_file(WEIGHTS, path)
    whole = path.read_bytes()
    path.write_bytes(data.draw(damaged(len(whole)))(whole))
    found = unless_refused(weights._read, path, ValueError)
    assert found is None or sum(value.nbytes for value in found.values()) == 56


@pytest.mark.parametrize("text", ["hello, these are no weights\n", "a,b\n1,2\n", "42\n", "<!DOCTYPE html>", ""])
@pytest.mark.parametrize("name", ["theirs.pth", "theirs.safetensors"])
def test_a_text_file_is_no_weights(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=rf"{name} is damaged, or holds more"):
        weights._read(tmp_path / name)


def images(path):
    """Return how many images a record is of, by field; None where it is refused."""
    found = unless_refused(records.read, path, records.RecordError)
    if found is None:
        return None
    assert found.stale in (False, True)  # a store asks every record
    return len(found.test_ids), len(found.test_groups), len(found.test_counts)


@many
@given(st.data())
def test_a_damaged_record_is_refused_or_of_all_its_images(tmp_path, record, data):
    whole = record().to_json().encode()
    path = tmp_path / "record.json"
    path.write_bytes(data.draw(damaged(len(whole)))(whole))
    assert images(path) in (None, (2, 2, 2))


@many
@given(st.data())
def test_a_record_with_another_value_is_refused_or_of_all_its_images(tmp_path, record, data):
    tree = json.loads(record().to_json())
    *before, last = data.draw(st.sampled_from(sorted(places(tree), key=str)))
    inner = tree
    for key in before:
        inner = inner[key]
    if data.draw(st.booleans()):
        inner[last] = data.draw(st.sampled_from(VALUES))
    else:
        del inner[last]
    path = tmp_path / "record.json"
    path.write_text(json.dumps(tree))
    assert images(path) in (None, (2, 2, 2))


@pytest.mark.parametrize("recipe", [None, 7, "focal", [], {}])
def test_a_record_whose_recipe_is_none_is_refused(tmp_path, record, recipe):
    path = tmp_path / "record.json"
    path.write_text(json.dumps(json.loads(record().to_json()) | {"recipe": recipe}))
    with pytest.raises(records.RecordError, match="not a record"):
        records.read(path)


def test_a_record_of_fewer_images_than_it_says_is_refused(tmp_path, record):
    path = tmp_path / "record.json"
    path.write_text(record(test_ids=["image0"]).to_json())
    with pytest.raises(records.RecordError, match=r"test_ids: of 1 images, images\.test: 2"):
        records.read(path)
