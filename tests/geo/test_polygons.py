"""Polygons of a map of probability: valid, exactly the mask, with areas on the ellipsoid, in files that others read."""

import geopandas
import hypothesis.strategies as st
import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from pyproj import Geod
from rasterio.transform import Affine, from_origin

from landslide_lib.geo.polygons import polygons, rasterize, write_polygons
from tests.study.test_cli import landslide

UTM = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_200_000, 10, 10)}


def written(path, values, **options):
    values = np.asarray(values)
    values = values[None] if values.ndim == 2 else values
    count, height, width = values.shape
    shape = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": values.dtype}
    with rasterio.open(path, "w", **(shape | UTM | {"nodata": np.nan} | options)) as file:
        file.write(values)
    return path


def two_landslides():
    """A ring of 8 pixels around a hole; a pixel that touches it at a corner; and one that is unknown."""
    values = np.zeros((6, 7), np.float32)
    values[:3, :3], values[1, 1] = 0.75, 0.5
    values[3, 3] = 1
    values[5, 5] = np.nan
    return values


def test_area_and_probability_by_value(tmp_path):
    found = polygons(written(tmp_path / "p.tif", two_landslides()), 0.5)
    assert list(found.columns) == ["geometry", "area_m2", "probability"]
    assert found.crs == "EPSG:32633"
    assert found.probability.tolist() == [0.75, 1]
    assert [len(polygon.interiors) for polygon in found.geometry] == [1, 0]
    assert found.geometry.area.tolist() == [800, 100]
    assert found.area_m2.tolist() == pytest.approx([800 / 0.9996**2, 100 / 0.9996**2], rel=1e-5)  # UTM's scale


def test_small_ones_are_left_out(tmp_path):
    path = written(tmp_path / "p.tif", two_landslides())
    assert polygons(path, 0.5, minimum_area=200).probability.tolist() == [0.75]
    assert polygons(path, 0.5, minimum_area=900).empty


def test_what_is_unknown_is_no_landslide(tmp_path):
    values = np.array([[1, 1, -9999, np.nan, 1]], np.float32)
    found = polygons(written(tmp_path / "p.tif", values, nodata=-9999), 0.5)
    assert rasterize(found, tmp_path / "p.tif").tolist() == [[True, True, False, False, True]]
    assert polygons(written(tmp_path / "all.tif", np.full((3, 3), np.nan, np.float32)), 0).empty


def way_back(folder, values, threshold, transform, files=("p.gpkg", "p.geojson")):
    """No invalid geometry, and exactly the mask, through files too."""
    path = written(folder / "p.tif", values, transform=transform)
    found, truth = polygons(path, threshold), values > np.float32(threshold)
    assert found.is_valid.all()
    assert set(found.geom_type) <= {"Polygon"}
    np.testing.assert_array_equal(rasterize(found, path), truth)
    for place, mean in zip(found.geometry, found.probability, strict=True):
        inside = rasterize(geopandas.GeoDataFrame(geometry=[place], crs=found.crs), path)
        assert mean == pytest.approx(values[inside].mean(dtype=float), rel=1e-6)
    for name in files:
        read = geopandas.read_file(write_polygons(found, folder / name))
        assert read.is_valid.all()
        np.testing.assert_array_equal(rasterize(read, path), truth)


MAPS = arrays(
    np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.floats(0, 1, width=32)
) | arrays(
    np.float32, array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.sampled_from([0, 0.25, 0.75, np.nan])
)
GRIDS = st.sampled_from(
    [
        UTM["transform"],
        from_origin(500_000, 5_200_000, 0.05, 0.05),  # a drone's
        from_origin(399_960, 9_300_040, 20, 10),
        UTM["transform"] @ Affine.rotation(30),
        Affine(10, 0, 5e5, 0, 10, 5e6),  # south is up
    ]
)


THRESHOLDS = st.sampled_from([0, 0.25, 0.3, 1])


@settings(deadline=None, max_examples=100)
@given(values=MAPS, threshold=THRESHOLDS, transform=GRIDS)
def test_polygons_are_valid_and_exactly_the_mask(tmp_path_factory, values, threshold, transform):
    way_back(tmp_path_factory.getbasetemp(), values, threshold, transform, files=())


@settings(deadline=None, max_examples=15)
@given(values=MAPS, threshold=THRESHOLDS, transform=GRIDS)
def test_files_give_the_mask_back(tmp_path_factory, values, threshold, transform):
    way_back(tmp_path_factory.getbasetemp(), values, threshold, transform)


@pytest.mark.slow
@settings(deadline=None, max_examples=1000)
@given(values=MAPS, threshold=THRESHOLDS, transform=GRIDS)
def test_a_thousand_masks(tmp_path_factory, values, threshold, transform):
    way_back(tmp_path_factory.getbasetemp(), values, threshold, transform)


def test_the_way_back_holds_over_edges_of_the_strips_that_are_read(tmp_path):
    values = np.random.default_rng(0).random((1100, 40), np.float32)
    values[:, 20] = 1
    way = polygons(written(tmp_path / "p.tif", values), 0.7)
    np.testing.assert_array_equal(rasterize(way, tmp_path / "p.tif"), values > np.float32(0.7))
    (whole,) = np.flatnonzero(way.bounds.maxy - way.bounds.miny == 11_000)
    inside = rasterize(way.iloc[[whole]], tmp_path / "p.tif")
    assert way.probability[whole] == pytest.approx(values[inside].mean(dtype=float), rel=1e-9)


@pytest.mark.parametrize(
    ("crs", "x", "y", "pixel"),
    [
        ("EPSG:4326", 36.5, 0.1, 1e-4),
        ("EPSG:4326", 84.7, 28.2, 1e-3),
        ("EPSG:4326", 7.1, 60.4, 1e-3),
        ("EPSG:4326", 179.95, -41.5, 1e-3),
        ("EPSG:32633", 300_000, 10_000, 10),
        ("EPSG:32633", 399_960, 6_700_020, 10),  # 60 N
        ("EPSG:32660", 780_000, 5_000_000, 10),  # over the antimeridian
        ("EPSG:3857", 790_000, 8_400_000, 10),  # where a square metre has four of the map's
        ("EPSG:3413", 0, 0, 100),  # the north pole
        ("EPSG:2263", 987_000, 210_000, 30),  # in feet
    ],
)
def test_areas_are_geodesic(tmp_path, crs, x, y, pixel):
    values = (np.random.default_rng(0).random((100, 100)) < 0.6).astype(np.float32)
    path = written(tmp_path / "p.tif", values, crs=crs, transform=from_origin(x, y, pixel, pixel))
    found = polygons(path, 0.5)
    truth = [abs(Geod(ellps="WGS84").geometry_area_perimeter(place)[0]) for place in found.to_crs(4326).geometry]
    np.testing.assert_allclose(found.area_m2, truth, rtol=1e-3)


def test_simplified_polygons_are_valid_and_do_not_overlap(tmp_path):
    values = np.random.default_rng(0).random((50, 50), np.float32)
    path = written(tmp_path / "p.tif", values)
    whole, simple = polygons(path, 0.4), polygons(path, 0.4, simplify=15)
    assert simple.is_valid.all()
    assert len(simple) == len(whole)
    assert simple.count_coordinates().sum() < 0.8 * whole.count_coordinates().sum()
    assert simple.union_all().area == pytest.approx(simple.area.sum())
    assert simple.area_m2.sum() * 0.9996**2 == pytest.approx(simple.area.sum(), rel=1e-4)
    assert simple.probability.equals(whole.probability)


def test_an_empty_map_is_a_valid_file(tmp_path):
    found = polygons(written(tmp_path / "p.tif", np.zeros((3, 4), np.float32)), 0.5, simplify=3)
    read = geopandas.read_file(write_polygons(found, tmp_path / "p.gpkg"))
    assert list(found.columns) == ["geometry", "area_m2", "probability"]
    assert (len(read), set(read.columns), read.crs) == (0, set(found.columns), found.crs)
    assert geopandas.read_file(write_polygons(found, tmp_path / "p.geojson")).empty
    assert not rasterize(read, tmp_path / "p.tif").any()


def test_files_say_where_they_are(tmp_path):
    found = polygons(written(tmp_path / "p.tif", two_landslides()), 0.5)
    degrees = geopandas.read_file(write_polygons(found, tmp_path / "folder" / "P.GEOJSON"))
    assert degrees.crs == "EPSG:4326"
    assert degrees.total_bounds == pytest.approx(found.to_crs(4326).total_bounds, abs=1e-9)
    metres = geopandas.read_file(write_polygons(found, tmp_path / "p.gpkg"), layer="p")
    assert metres.crs == found.crs
    assert metres.area_m2.tolist() == found.area_m2.tolist()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["P.GEOJSON"]


def test_bad_input_is_one_line(tmp_path):
    good = written(tmp_path / "p.tif", two_landslides())
    for threshold in (-0.1, 1.5, np.nan):
        with pytest.raises(ValueError, match=r"threshold .*: has to be from 0 to 1"):
            polygons(good, threshold)
    for option in ({"minimum_area": -1}, {"simplify": np.nan}, {"minimum_area": np.inf}):
        with pytest.raises(ValueError, match="has to be 0 or more"):
            polygons(good, 0.5, **option)
    with pytest.raises(ValueError, match=r"p\.shp: polygons are written to \.gpkg or \.geojson"):
        write_polygons(polygons(good, 0.5), tmp_path / "p.shp")
    with pytest.raises(FileNotFoundError, match=r"none\.tif is not there"):
        polygons(tmp_path / "none.tif", 0.5)


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        (np.zeros((2, 4, 4), np.float32), {}, "has 2 bands"),
        (np.full((4, 4), 255, np.uint8), {"nodata": None}, "holds 255; probabilities are"),
        (np.full((4, 4), -0.5, np.float32), {}, "holds -0.5; probabilities are"),
        (np.zeros((4, 4), np.float32), {"crs": None}, "has no CRS"),
        (np.ones((4, 4), np.float32), {"crs": 'LOCAL_CS["a drawing",UNIT["metre",1]]'}, "no place on Earth"),
    ],
)
def test_what_is_no_map_of_probability_is_refused_by_name(tmp_path, values, options, words):
    path = written(tmp_path / "p.tif", values, **options)
    with pytest.raises(ValueError, match=rf"p\.tif: .*{words}"):
        polygons(path, 0.5)


def test_a_damaged_map_is_refused_by_name(tmp_path):
    path = written(tmp_path / "p.tif", np.random.default_rng(0).random((300, 300), np.float32), compress="deflate")
    path.write_bytes(path.read_bytes()[:-100_000])
    with pytest.raises(ValueError, match=r"p\.tif: damaged or no raster"):
        polygons(path, 0.5)


def test_the_command_takes_the_threshold_of_the_network(tmp_path):
    path, out = written(tmp_path / "p.tif", two_landslides()), tmp_path / "out.gpkg"
    status, text = landslide("polygons", str(path), "-o", str(out))
    assert (status, "name one with --threshold" in text, out.exists()) == (2, True, False)
    with rasterio.open(path, "r+") as file:
        file.update_tags(THRESHOLD="0.8")
    status, text = landslide("polygons", str(path), "-o", str(out))
    assert (status, text) == (0, f"{out}: landslides: 1, area: 0.01 ha\n")
    assert geopandas.read_file(out).probability.tolist() == [1]
    options = ("--threshold", "0.5", "--minimum-area", "200", "--simplify", "1")
    assert landslide("polygons", str(path), "-o", str(out), *options)[0] == 0
    assert geopandas.read_file(out).probability.tolist() == [0.75]
    status, text = landslide("polygons", str(path), "-o", str(tmp_path / "out.shp"), "--threshold", "0.5")
    assert (status, len(text.splitlines())) == (2, 1)
