"""What is asked of a scene, and which of its days is taken."""

import datetime as dt

import numpy as np
import pytest
import rasterio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapely import box
from typer.testing import CliRunner

from landslide_lib.cli import app
from landslide_lib.geo import scene


def seen(id, day=1, hour=10, cloud=0.0, baseline=5.0, west=0.0, east=1.0):
    time = dt.datetime(2024, 7, day, hour, tzinfo=dt.UTC)
    return scene.Pass(id, time, cloud, baseline, box(west, 0, east, 1), None)


def ids(passes, where=(0, 0, 1, 1)):
    return [one.id for one in scene.best_day(passes, where)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1,2,3", "four numbers"),
        ("1,2,3,x", "four numbers"),
        ("", "four numbers"),
        ("nan,0,1,1", "longitudes are"),
        ("0,0,inf,1", "longitudes are"),
        ("0,0,181,1", "longitudes are"),
        ("0,-81,1,1", "latitudes are"),
        ("48.1,16.3,48.2,161", "latitudes are"),
        ("2,0,1,1", "order is W,S,E,N"),
        ("0,1,1,1", "order is W,S,E,N"),
        ("179,0,-179,1", "two scenes"),
    ],
)
def test_a_box_that_is_none_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem) as error:
        scene.parse_box(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "2024-7-1",
        "2024-07-32",
        "2024-07-02/2024-07-01",
        "2024-07-01/..",
        "a/b/c",
        "0001-01-01",
        "9999-12-31",
    ],
)
def test_a_date_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"^date "):
        scene.parse_days(text)


def test_a_day_and_some_days():
    assert str(scene.parse_days("2024-07-01")) == "2024-07-01"
    assert str(scene.parse_days("2024-07-01/2024-07-15")) == "2024-07-01 to 2024-07-15"


@settings(max_examples=10)
@example(0.0, -1.2e-7, 0.0625, 0.0625)  # a centimetre beyond the equator
@given(st.floats(-180, 179.9), st.floats(-79.9, 83.8), st.floats(0.001, 0.1), st.floats(0.001, 0.1))
def test_a_grid_covers_its_box_in_pixels_of_10_metres(west, south, wide, high):
    where = (west, south, min(west + wide, 180), south + high)
    grid = scene.grid(where)
    zone, middle = grid.crs.proj.utm_zone, (west + where[2]) / 2
    assert zone[-1] == ("N" if south + high / 2 >= 0 else "S") or abs(south) < 0.1
    assert abs(middle - (6 * int(zone[:-1]) - 183)) <= 3.1
    found = grid.boundingbox.to_crs("EPSG:4326")
    assert grid.affine.a == -grid.affine.e == 10
    assert grid.affine.c % 10 == grid.affine.f % 10 == 0
    tenth = 1e-6  # of a metre, in degrees: what odc-geo takes for the edge of a pixel
    assert found.bottom <= south + tenth
    assert found.top >= where[3] - tenth


def test_a_box_that_is_too_large_is_refused_before_anything_is_asked():
    with pytest.raises(ValueError, match=r"a scene has at most 36,000,000, 60 by 60 km; take a smaller box"):
        scene.grid((10, 45, 12, 47))
    assert scene.grid((16, 48, 16.7, 48.5)).shape.x > 5000


def test_the_day_that_shows_most_is_taken():
    assert ids([seen("a", 1, cloud=20), seen("b", 2, cloud=10)]) == ["b"]
    assert ids([seen("b", 2, cloud=10), seen("a", 1, cloud=10)]) == ["a"]
    assert ids([seen("part", 1, east=0.1), seen("whole", 2, cloud=50)]) == ["whole"]
    assert ids([seen("east", 1, west=0.4), seen("west", 1, east=0.5), seen("cloudy", 2, cloud=1)]) == ["east", "west"]
    assert ids([seen("beside", 1, west=2, east=3)]) == []
    assert ids([]) == []
    assert ids([seen("overcast", 1, cloud=100)]) == ["overcast"]


def test_of_one_tile_the_newest_processing_is_read_alone():
    assert ids([seen("old", baseline=2.14, cloud=0), seen("new", baseline=5.1, cloud=3)]) == ["new"]


def test_a_day_is_one_of_the_sun():
    """Over New Zealand a pass around midnight UTC is one morning."""
    late, early = seen("late", 1, hour=23, west=178.5, east=179), seen("early", 2, hour=0, west=178, east=178.5)
    assert sorted(ids([late, early], (178, 0, 179, 1))) == ["early", "late"]


def test_bands_of_a_network():
    assert scene.bands_of(("R", "G", "B")) == ("B4", "B3", "B2")
    assert scene.bands_of(("B8", "NDVI", "slope")) == ("B8", "B4", "slope")
    with pytest.raises(ValueError, match="has no VV_desc"):
        scene.bands_of(("B1", "VV_desc"))


def test_nothing_stays_of_a_file_that_was_not_finished(tmp_path):
    grid = scene.grid((16, 48, 16.001, 48.001))
    (tmp_path / "scene.tif").write_bytes(b"before")

    def stopped():
        with scene.writing(tmp_path / "scene.tif", grid, ["B4"], {}) as file:
            file.write(np.zeros(grid.shape, np.float32), 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]
    with scene.writing(tmp_path / "scene.tif", grid, ["B4"], {"A": "b"}) as file:
        file.write(np.full(grid.shape, 0.5, np.float32), 1)
    with rasterio.open(tmp_path / "scene.tif") as file:
        assert (file.read(1) == 0.5).all()
        assert file.tags()["A"] == "b"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--bbox", "3,2,1,4"], "the order is W,S,E,N"),
        (["--date", "July"], "a day is needed"),
        (["--bands", "B4,B4"], "each once"),
        (["--bands", "B4", "--model", "bijie"], "give one of them"),
        (["--source", "disk"], "allowed: stac, sentinel-hub"),
        (["-o", "scene.png"], "a scene is a GeoTIFF"),
    ],
)
def test_on_the_command_line_an_error_is_one_line(more, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = {"--bbox": "16,48,16.01,48.01", "--date": "2024-07-01", "-o": "scene.tif"}
    asked |= dict(zip(more[::2], more[1::2], strict=True))
    done = CliRunner().invoke(app, ["scene", *(word for pair in asked.items() for word in pair)])
    assert done.exit_code == 2
    assert done.stderr.startswith("landslide: ")
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
    assert not any(tmp_path.iterdir())
