"""Instruments and the memoriser work on another device, and say what they say on the CPU."""

import pytest
import torch

from classifiers.oracle import Oracle
from classifiers.probe import train_probe
from classifiers.probe_config import ProbeConfig
from diffusion.memoriser import Memoriser
from studies.worlds.shapes.images import labelled_batch
from tests.harness.elsewhere import device_elsewhere


@pytest.fixture
def images(tiny_world):
    return labelled_batch(tiny_world, 0, "test", 0, 12)[0]


def test_devices_do_not_mix():
    with device_elsewhere() as there:
        ones = torch.ones(3, device=there)
        assert ones.device == there and (2 * ones).sum().item() == 6
        with pytest.raises(AssertionError, match="mixes devices"):
            ones + torch.ones(3)
        assert ones.cpu().tolist() == [1, 1, 1] and ones.cpu().device.type == "cpu"


def test_the_probe(tiny_world, images):
    config, heads = ProbeConfig(steps=3, batch_size=8, width=8), dict(tiny_world.space.items())

    def draw(step):
        return labelled_batch(tiny_world, 0, "train", step * 8, 8)

    here = train_probe(heads, config, draw)
    with device_elsewhere() as there:
        probe = train_probe(heads, config, draw, device=there)
        weights = probe.state_dict()
        assert all(torch.equal(weights[name], w) for name, w in here.state_dict().items())
        seen = probe.to(there).read(images)
    known = here.read(images)
    for name, probabilities in known.probabilities.items():
        assert torch.equal(seen.probabilities[name], probabilities)
    assert torch.equal(seen.unsure, known.unsure)


def test_the_oracle(tiny_world, images):
    images = images.permute(0, 2, 3, 1).contiguous()
    images[0] = torch.arange(768).view(16, 16, 3) % 251  # no scene: searched for twice
    known = Oracle(tiny_world.config).read(images, limit=0.1)
    with device_elsewhere() as there:
        seen = Oracle(tiny_world.config, there).read(images, limit=0.1)
    assert torch.equal(seen.indices, known.indices) and torch.equal(seen.allowed, known.allowed)
    assert torch.equal(seen.residual, known.residual)
    assert all(torch.equal(seen.places[name], place) for name, place in known.places.items())


def test_the_memoriser(tiny_world, images):
    values = torch.randint(0, 2, (12, 3))
    alphas = torch.linspace(0.99, 0.01, 10)
    x_t, t = torch.randn(4, 3, 16, 16), torch.tensor([0, 3, 5, 9])
    known = Memoriser(images, values, alphas).denoise(x_t, t, values[:4])
    with device_elsewhere() as there:
        memoriser = Memoriser(images.to(there), values, alphas)
        seen = memoriser.denoise(x_t.to(there), t.to(there), values[:4])
        assert seen.device == there and torch.equal(seen.cpu(), known)
