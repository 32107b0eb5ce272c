"""Cross-sensor normalization: apart in their statistics, one in what is learnt."""

from copy import deepcopy

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from landslide_lib.fields import REFINEMENT_ENCODERS
from landslide_lib.models import MODELS
from landslide_lib.models.cross_sensor import CrossSensorNorm, cross_sensor, of_domain
from landslide_lib.models.refinement import UpsampledInput

BANDS = 3
DOMAINS = ("source", "target")


def images(seed: int = 0) -> Tensor:
    return 2 * torch.randn(4, BANDS, 32, 32, generator=torch.Generator().manual_seed(seed)) + 1


def build(name: str = "resnet", seed: int = 0) -> nn.Module:
    """Build a network that has seen a batch, so that its statistics are not those of the start."""
    torch.manual_seed(seed)
    network = MODELS[name](in_channels=BANDS, size="tiny", image_size=32)
    with torch.no_grad():
        network.train()(images(seed=7))
    return network


def cross_sensor_norms(network: nn.Module) -> list[CrossSensorNorm]:
    return [module for module in network.modules() if isinstance(module, CrossSensorNorm)]


def statistics(network: nn.Module, domain: str) -> list[Tensor]:
    return [value.clone() for norm in cross_sensor_norms(network) for value in norm.norms[domain].buffers()]


def same(one: list[Tensor], other: list[Tensor]) -> list[bool]:
    return [torch.equal(a, b) for a, b in zip(one, other, strict=True)]


def train(network: nn.Module, domain: str, seed: int = 0) -> Tensor:
    network.train()
    with of_domain(network, domain):
        loss = network(images(seed)).square().mean()
    loss.backward()
    return loss


@pytest.fixture(params=["resnet", "efficientnetv2", "swin"])
def name(request) -> str:
    """With batch norms of torch, with those of timm that have an activation, and with few."""
    return request.param


@pytest.mark.parametrize("name", REFINEMENT_ENCODERS)
@pytest.mark.parametrize("domain", DOMAINS)
def test_with_the_same_statistics_it_is_exactly_the_network(name, domain):
    plain = build(name).train(domain == "source")
    converted = cross_sensor(deepcopy(plain))
    with of_domain(converted, domain):
        ours = converted(images())
    theirs = plain(images())
    assert torch.equal(ours, theirs)
    ours.square().mean().backward()
    theirs.square().mean().backward()
    assert all(map(torch.equal, (p.grad for p in converted.parameters()), (p.grad for p in plain.parameters())))


@pytest.mark.parametrize("domain", DOMAINS)
def test_in_half_precision_it_is_exactly_the_network(name, domain):
    plain = build(name)
    converted = cross_sensor(deepcopy(plain))
    with torch.autocast("cpu", torch.bfloat16), of_domain(converted, domain):
        ours, theirs = converted(images()), plain(images())
    assert torch.equal(ours, theirs)
    assert all(value.dtype in (torch.float32, torch.int64) for value in converted.buffers() if value.ndim < 2)
    ours.float().square().mean().backward()
    assert all(value.grad.isfinite().all() for value in converted.parameters())


@pytest.mark.parametrize("domain", DOMAINS)
def test_training_on_a_domain_leaves_the_statistics_of_the_other(name, domain):
    network = cross_sensor(build(name))
    (other,) = set(DOMAINS) - {domain}
    before = {each: statistics(network, each) for each in DOMAINS}
    train(network, domain)
    assert all(same(before[other], statistics(network, other)))
    assert not any(same(before[domain], statistics(network, domain)))


def test_every_batch_norm_is_converted_and_no_parameter_is_new(name):
    network = build(name)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    before = {id(value) for value in network.parameters()}
    assert cross_sensor(network) is network
    assert len(cross_sensor_norms(network)) == norms > 0
    after = list(network.parameters())
    assert {id(value) for value in after} == before
    assert len(after) == len(before)
    for norm in cross_sensor_norms(network):
        assert norm.norms["source"].weight is norm.norms["target"].weight
        assert norm.norms["source"].bias is norm.norms["target"].bias


def test_weight_and_bias_learn_from_both_domains():
    network = cross_sensor(build())
    weight = cross_sensor_norms(network)[0].norms["source"].weight
    alone = []
    for seed, domain in enumerate(DOMAINS):
        network.zero_grad()
        train(network, domain, seed)
        alone.append(weight.grad.clone())
    network.zero_grad()
    for seed, domain in enumerate(DOMAINS):
        train(network, domain, seed)
    torch.testing.assert_close(weight.grad, sum(alone))


@pytest.mark.parametrize("move", [deepcopy, nn.Module.double, lambda n: n.to(memory_format=torch.channels_last)])
def test_weight_and_bias_stay_one_when_a_network_is_moved(move):
    network = move(cross_sensor(build()))
    for norm in cross_sensor_norms(network):
        assert norm.norms["source"].weight is norm.norms["target"].weight
        assert norm.norms["source"].running_mean is not norm.norms["target"].running_mean


def test_weights_are_kept_and_read_without_code(tmp_path):
    learnt = cross_sensor(build())
    optimizer = torch.optim.AdamW(learnt.parameters(), lr=0.1)
    for seed, domain in enumerate(DOMAINS):
        train(learnt, domain, seed)
    optimizer.step()
    torch.save(learnt.state_dict(), tmp_path / "weights.pt")

    read = cross_sensor(build(seed=1))
    read.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    for network in (learnt, read):
        network.eval()
    made = []
    for domain in DOMAINS:
        with of_domain(learnt, domain), of_domain(read, domain):
            made.append(read(images()))
            assert torch.equal(made[-1], learnt(images()))
    assert not torch.equal(*made)
    norm = cross_sensor_norms(read)[0]
    assert norm.norms["source"].weight is norm.norms["target"].weight


def test_each_domain_has_mean_zero_and_deviation_one_of_its_own():
    """The target is the source in other units; without its own statistics it is another image."""
    norm = cross_sensor(nn.BatchNorm2d(BANDS, momentum=None))
    source, target = images(), 5 * images() - 30
    for domain, x in zip(DOMAINS, (source, target), strict=True):
        with of_domain(norm, domain):
            norm.train()(x)
            seen = norm.eval()(x)
        torch.testing.assert_close(seen.mean((0, 2, 3)), torch.zeros(BANDS), atol=1e-4, rtol=0)
        torch.testing.assert_close(seen.std((0, 2, 3)), torch.ones(BANDS), atol=1e-3, rtol=0)
    with of_domain(norm, "target"):
        torch.testing.assert_close(norm(target), norm.norms["source"](source), atol=1e-3, rtol=0)
        assert norm(source).mean() > 2


def test_an_activation_inside_a_norm_stays():
    plain = BatchNormAct2d(BANDS).train()
    converted = cross_sensor(deepcopy(plain))
    for domain in DOMAINS:
        with of_domain(converted, domain):
            assert torch.equal(converted(images()), plain(images()))
    assert converted(images()).min() == 0


def test_a_network_without_batch_norms_is_left_as_it_is():
    network = nn.Sequential(nn.Conv2d(BANDS, 4, 1), nn.GroupNorm(1, 4))
    modules = list(network.modules())
    assert list(cross_sensor(network).modules()) == modules
    assert cross_sensor_norms(network) == []
    with of_domain(network, "target"):
        target = network(images())
    assert torch.equal(network(images()), target)


def test_a_norm_without_weight_is_converted_too():
    norm = cross_sensor(nn.BatchNorm2d(BANDS, affine=False))
    assert not list(norm.parameters())
    train_on = {domain: images(seed) for seed, domain in enumerate(DOMAINS)}
    for domain, x in train_on.items():
        with of_domain(norm, domain):
            norm(x)
    assert not any(same(statistics(norm, "source")[:2], statistics(norm, "target")[:2]))


def test_the_domain_is_the_source_but_inside():
    network = cross_sensor(build())
    now = lambda: {norm.domain for norm in cross_sensor_norms(network)}  # noqa: E731
    assert now() == {"source"}
    with of_domain(network, "target"):
        assert now() == {"target"}
    assert now() == {"source"}
    with pytest.raises(RuntimeError), of_domain(network, "target"):
        network(torch.zeros(1, BANDS + 1, 32, 32))
    assert now() == {"source"}


def test_an_enlarged_network_is_converted_all_the_same():
    plain = UpsampledInput(MODELS["resnet"](in_channels=BANDS, size="tiny", image_size=80), 2.5).eval()
    converted = cross_sensor(deepcopy(plain))
    with of_domain(converted, "target"):
        assert torch.equal(converted(images()), plain(images()))
