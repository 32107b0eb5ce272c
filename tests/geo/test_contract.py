"""The input contract: what a network reads of a scene, what of it is known, and the one line of a refusal."""

import json

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from landslide_lib.data.bands import L4S
from landslide_lib.data.simulator.scenes import UNITS, simulate_scene
from landslide_lib.geo.contract import ContractError, open_input
from landslide_lib.geo.simulated import Raster, break_scene, write_raster, write_scene
from landslide_lib.geo.source import Source

WHOLE = Window(0, 0, 128, 128)
LIGHT = slice(0, 12)


@pytest.fixture(scope="module")
def expected():
    """What a network for pixels of 20 m learnt to read of the scene: (14, 128, 128)."""
    image, _ = simulate_scene("humid_mountains", 100, 256)
    return image.transpose(2, 0, 1).reshape(14, 128, 2, 128, 2).mean((2, 4))


def read(path, bundle, window=WHOLE, **how):
    with open_input(path, bundle, **how) as found:
        return *found.read(window), found.repairs


def test_a_delivered_scene_reads_as_what_was_simulated(scene, simulated, expected):
    with open_input(scene, simulated) as found:
        assert (found.width, found.height) == (128, 128)
        assert (found.scene.width, found.scene.height, found.crs.to_epsg()) == (256, 256, 32645)
        assert found.transform.almost_equals(found.scene.transform * rasterio.Affine.scale(2))
        values, known = found.read(WHOLE)
    assert known.all()
    assert (values.dtype, values.shape) == (np.float32, (14, 128, 128))
    # A digital number is rounded: half of 1/10,000, in each band's unit.
    assert (np.abs(values - expected)[LIGHT].max((1, 2)) <= 0.5e-4 / UNITS[LIGHT] + 1e-5).all()
    np.testing.assert_allclose(values[12:], expected[12:], atol=1e-5)


@pytest.fixture(scope="module", params=["pixels of 10 m", "no slope", "grid in degrees"])
def opened(request, scene, simulated, tmp_path_factory):
    """A scene that has to be resampled, and 40 pixels more than the whole of it on each side."""
    path = tmp_path_factory.mktemp("opened") / "scene.tif"
    if request.param == "no slope":
        with rasterio.open(scene) as file:
            names, tags = [*file.descriptions[:12], "DEM"], tuple(file.tags().items())
            write_raster(path, Raster(file.read([*range(1, 13), 14]), tuple(names), tags))
    else:
        path = scene if request.param == "pixels of 10 m" else break_scene(scene, "grid in degrees", path)
    with open_input(path, simulated) as found:
        yield found, *found.read(Window(-40, -40, found.width + 80, found.height + 80))


@settings(max_examples=15, phases=[Phase.explicit, Phase.generate])
@given(st.integers(-40, 100), st.integers(-40, 100), st.integers(1, 60), st.integers(1, 60))
def test_a_window_is_a_part_of_the_whole_and_unknown_beyond(opened, left, top, width, height):
    found, around, known_around = opened
    values, known = found.read(Window(left, top, width, height))
    part = np.s_[top + 40 : top + 40 + height, left + 40 : left + 40 + width]
    np.testing.assert_array_equal(known, known_around[part])
    np.testing.assert_allclose(values, around[:, *part], rtol=0, atol=1e-5)
    known_around = known_around.copy()
    known_around[40:-40, 40:-40] = False
    assert not known_around.any()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["B01", "b2", "Green", "band 4", "B05 (705 nm)", "B6, central wavelength 740 nm", "rededge3", "nir", "B09"],
            None,
        ),
        (["coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir09"], None),
        ([""] * 9, "bands without names: taken in the network's order"),
    ],
)
def test_bands_are_found_by_the_names_that_people_give_them(edited, simulated, expected, names, said):
    rest = ["cirrus", "swir16", "SWIR2", "Slope [degrees]", "elevation"] if names[0] else [""] * 5
    values, _, repairs = read(edited(names=names + rest), simulated)
    np.testing.assert_allclose(values[[3, 7, 12, 13]], expected[[3, 7, 12, 13]], atol=2e-3)
    assert any(text.startswith(said) for text in repairs) if said else not any("band" in text for text in repairs)


def test_names_of_the_user_win(edited, simulated, expected):
    turned = edited(lambda bands: bands[::-1], names=L4S)
    values, _, _ = read(turned, simulated, bands=L4S[::-1])
    np.testing.assert_allclose(values[12:], expected[12:], atol=1e-5)
    with pytest.raises(ContractError, match="2 bands are named, and the file has 14"):
        open_input(turned, simulated, bands=["B1", "B2"])
    with pytest.raises(ContractError, match="bands 1 and 2 are both B2 by their names"):
        open_input(edited(names=["blue", "B02", *L4S[2:]]), simulated)


OFFSETS = {
    "baseline": {"tags": {"PROCESSING_BASELINE": "N0511"}},
    "of the product": {"tags": {"s2:processing_baseline": "02.08", "BOA_ADD_OFFSET": "-1000"}},
    "of the bands": {"tags": {}, "finish": lambda file: setattr(file, "offsets", [-0.1] * 12 + [0, 0])},
}


@pytest.mark.parametrize("kind", OFFSETS)
def test_the_offset_is_taken_off_where_the_metadata_say_so(edited, simulated, expected, kind):
    def finish(file):
        file.scales, file.offsets = [1e-4] * 12 + [1, 1], [-0.1] * 12 + [0, 0]

    how = OFFSETS[kind] | ({"finish": finish} if "finish" in OFFSETS[kind] else {})
    values, known, repairs = read(edited(**how), simulated)
    assert known.all()
    np.testing.assert_allclose(values[7], expected[7], atol=1e-3)
    assert sum("taken off" in text for text in repairs) == 1


def test_the_offset_is_left_where_it_was_taken_off_before(edited, simulated, expected):
    def harmonised(bands):
        return np.concatenate([bands[LIGHT] - 1000, bands[12:]])

    for tags in ({"PROCESSING_BASELINE": "03.01"}, {"PROCESSING_BASELINE": "04.00", "BOA_OFFSET_APPLIED": "True"}):
        values, _, repairs = read(edited(harmonised, tags=tags), simulated)
        np.testing.assert_allclose(values[7], expected[7], atol=1e-3)
        assert not any("taken off" in text for text in repairs)
    with pytest.raises(
        ContractError, match=r"band B\d+: reflectances below 0, .*its offset seems to be taken off already"
    ):
        open_input(edited(harmonised), simulated)
    with pytest.raises(ContractError, match=r"band B10: its median is 0.1.*BOA_ADD_OFFSET=-1000"):
        open_input(edited(tags={}), simulated)


def test_a_stac_item_beside_the_scene_is_heeded(edited, simulated, expected):
    path = edited(tags={})
    bands = {f"B{i:02}": {"raster:bands": [{"scale": 1e-4, "offset": -0.1}]} for i in range(1, 13)}
    item = {"stac_version": "1.0.0", "properties": {}, "assets": bands}
    path.with_suffix(".json").write_text(json.dumps(item), encoding="utf-8")
    np.testing.assert_allclose(read(path, simulated)[0][7], expected[7], atol=1e-3)
    off = edited(lambda bands: np.concatenate([bands[LIGHT] - 1000, bands[12:]]), tags={}, name="off.tif")
    for properties in ({"earthsearch:boa_offset_applied": True}, {"s2:processing_baseline": "03.01"}):
        item["properties"] = properties
        off.with_suffix(".json").write_text(json.dumps(item), encoding="utf-8")
        np.testing.assert_allclose(read(off, simulated)[0][7], expected[7], atol=1e-3)
    item["properties"] = {"s2:product_type": "S2MSI2A"}
    path.with_suffix(".json").write_text(json.dumps(item), encoding="utf-8")
    with pytest.raises(ContractError, match="of level L2A"):
        open_input(path, simulated)


def test_the_files_of_a_scene_are_itself_the_item_beside_it_and_the_sources_of_a_vrt(edited, simulated, tmp_path):
    scene = edited(name="a.tif")
    rasterio.shutil.copy(scene, tmp_path / "b.vrt", driver="VRT")
    (tmp_path / "b.json").write_text("{}", encoding="utf-8")
    with open_input(scene, simulated) as one, open_input(tmp_path / "b.vrt", simulated) as other:
        assert [path.name for path in one.files] == ["a.tif"]
        assert [path.name for path in other.files] == ["a.tif", "b.json", "b.vrt"]


def without(*names):
    kept = [place for place, name in enumerate(L4S) if name not in names]
    return {"change": lambda bands: bands[kept], "names": [L4S[place] for place in kept]}


def test_slope_is_computed_from_heights_where_there_is_none(edited, simulated, expected):
    values, known, repairs = read(edited(**without("slope")), simulated)
    assert known.all()  # the rim too, whose gradient has one neighbour
    np.testing.assert_allclose(values[12], expected[12], atol=1e-4)
    assert "no slope: computed from the heights of the band DEM" in repairs
    with pytest.raises(ContractError, match="2 of the 14 bands that the network needs are missing: slope, DEM"):
        open_input(edited(**without("slope", "DEM")), simulated)


@pytest.mark.parametrize("unit", ["radians", "per cent"])
def test_the_unit_of_a_slope_is_found_by_metadata_heights_or_range(edited, simulated, expected, unit):
    convert = {"radians": np.radians, "per cent": lambda slope: 100 * np.tan(np.radians(slope))}[unit]

    def change(bands):
        bands[12] = convert(bands[12])
        return bands

    def told(file):
        file.units = [""] * 12 + [{"radians": "rad", "per cent": "%"}[unit], "m"]

    for finish in (None, told):
        values, _, repairs = read(edited(change, finish=finish), simulated)
        np.testing.assert_allclose(values[12], expected[12], atol=1e-2)  # the mean of a tangent is none of its angle
        assert f"slope in {unit}: turned into degrees" in repairs


def test_a_slope_of_degrees_without_heights_to_mend_it_is_refused(edited, simulated):
    def change(bands):
        bands[12] = 89.9
        return bands

    with pytest.raises(ContractError, match=r"band DEM: from .* which are no metres"):
        open_input(edited(lambda bands: np.concatenate([bands[:13], bands[13:] * 100])), simulated)
    with pytest.raises(ContractError, match=r"band DEM: its heights give a slope of .* heights in metres are needed"):
        open_input(edited(lambda bands: np.concatenate([bands[:13], bands[13:] / 1000])), simulated)
    values, _, repairs = read(edited(change), simulated)
    assert np.median(values[12]) < 3
    assert any("a slope of 90 degrees" in text for text in repairs)


def test_heights_in_feet_are_metres_where_the_metadata_say_so(edited, simulated, expected):
    def feet(bands):
        bands[13] /= 0.3048
        return bands

    def told(file):
        file.units = [""] * 12 + ["degree", "ft"]

    values, _, repairs = read(edited(feet, finish=told), simulated)
    np.testing.assert_allclose(values[13], expected[13], atol=1e-4)
    assert any("heights in feet" in text for text in repairs)


@pytest.mark.parametrize(("name", "clear", "cloud"), [("SCL", 4, 9), ("cloud mask", 0, 1)])
def test_what_lies_under_a_cloud_is_unknown(edited, simulated, name, clear, cloud):
    mask = np.full((1, 256, 256), clear, np.float32)
    mask[:, :64, :128] = cloud
    values, known, _ = read(edited(lambda bands: np.concatenate([bands, mask]), names=[*L4S, name]), simulated)
    assert not known[:32, :64].any()
    assert known[32:].all()
    assert known[:, 64:].all()
    assert not values[:, :32, :64].any()


def test_a_clean_scene_is_not_refused_without_repair_and_another_is(edited, picture, photographs):
    assert read(picture(), photographs, Window(0, 0, 8, 8), repair=False)[2] == ()
    with pytest.raises(ContractError, match="nothing is to be put right: no coordinate system"):
        open_input(picture(crs=None, transform=None), photographs, repair=False)


def test_a_photograph_is_read_as_it_is(picture, photographs):
    bands = np.random.default_rng(1).integers(60, 160, (3, 48, 64))
    values, known, repairs = read(picture(bands), photographs, Window(0, 0, 64, 48))
    np.testing.assert_allclose(values, bands / 255, atol=1e-6)
    assert known.all()
    assert repairs == ()


def test_a_picture_without_a_place_is_taken_at_the_pixel_size_of_the_network(edited, picture, photographs, simulated):
    values, known, repairs = read(picture(crs=None, transform=None), photographs, Window(0, 0, 64, 48))
    assert values.shape == (3, 48, 64)
    assert known.all()
    assert repairs == ("no coordinate system: its pixels are taken for 1 m, the network's",)
    with pytest.raises(ContractError, match="no coordinate system, so that its pixel size is unknown"):
        open_input(edited(crs=None), simulated)


def test_sixteen_bits_for_eight(picture, photographs):
    bands = np.random.default_rng(2).integers(60, 160, (3, 48, 64))
    bands[:, 0, 0] = 255
    where = Window(0, 0, 64, 48)
    for dtype, factor, how in (("uint16", 257, {}), ("uint16", 4095 / 255, {"nbits": 12}), ("float32", 1 / 255, {})):
        values, _, repairs = read(picture(bands * factor, dtype=dtype, **how), photographs, where)
        np.testing.assert_allclose(values, bands / 255, atol=3e-4)
        assert len(repairs) == 1
    with pytest.raises(ContractError, match=r"values up to 2040, and the network learnt on photographs of 8 bits"):
        open_input(picture(bands * 8, dtype="uint16"), photographs)


def test_black_is_no_data_where_there_is_much_of_it_and_ground_where_there_is_little(picture, photographs):
    bands = np.random.default_rng(3).integers(60, 160, (3, 48, 64))
    bands[:, 5, 5] = 0
    assert read(picture(bands), photographs, Window(0, 0, 64, 48))[1].all()
    assert not read(picture(bands, nodata=0), photographs, Window(0, 0, 64, 48))[1][5, 5]
    bands[:, :20] = 0
    _, known, repairs = read(picture(bands), photographs, Window(0, 0, 64, 48))
    assert (~known).sum() == 20 * 64
    assert any("0 in every band" in text for text in repairs)
    with pytest.raises(ContractError, match="nothing of it is known"):
        open_input(picture(bands * 0, nodata=0), photographs)


def test_a_colour_of_which_one_band_is_0_is_known_though_0_is_no_data(picture, photographs):
    bands = np.random.default_rng(6).integers(60, 160, (3, 48, 64))
    bands[0, :15] = 0
    bands[:, 40:] = 0
    values, known, _ = read(picture(bands, nodata=0), photographs, Window(0, 0, 64, 48))
    assert known[:40].all()
    assert not known[40:].any()
    np.testing.assert_allclose(values[:, :40], bands[:, :40] / 255, atol=1e-6)


def test_a_transparent_pixel_is_unknown(picture, photographs):
    bands = np.random.default_rng(4).integers(60, 160, (4, 48, 64))
    bands[3] = 255
    bands[3, 10:20] = 0

    _, known, _ = read(picture(bands, alpha="YES"), photographs, Window(0, 0, 64, 48))
    assert (~known).sum() == 10 * 64


def test_pixels_much_finer_are_averaged_and_much_coarser_ones_refused(picture, photographs):
    bands = np.random.default_rng(5).integers(60, 160, (3, 96, 128))
    fine = picture(bands, transform=rasterio.Affine(0.125, 0, 500_000, 0, -0.125, 5_000_000))
    values, known, repairs = read(fine, photographs, Window(0, 0, 16, 12))
    np.testing.assert_allclose(values, bands.reshape(3, 12, 8, 16, 8).mean((2, 4)) / 255, atol=0.01)
    assert known.all()
    assert repairs == ("pixels of 0.125 x 0.125 m: averaged to the network's 1 m",)
    coarse = picture(bands, transform=rasterio.Affine(300, 0, 500_000, 0, -300, 5_000_000))
    with pytest.raises(ContractError, match=r"a pixel of it is 300 m of the ground, .* pixels of 1 m: .* at most 2 m"):
        open_input(coarse, photographs)


LOCAL = 'LOCAL_CS["site",UNIT["metre",1]]'
MARS = 'GEOGCS["Mars",DATUM["Mars",SPHEROID["Mars",3396190,169.9]],PRIMEM["0",0],UNIT["degree",0.0174532925199433]]'
NOWHERE = {
    "a transform without a way back": (None, (0.8, 0.8, 5e5, 0.8, 0.8, 3e6)),
    "pixels of no size": (None, (0, 0, 5e5, 0, 0, 3e6)),
    "pixels of NaN": (None, (np.nan, 0, 5e5, 0, np.nan, 3e6)),
    "coordinates far out": (None, (1, 0, 1e12, 0, -1, 1e12)),
    "latitude 100": ("EPSG:4326", (1e-5, 0, 10, 0, -1e-5, 100)),
    "a building site": (LOCAL, (1, 0, 0, 0, -1, 0)),
    "Mars": (MARS, (1e-5, 0, 10, 0, -1e-5, 10)),
    "three axes": ("EPSG:4978", (1, 0, 4e6, 0, -1, 4e6)),
}


@pytest.mark.parametrize("kind", NOWHERE)
def test_a_place_that_is_not_on_earth_is_one_line(picture, photographs, kind):
    crs, transform = NOWHERE[kind]
    path = picture(crs=crs or "EPSG:32632", transform=rasterio.Affine(*transform))
    with pytest.raises(ContractError, match=r"picture\.tif: .*(no place on Earth|pixel of it is)") as error:
        open_input(path, photographs)
    assert "\n" not in str(error.value)


def test_a_scene_in_degrees_across_the_180th_meridian_is_refused(picture, photographs):
    for west, beyond in ((179.9997, True), (-180, True), (179.99, False), (-179.99, False)):
        path = picture(crs="EPSG:4326", transform=rasterio.Affine(1e-5, 0, west, 0, -1e-5, -16))
        if beyond:
            with pytest.raises(ContractError, match=r"reaches 180 degrees .* gdalwarp -t_srs EPSG:327(01|60) IN OUT"):
                open_input(path, photographs)
        else:
            assert read(path, photographs, Window(0, 0, 60, 45))[1].mean() > 0.9


@pytest.mark.parametrize("turn", [(1, 0, 0, 1), (0.8, 0.6, 0.6, -0.8)])
def test_a_scene_that_lies_otherwise_than_north_up_is_said_to_be_resampled(picture, photographs, turn):
    path = picture(transform=rasterio.Affine(*turn[:2], 5e5, *turn[2:], 5e6))
    with open_input(path, photographs) as found:
        assert found.repairs == (
            "rows that do not run from north to south and from west to east: resampled so that north is up",
        )


def test_metres_of_a_web_map_are_none_of_the_ground(picture, photographs):
    # At 60 degrees north the Mercator projection of web maps shows everything twice as large.
    there = rasterio.Affine(2, 0, 1_000_000, 0, -2, 8_399_738)
    with open_input(picture(crs="EPSG:3857", transform=there), photographs) as found:
        assert found.crs.to_epsg() == 32632
        assert abs(found.width - 64) <= 3
        assert any("whose unit is no metre of the ground: warped to EPSG:32632" in text for text in found.repairs)


def test_what_is_no_raster_or_is_cut_off_is_one_line(tmp_path, scene, simulated):
    with pytest.raises(FileNotFoundError, match=r"absent\.tif: is not there"):
        open_input(tmp_path / "absent.tif", simulated)
    (tmp_path / "text.tif").write_text("no raster", encoding="utf-8")
    with pytest.raises(ContractError, match=r"text\.tif: no raster that GDAL reads") as error:
        open_input(tmp_path / "text.tif", simulated)
    assert "\n" not in str(error.value)
    whole = scene.read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ContractError, match=r"cut\.tif: (damaged or cut off|no raster that GDAL reads)"):
        open_input(tmp_path / "cut.tif", simulated)


def test_opening_a_large_scene_reads_little_of_it(picture, photographs, monkeypatch):
    read_, pixels = Source.read, []
    monkeypatch.setattr(
        Source, "read", lambda self, *how: pixels.append(how[1].width * how[1].height) or read_(self, *how)
    )
    bands = np.full((3, 4000, 4000), 100, np.uint8)
    open_input(picture(bands, tiled=True, compress="deflate"), photographs).close()
    assert sum(pixels) <= 0.07 * 4000 * 4000


def test_the_published_network_reads_the_haziest_scene_that_the_demo_draws(tmp_path, simulated):
    scene = write_scene(tmp_path / "scene.tif", "humid_mountains", 46)  # of those with a seed below 100
    with open_input(scene, simulated) as grid:
        assert (grid.width, grid.height) == (256, 256)
