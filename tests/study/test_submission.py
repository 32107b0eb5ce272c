"""The competition's submission: what is written is accepted, and whatever is wrong is said."""

import contextlib
import io
import zipfile
from pathlib import Path

import h5py
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from landslide_lib.study import submission
from landslide_lib.study.submission import validate, write

SIZE = 128
MASK = np.eye(SIZE, dtype=np.uint8)
few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def hdf5(content=MASK, key="mask", **options) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset(key, data=content, **options)
    return buffer.getvalue()


def zipped(path: Path, members, method=zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def said(path: Path, count: int | None = None) -> str:
    with pytest.raises(ValueError) as caught:
        validate(path, count)
    return str(caught.value)


# --- What is written ------------------------------------------------------------------------


masks = hnp.arrays(np.uint8, (SIZE, SIZE), elements=st.integers(0, 1), fill=st.integers(0, 1))


@few
@given(st.dictionaries(st.integers(1, 999), masks, min_size=1, max_size=4))
def test_what_is_written_is_accepted_and_read_back_the_same(tmp_path, given):
    path = write(given, tmp_path / "submission.zip")
    validate(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [f"mask_{number}.h5" for number in sorted(given)]
        for number, mask in given.items():
            with h5py.File(io.BytesIO(archive.read(f"mask_{number}.h5"))) as file:
                assert list(file) == ["mask"]
                assert file["mask"].dtype == np.uint8
                assert np.array_equal(file["mask"][()], mask)


@few
@given(st.integers(1, 6), st.integers(1, 6))
def test_a_submission_is_complete_with_just_the_patches_asked_for(tmp_path, there, asked):
    path = write(dict.fromkeys(range(1, there + 1), MASK), tmp_path / "submission.zip")
    if there == asked:
        validate(path, asked)
    else:
        lone = f"mask_{min(there, asked) + 1}.h5"
        assert lone in said(path, asked)
        assert ("missing" if there < asked else "too many") in said(path, asked)


def test_the_same_masks_are_the_same_bytes_in_any_order_and_layout(tmp_path):
    other = np.asfortranarray(MASK[::-1])
    one = write({1: MASK, 2: MASK[::-1]}, tmp_path / "new" / "one.zip")
    two = write({2: other, 1: MASK}, tmp_path / "two.zip")
    assert one.read_bytes() == two.read_bytes()


def test_a_submission_that_breaks_off_leaves_the_one_before(tmp_path, monkeypatch):
    path = write({1: MASK}, tmp_path / "submission.zip")
    before = path.read_bytes()
    whole = zipfile.ZipFile.writestr

    def full(archive, member, content, method):
        if member.filename == "mask_2.h5":
            raise OSError(28, "No space left on device")
        whole(archive, member, content, method)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match="No space left"):
        write({1: MASK, 2: MASK}, path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [before]


# --- What others have made ------------------------------------------------------------------


def group() -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group("mask")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        hdf5(key="img"),
        group(),
        hdf5(MASK[..., None]),
        hdf5(h5py.Empty("u1")),
        hdf5(MASK.astype(np.int64)),
        hdf5(MASK > 0),
        hdf5(MASK * 255),
        hdf5()[:1000],
        b"",
        hdf5(np.zeros((2000, 2000), np.uint8)),
    ],
)
def test_a_file_that_is_no_mask_is_named(tmp_path, content):
    path = zipped(tmp_path / "s.zip", [("mask_1.h5", hdf5()), ("mask_2.h5", content)])
    (line,) = said(path, 2).splitlines()[1:]
    assert line.startswith("- mask_2.h5 (of 1): not mask_N.h5")


@pytest.mark.parametrize(
    "name",
    ["map/mask_2.h5", "map/", "../mask_2.h5", "mask_02.h5", "mask_0.h5", "mask_٢.h5", "mask_2.h5\n", "README.txt"],
)
def test_a_name_that_does_not_fit_is_said(tmp_path, name):
    path = zipped(tmp_path / "s.zip", [("mask_1.h5", hdf5()), (name, hdf5())])
    assert f"- {name} (of 1): not mask_N.h5" in said(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_every_fault_is_said_at_once(tmp_path):
    members = [("mask_1.h5", hdf5(MASK.astype(np.int64))), ("mask_9.h5", hdf5()), ("mask_9.h5", hdf5())]
    members += [(f"mask_{n}.h5", hdf5()) for n in (2, 3, 4, 5, 6, 7, 8, 12)]
    path = zipped(tmp_path / "s.zip", members)
    assert [line.split(":")[0] for line in said(path, 11).splitlines()[1:]] == [
        "- mask_1.h5 (of 1)",
        "- mask_10.h5, mask_11.h5 (of 2)",
        "- mask_12.h5 (of 1)",
        "- mask_9.h5 (of 1)",
    ]


def test_what_is_no_zip_is_refused(tmp_path):
    for path in (tmp_path / "none.zip", tmp_path):
        assert "no whole ZIP" in said(path)
    (tmp_path / "s.zip").write_bytes(hdf5())
    assert "no whole ZIP (File is not a zip file)" in said(tmp_path / "s.zip")
    assert "mask_1.h5 (of 1): missing" in said(zipped(tmp_path / "empty.zip", []))
    whole = write({1: MASK, 2: MASK}, tmp_path / "whole.zip").read_bytes()
    (tmp_path / "s.zip").write_bytes(whole[:-30])
    assert "no whole ZIP" in said(tmp_path / "s.zip")


def test_a_bomb_that_lies_about_its_size_is_unpacked_no_further_than_it_says(tmp_path):
    import tracemalloc

    large = 2**26
    path = zipped(tmp_path / "s.zip", [("mask_1.h5", bytes(large))])
    claim = (17784).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(large.to_bytes(4, "little"), claim))
    tracemalloc.start()
    try:
        assert "mask_1.h5 (of 1): not mask_N.h5" in said(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * submission.LARGEST
    finally:
        tracemalloc.stop()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.booleans(), st.lists(st.tuples(st.integers(-3000, 2999), st.integers(0, 255)), min_size=1, max_size=8))
def test_whatever_is_broken_it_is_refused_in_words_or_still_a_submission(tmp_path, inside, flips):
    path = tmp_path / "s.zip"
    content = bytearray(hdf5() if inside else write({1: MASK}, path).read_bytes())
    for place, value in flips:
        content[place % len(content)] = value
    if inside:
        zipped(path, [("mask_1.h5", bytes(content))])
    else:
        path.write_bytes(content)
    with contextlib.suppress(ValueError):  # and no other error
        validate(path, 1)


def test_checking_a_submission_needs_no_torch():
    import subprocess
    import sys

    code = "import sys, landslide_lib.study.submission; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("kind", ["link", "external"])
def test_a_mask_whose_data_is_elsewhere_is_refused(tmp_path, kind):
    outside = tmp_path / "outside.bin"
    outside.write_bytes(bytes(128 * 128))
    with h5py.File(tmp_path / "mask_1.h5", "w") as file:
        if kind == "link":
            file["mask"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "mask")
        else:
            file.create_dataset("mask", (128, 128), np.uint8, external=[(str(outside), 0, h5py.h5f.UNLIMITED)])
    with zipfile.ZipFile(tmp_path / "it.zip", "w") as archive:
        archive.write(tmp_path / "mask_1.h5", "mask_1.h5")
    with pytest.raises(ValueError, match=r"mask_1\.h5 \(of 1\): not"):
        submission.validate(tmp_path / "it.zip")
