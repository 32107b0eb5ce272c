"""The benchmark of whole scenes compares like with like; no time is asserted here."""

import pytest

from benchmarks import scene

#: Stands for the peer: one pass over the whole scene.
PEER = """
import numpy as np, rasterio, torch

def predict_geotiff(model, source, target, *, tile_size, overlap, batch_size, preprocess_fn, device, verbose):
    with rasterio.open(source) as file:
        image, profile = file.read().astype(np.float32), file.profile
    with torch.no_grad():
        answer = model(torch.from_numpy(preprocess_fn(image))[None])[0].numpy()
    with rasterio.open(target, "w", **profile | {"count": 1}) as file:
        file.write(answer FAULT)
"""


def install(fault=""):
    def made(folder):
        (folder / "geoai").mkdir(parents=True)
        (folder / "geoai" / "__init__.py").touch()
        (folder / "geoai" / "inference.py").write_text(PEER.replace("FAULT", fault))

    return made


@pytest.mark.slow
def test_both_sides_give_the_same_and_more_memory_is_noticed():
    small = {"size": 512, "large": 1024, "width": 2, "shape": (384, 256), "repeats": 1}
    measured = scene.measure(1, **small, install=install())
    assert [one.name for one in measured] == ["scene", "scene/memory", "scene/large"]
    assert all(one.peer and 0.1 < one.ours < 1000 for one in measured)
    assert float(measured[0].note.split()[-1]) < 1e-5
    with pytest.raises(RuntimeError, match="the two results differ by"):
        scene.measure(1, **small, install=install("/ 2"))
