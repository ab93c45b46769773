"""Centres of bumps and stripes are read to sub-pixel, and nothing is read where nothing is."""

from dataclasses import replace

import pytest
import torch

from classifiers.bump_oracle import BumpOracle
from data_gen.bumps.config import BumpsConfig, HeldOut
from data_gen.bumps.world import draw, in_frame
from ground.endings import Mistake

NONE = HeldOut("none")
NULL = -30.0


def labels(size: int, count: int) -> torch.Tensor:
    """Centres anywhere in the frame, not only on a tiling."""
    return torch.rand(count, 2, generator=torch.Generator().manual_seed(0)) * size


def renders(config: BumpsConfig, centres: torch.Tensor) -> torch.Tensor:
    return draw(config, centres).permute(0, 2, 3, 1)


def errors(config: BumpsConfig, read: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """px, around the torus if there is one."""
    off = (read - true).abs()
    return torch.minimum(off, config.image_size_px - off) if config.periodic else off


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("image", ["bump", "stripes"])
@pytest.mark.parametrize("size, sigmas", [(16, (1.0, 1.0)), (32, (0.7, 3.0)), (32, (2.0, 6.0))])
def test_centres_are_read_to_a_twentieth_of_a_pixel(image, periodic, size, sigmas):
    x, y = sigmas
    config = BumpsConfig(
        **dict(image_size_px=size, image=image, sigma_x=x, sigma_y=y),
        **dict(periodic=periodic, held_out=NONE),
    )
    true = labels(size, 300)
    read = BumpOracle(config).read(renders(config, true))
    # worst where half of a wide stripe is outside, and 8 bits are all there is
    assert read.shown.all() and errors(config, read.centres, true).max() < 0.05
    assert read.residual.max() < 0.002


def test_x_is_to_the_right_and_y_down_and_a_torus_has_no_border():
    config = BumpsConfig(periodic=True, held_out=NONE)
    read = BumpOracle(config).read(renders(config, torch.tensor([[31.9, 4.25]])))
    assert read.centres[0].tolist() == pytest.approx([31.9, 4.25], abs=0.01)


@pytest.mark.parametrize("image", ["bump", "stripes"])
@pytest.mark.parametrize("polarity", ["bright", "dark"])
def test_a_null_coordinate_is_not_read(image, polarity):
    config = BumpsConfig(image=image, polarity=polarity, examples="both", held_out=NONE)
    true = labels(32, 200)
    true[:100, 0], true[50:150, 1] = NULL, NULL
    read, shown = BumpOracle(config).read(renders(config, true)), in_frame(config, true)
    assert torch.equal(read.shown, shown) and torch.equal(read.centres.isnan(), ~shown)
    assert (read.centres - true)[shown].abs().max() < 0.02
    assert torch.allclose(read.amplitude, shown.double(), atol=0.05)


def test_noise_costs_a_tenth_of_a_pixel_not_the_centre():
    config, true = BumpsConfig(periodic=True, held_out=NONE), labels(32, 300)
    noise = torch.randn(300, 32, 32, 1, generator=torch.Generator().manual_seed(1)) * 0.1 * 255
    noisy = (renders(config, true) + noise).clamp(0, 255).to(torch.uint8)
    read = BumpOracle(config).read(noisy)
    assert read.shown.all()
    assert errors(config, read.centres, true).quantile(0.95) < 0.25


def test_blanks_and_noise_have_no_centre():
    config = BumpsConfig(held_out=NONE)
    oracle = BumpOracle(config)
    limit = oracle.limit(0.01, seed=0, noise=0.05, count=300)
    noise = torch.randint(0, 256, (50, 32, 32, 1), generator=torch.Generator().manual_seed(1))
    two = torch.maximum(*renders(config, torch.tensor([[8.0, 8.0], [24.0, 24.0]])))
    blank = torch.zeros(1, 32, 32, 1, dtype=torch.uint8)
    read = oracle.read(torch.cat((blank, two[None], noise.to(torch.uint8))), limit)
    assert read.centres.isnan().all()
    assert oracle.read(renders(config, labels(32, 50)), limit).centres.isfinite().all()


def test_the_limit_refuses_renders_at_its_rate():
    oracle = BumpOracle(BumpsConfig(held_out=NONE))
    limit = oracle.limit(0.1, seed=0, noise=0.02, count=500)
    assert 0.04 < (oracle.read(_noisy(oracle), limit).centres.isnan().any(1)).double().mean() < 0.2


def _noisy(oracle: BumpOracle) -> torch.Tensor:
    images = oracle.renders(seed=7, count=500)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(4)) * 0.02 * 255
    return (images + noise).round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("polarity", ["bright", "dark"])
def test_it_is_unsure_of_bumps_that_the_world_does_not_have(periodic, polarity):
    config = BumpsConfig(periodic=periodic, polarity=polarity, held_out=NONE)
    oracle, true = BumpOracle(config), labels(32, 100)
    clean = renders(config, true)
    base = 0.0 if polarity == "bright" else 255.0
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1)) * 0.1 * 255
    planted = {
        "half as wide": renders(replace(config, sigma_x=0.5, sigma_y=0.5), true),
        "twice as wide": renders(replace(config, sigma_x=2.0, sigma_y=2.0), true),
        "paler": (base + 0.6 * (clean.float() - base)).round().to(torch.uint8),
        "faint": (base + 0.3 * (clean.float() - base)).round().to(torch.uint8),
    }
    for what, images in planted.items():
        read = oracle.read(images, 0.1)
        assert read.residual.median() < 0.1  # which alone says nothing
        assert max(read.allowed.double().mean(), read.centres.isfinite().double().mean()) < 0.05, (
            what
        )
    noisy = (clean + noise).round().clamp(0, 255).to(torch.uint8)
    assert oracle.read(clean).allowed.all() and oracle.read(noisy).allowed.double().mean() >= 0.97


def test_three_equal_channels_are_read_as_one_and_batches_change_nothing():
    config = BumpsConfig(held_out=NONE)
    oracle, images = BumpOracle(config), renders(BumpsConfig(held_out=NONE), labels(32, 30))
    whole = oracle.read(images).centres
    assert torch.allclose(whole, oracle.read(images.expand(-1, -1, -1, 3)).centres, atol=1e-6)
    parts = torch.cat([oracle.read(part).centres for part in images.split(7)])
    assert torch.allclose(whole, parts, atol=1e-6)


def test_other_images_are_refused():
    message = r"allowed torch.uint8 \(n, 32, 32, 1\) or \(n, 32, 32, 3\)"
    with pytest.raises(Mistake, match=message):
        BumpOracle(BumpsConfig()).read(torch.zeros(1, 16, 16, 1, dtype=torch.uint8))
