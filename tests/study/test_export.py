"""A network as an ONNX file: it gives what the network gives, or nobody gets the file."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from copy import deepcopy

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landslide_lib.models.checkpoints import write_checkpoint
from landslide_lib.study import domains, edge, reports
from landslide_lib.study.recipe import non_default_fields, recipe
from landslide_lib.study.records import Store
from landslide_lib.study.tasks.segmentation import data_of
from tools import export

TABLE = reports.table("raunet/small-models")
SHAPE = {"bands": 3, "size": 32}
TINY = {"image_size": 32, "width": 4}


def tiny(**change):
    return recipe({"dataset": "bijie", "head": "multi_resolution", **TINY}, change)


class Net(nn.Module):
    """Half a second to export, where a real one takes ten."""

    def __init__(self):
        super().__init__()
        self.mask = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, x):
        return {"double": F.interpolate(self.mask(x), scale_factor=2), "mask": self.mask(x)}


class Fickle(nn.Module):
    """Which cannot be exported."""

    def forward(self, x):
        return x[:, :1] if float(x.sum()) > 0 else -x[:, :1]


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The bytes of the file of `net`."""
    torch.manual_seed(0)
    return edge.to_onnx(Net(), tmp_path_factory.mktemp("net") / "net.onnx", **SHAPE).read_bytes()


@pytest.fixture
def path(made, tmp_path):
    """A file of `net` alone in its folder."""
    (tmp_path / "net.onnx").write_bytes(made)
    return tmp_path / "net.onnx"


ROWS = [pytest.param(row, id=row.id, marks=pytest.mark.slow) for row in TABLE.runnable()]
ROWS[0] = pytest.param(TABLE.runnable()[0])  # the others take minutes


@pytest.mark.parametrize("row", ROWS)
def test_every_small_model_gives_the_same_in_onnxruntime_for_any_batch(row, tmp_path):
    wanted = tiny(**row.change)
    network, record = export.network_of(wanted, 0, Store())
    assert record is None
    path = edge.to_onnx(network, tmp_path / "one.onnx", **SHAPE)
    # Computed without the module's own helpers, with a batch size that it does not look at.
    coarse = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    images = 1 + F.interpolate(coarse, size=32)
    with torch.no_grad():
        expected = torch.sigmoid(network(images)["mask"]).numpy()
    session = onnxruntime.InferenceSession(path)
    (found,) = session.run(None, {"image": images.numpy()})
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert session.get_inputs()[0].shape == ["batch", 3, 32, 32]
    assert expected.std() > 3 * export.TOLERANCE  # a constant would not pass
    assert export.check(network, path, **SHAPE) < export.TOLERANCE
    # Weights that are a little off are other weights.
    other = deepcopy(network)
    with torch.no_grad():
        other.mask.bias += 0.01
    with pytest.raises(ValueError, match=r"one\.onnx: onnxruntime and PyTorch differ by up to 0.00"):
        export.check(other, path, **SHAPE)


def test_the_file_holds_all_weights_and_no_path_of_this_machine(net, tmp_path):
    path = edge.to_onnx(net, tmp_path / "deep" / "net.onnx", **SHAPE)
    assert [one.name for one in path.parent.iterdir()] == ["net.onnx"]
    onnx.checker.check_model(path, full_check=True)
    assert b".py" not in path.read_bytes()


def test_an_export_leaves_the_network_as_it_was(net, tmp_path):
    net.train()
    before = deepcopy(net.state_dict())
    path = edge.to_onnx(net, tmp_path / "net.onnx", **SHAPE)
    export.check(net, path, **SHAPE)
    assert net.training
    assert all((before[name] == value).all() for name, value in net.state_dict().items())


def test_a_nan_does_not_pass(net, path):
    with torch.no_grad():
        net.mask.bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="differ by up to"):
        export.check(net, path, **SHAPE)


class Magnifying(Net):
    """Whose probabilities magnify what float32 rounds, as those of a deep network may."""

    def __init__(self, gain):
        super().__init__()
        self.gain = gain

    def forward(self, x):
        return {"mask": torch.sin(self.gain * self.mask(x))}


def test_a_network_may_differ_by_its_own_rounding_and_other_weights_by_no_more(tmp_path):
    torch.manual_seed(0)
    network = Magnifying(1e4)
    path = edge.to_onnx(network, tmp_path / "net.onnx", **SHAPE)
    assert export.TOLERANCE < export.check(network, path, **SHAPE) < 1e-3
    with torch.no_grad():
        network.mask.bias += 1e-4
    with pytest.raises(ValueError, match=r"differ by up to 0\.24, and 0\.00\d+ is allowed"):
        export.check(network, path, **SHAPE)


def test_a_network_that_gives_noise_is_refused_for_that(tmp_path):
    torch.manual_seed(0)
    network = Magnifying(1e6)
    path = edge.to_onnx(network, tmp_path / "net.onnx", **SHAPE)
    with pytest.raises(ValueError, match=r"float32 and float64 differ by up to 0\.\d+; train it"):
        export.check(network, path, **SHAPE)


def test_a_deep_network_without_training_magnifies_no_rounding():
    table = reports.table("raunet/backbones")
    wanted = tiny(**table.row("efficientnetv2").change)
    network, _ = export.network_of(wanted, 0, Store())
    images = export._images(np.random.default_rng(0), 3, 3, 32)
    exact = export._torch(network, torch.float64)(images)
    np.testing.assert_allclose(export._torch(network)(images), exact, atol=1e-5)
    assert exact.std() > 0.01


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("no space left on device")])
def test_an_export_that_is_stopped_leaves_the_old_file_and_no_half_one(net, error, path, monkeypatch):
    before = path.read_bytes()

    def half(self, scratch, **_):
        scratch.write_bytes(before[:50])
        raise error

    monkeypatch.setattr(torch.onnx.ONNXProgram, "save", half)
    with pytest.raises(type(error) if isinstance(error, OSError) else error):
        edge.to_onnx(net, path, **SHAPE)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_network_that_cannot_be_exported_is_named(tmp_path):
    with pytest.raises(ValueError, match="cannot export this Fickle"):
        edge.to_onnx(Fickle(), tmp_path / "net.onnx", **SHAPE)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def block(tmp_path_factory):
    """The file of a network with batch normalisation, and four images around 1."""
    torch.manual_seed(0)
    parts = [nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1)]
    network = nn.Sequential(*parts, nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 1, 1))
    path = edge.to_onnx(network, tmp_path_factory.mktemp("block") / "net.onnx", **SHAPE)
    return path, 1 + torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)).numpy()


def answers(path, images):
    return onnxruntime.InferenceSession(path).run(None, {"image": images})[0]


def test_an_int8_file_is_smaller_and_gives_nearly_the_same(block):
    path, images = block
    before = path.read_bytes()
    int8 = edge.quantize(path, images)
    assert int8.name == "net.int8.onnx"
    assert path.read_bytes() == before
    assert sorted(one.name for one in path.parent.iterdir()) == ["net.int8.onnx", "net.onnx"]
    kinds = [node.op_type for node in onnx.load(int8).graph.node]
    assert "BatchNormalization" not in kinds
    assert {"QuantizeLinear", "DequantizeLinear"} <= {*kinds}
    assert int8.stat().st_size < 0.6 * path.stat().st_size  # of ten thousand weights; of millions it is a quarter
    np.testing.assert_allclose(answers(int8, images), answers(path, images), atol=0.02)


def test_the_ranges_of_an_int8_file_are_those_of_the_images_it_was_shown(block):
    path, images = block
    off = {}
    for name, shown in (("alike", images), ("a tenth", images / 10)):
        off[name] = np.abs(answers(edge.quantize(path, shown), images) - answers(path, images)).mean()
    assert off["a tenth"] > 5 * off["alike"]  # what is above a range is cut off


def test_the_f1_of_a_file_is_that_of_all_pixels_of_the_batches(block):
    path, images = block
    called = torch.from_numpy(answers(path, images)) > 0.5
    truth = called.clone()
    truth[:, :, :16] = False
    batches = [(torch.from_numpy(images[i : i + 2]), truth[i : i + 2].float()) for i in (0, 2)]
    hits = int((called & truth).sum())
    assert export.f1(path, batches) == pytest.approx(2 * hits / (int(called.sum()) + int(truth.sum())))


def test_latency_counts_every_repeat_and_puts_the_threads_back(net, path, monkeypatch):
    seen, before = [], torch.get_num_threads()
    net.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    monkeypatch.setattr(export, "REPEATS", 4)
    monkeypatch.setattr(export, "WARM_UP", 1)
    torch.set_num_threads(2)
    try:
        taken = export.latency(net, path, path, **SHAPE)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1] * 5
    assert set(taken) == {"onnxruntime", "int8", "torch"}
    assert all(0 < value < 1e4 for value in taken.values())


def test_weights_are_those_of_the_local_run_or_else_said_to_be_untrained(record, tmp_path):
    wanted = tiny(model="small_residual_unet")
    store = Store(tmp_path / "records", more=())
    fresh, name = export.network_of(wanted, 0, store)
    assert name is None
    again, _ = export.network_of(wanted, 0, store)
    other, _ = export.network_of(wanted, 1, store)
    weight = "mask.weight"
    assert (fresh.state_dict()[weight] == again.state_dict()[weight]).all()
    assert (fresh.state_dict()[weight] != other.state_dict()[weight]).any()

    kept = record(wanted.model_dump(mode="json"))
    store.add(kept)
    assert export.network_of(wanted, 0, store)[1] is None  # a record without weights
    content = {
        "recipe": non_default_fields(wanted),
        "seed": 0,
        "fingerprint": kept.fingerprint,
        "weights": other.state_dict(),
    }
    write_checkpoint(store.weights(kept), content)
    network, name = export.network_of(wanted, 0, store)
    assert name == kept.name
    assert (network.state_dict()[weight] == other.state_dict()[weight]).all()
    assert not network.training
    write_checkpoint(store.weights(kept), content | {"seed": 3})
    with pytest.raises(ValueError, match="the weights are of another seed"):
        export.network_of(wanted, 0, store)


def command(*words):
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        status = export.main([TABLE.name, "--dataset", "bijie", *words])
    return status, " ".join(said.getvalue().split())


@pytest.fixture
def quick(monkeypatch, net):
    """Networks of one layer in place of the real ones."""
    monkeypatch.setattr(export, "network_of", lambda *_: (net, None))
    monkeypatch.setattr(export, "REPEATS", 2)


def test_the_command_prints_a_line_a_row(quick):
    status, text = command("--profile", "smoke", "--row", "v-net", "--row", "deeplabv3")
    assert status == 0
    assert text.count("not trained") == text.count("int8 0.0 MB") == 2
    path = text.split(":")[0]
    assert "small_v_net" in path
    onnx.checker.check_model(path)


def test_a_file_that_fails_its_check_is_removed(quick, net, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TIMES", 0)
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    monkeypatch.setenv("LANDSLIDE_RUNS", str(tmp_path))
    with pytest.raises(ValueError, match="differ by up to"):
        export.measure(tiny(model="small_v_net"), 0, Store())
    assert not list((tmp_path / "onnx").iterdir())


def test_a_trained_network_is_quantized_by_validation_images_and_scored_on_test_images(
    quick, net, bijie, tmp_path, monkeypatch
):
    monkeypatch.setattr(export, "network_of", lambda *_: (net, "a record"))
    monkeypatch.setenv("LANDSLIDE_DATA", str(bijie))
    monkeypatch.setenv("LANDSLIDE_RUNS", str(tmp_path))
    wanted = tiny(model="small_v_net")
    facts = export.measure(wanted, 0, Store())
    data = data_of(wanted, domains.load(wanted))
    assert facts["int8"]["images"] == len(data.valid)
    path = tmp_path / "onnx" / facts["file"]
    assert facts["f1"] == export.f1(path, data.loader("test"))
    assert facts["int8"]["f1"] == export.f1(path.with_suffix(".int8.onnx"), data.loader("test"))


@pytest.mark.parametrize(
    ("words", "said"), [(["--row", "w-net"], "its rows: v-net"), (["--profile", "huge"], "smoke, quick, cpu, full")]
)
def test_a_slip_is_refused_before_anything_is_exported(words, said, monkeypatch):
    monkeypatch.setattr(export, "measure", None)
    status, text = command(*words)
    assert status == 2
    assert said in text


def test_what_was_measured_is_written_and_what_is_published_is_of_a_clean_tree(quick, tmp_path, monkeypatch):
    monkeypatch.setenv("LANDSLIDE_RUNS", str(tmp_path))
    assert command("--profile", "smoke", "--row", "v-net")[0] == 0
    (path,) = (tmp_path / "onnx").glob("*.json")
    assert path.name == "raunet-small-models-smoke.json"
    (row,) = json.loads(path.read_text())["rows"]
    assert (row["row"], row["trained"]) == ("v-net", False)
    for published in edge.FOLDER.glob("*.json"):
        facts = json.loads(published.read_text("utf-8"))
        assert facts["rows"][0].keys() == row.keys()
        assert not any(one["dirty"] for one in facts["rows"])
