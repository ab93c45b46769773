"""Pixels and gradients against closed forms, tilings against counts, splits against set algebra."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.bumps.config import BumpsConfig, HeldOut, check_bumps, frame_tiling, null_tiling
from data_gen.bumps.world import (
    EXAMPLES,
    SPLITS,
    BumpWorld,
    check_leaks,
    records,
    render,
    sensitivity,
)

NONE = HeldOut("none")
NULL = -4.0  # more than 3 sigma outside


def draw(config: BumpsConfig, x: float, y: float) -> torch.Tensor:
    return render(config, torch.tensor([[x, y]]))[0, 0]


def names(world: BumpWorld) -> dict[str, int]:
    """How many labels each split has."""
    counts = torch.bincount(world.split, minlength=len(SPLITS)).tolist()
    return {name: count for name, count in zip(SPLITS, counts, strict=True) if count}


# Images


def test_a_bump_is_the_gaussian_of_its_pixels_x_to_the_right_and_y_down():
    image = draw(BumpsConfig(sigma_x=1.5, sigma_y=3.0), 20.25, 7.5)
    assert image.shape == (32, 32) and image.dtype == torch.float32
    for row, column in [(7, 20), (9, 20), (7, 23), (12, 17)]:
        dx, dy = column + 0.5 - 20.25, row + 0.5 - 7.5
        expected = math.exp(-(dx**2) / (2 * 1.5**2) - dy**2 / (2 * 3.0**2))
        assert image[row, column].item() == pytest.approx(expected, rel=1e-5)
    assert draw(BumpsConfig(), 20.5, 7.5).argmax().item() == 7 * 32 + 20


def test_a_bump_inside_the_frame_has_the_mass_of_its_integral():
    image = draw(BumpsConfig(sigma_x=1.2, sigma_y=2.0), 15.3, 16.8)
    assert image.sum().item() == pytest.approx(2 * math.pi * 1.2 * 2.0, rel=1e-4)


def test_crossed_stripes_are_the_sum_of_the_single_stripes():
    config = BumpsConfig(image="stripes", sigma_x=1.3, examples="both")
    vertical, horizontal = draw(config, 10.5, NULL), draw(config, NULL, 20.5)
    assert torch.equal(draw(config, 10.5, 20.5), vertical + horizontal)
    assert torch.equal(vertical, vertical[:1].expand(32, 32))  # all rows alike: x is to the right
    assert torch.equal(horizontal, horizontal[:, :1].expand(32, 32))
    assert vertical[0, 10] == 0.5 and horizontal[20, 0] == 0.5
    assert vertical[0, 12].item() == pytest.approx(0.5 * math.exp(-(2**2) / (2 * 1.3**2)))


def test_a_bump_is_the_product_of_the_single_stripes():
    config = BumpsConfig(examples="both")
    vertical, horizontal = draw(config, 10.5, NULL), draw(config, NULL, 20.5)
    assert torch.equal(draw(config, 10.5, 20.5), vertical * horizontal)
    assert vertical[0, 10] == 1


@pytest.mark.parametrize("image", ["bump", "stripes"])
@pytest.mark.parametrize("null", [-0.01, -4.0, 32.01, 35.0])
def test_outside_the_frame_a_stripe_is_absent_exactly(image, null):
    config = BumpsConfig(image=image, sigma_x=2.0)
    assert not draw(config, null, null).any()
    assert torch.equal(draw(config, null, 16.0), draw(config, -6.0, 16.0))
    assert draw(config, 0.0, 0.0).any() and draw(config, 32.0, 32.0).any()  # the border is inside


@pytest.mark.parametrize("image", ["bump", "stripes"])
@pytest.mark.parametrize("periodic", [False, True])
def test_swapping_the_axes_transposes_the_image(image, periodic):
    config = BumpsConfig(image=image, sigma_x=1.0, sigma_y=2.5, periodic=periodic)
    swapped = replace(config, sigma_x=2.5, sigma_y=1.0)
    torch.testing.assert_close(draw(config, 3.2, 28.9).T, draw(swapped, 28.9, 3.2))


def test_dark_is_one_minus_bright():
    bright, dark = BumpsConfig(), BumpsConfig(polarity="dark")
    assert torch.equal(draw(dark, 9.5, 9.5), 1 - draw(bright, 9.5, 9.5))
    assert draw(dark, 9.5, 9.5).min() == 0 and (draw(dark, NULL, NULL) == 1).all()


def test_on_a_torus_images_wrap_and_moving_a_label_rolls_them():
    config = BumpsConfig(periodic=True, sigma_x=2.0, sigma_y=1.0)
    corner, middle = draw(config, 0.5, 31.5), draw(config, 16.5, 15.5)
    torch.testing.assert_close(corner, middle.roll((16, -16), (0, 1)))
    assert corner[31, 1].item() == pytest.approx(corner[31, 31].item())  # both at distance 1
    assert corner[31, 1].item() == pytest.approx(math.exp(-1 / 8))
    torch.testing.assert_close(draw(config, 32.5 + 32, -0.5), corner)  # labels wrap as well
    assert draw(replace(config, periodic=False), 0.5, 31.5)[31, 31] < 1e-6


@pytest.mark.parametrize("image", ["bump", "stripes"])
@pytest.mark.parametrize("polarity", ["bright", "dark"])
def test_gradients_in_the_centre_match_finite_differences(image, polarity):
    config = BumpsConfig(
        image=image, polarity=polarity, sigma_x=1.5, periodic=True, image_size_px=8
    )
    labels = torch.tensor([[3.2, 4.7], [0.3, 7.9]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda c: render(config, c), (labels,))


# Sensitivity


def test_the_sensitivity_of_bumps_is_its_integral_over_the_plane():
    """∫ (x/σ_x²)² exp(−x²/σ_x² − y²/σ_y²) = π σ_y / (2 σ_x); on a torus no bump is cut."""
    for sigma_x, sigma_y in [(1.0, 1.0), (1.5, 3.0)]:
        config = BumpsConfig(sigma_x=sigma_x, sigma_y=sigma_y, periodic=True, dx=2.3, dy=3.1)
        got = sensitivity(BumpWorld(config))
        assert got["x"] == pytest.approx(math.sqrt(math.pi * sigma_y / (2 * sigma_x)), rel=0.01)
        assert got["y"] == pytest.approx(math.sqrt(math.pi * sigma_x / (2 * sigma_y)), rel=0.01)


def test_the_sensitivity_of_stripes_grows_with_the_frame_and_forgets_the_other_axis():
    """Per row ∫ (x/σ²)² exp(−x²/σ²) / 4 = √π / (8 σ), and there are N rows."""
    config = BumpsConfig(image="stripes", sigma_x=2.0, sigma_y=1.5, periodic=True, held_out=NONE)
    got = sensitivity(BumpWorld(config))
    for axis, sigma in (("x", 2.0), ("y", 1.5)):
        expected = math.sqrt(32 * math.sqrt(math.pi) / (8 * sigma))
        assert got[axis] == pytest.approx(expected, rel=1e-4)


def test_null_coordinates_do_not_dilute_the_sensitivity():
    config = BumpsConfig(image="stripes", held_out=NONE)
    alone, both = (sensitivity(BumpWorld(replace(config, examples=e))) for e in ("2d", "both"))
    assert both == pytest.approx(alone, rel=1e-5)


# Tilings


@pytest.mark.parametrize("increment, count", [(1.0, 32), (0.5, 64), (0.1, 320), (3.0, 11)])
def test_a_tiling_covers_the_frame_half_open(increment, count):
    axis = frame_tiling(BumpsConfig(), increment)
    assert len(axis) == count and axis[0] == 0
    assert axis[-1] < 32 <= axis[-1] + increment + 1e-9


def test_null_labels_lie_three_sigma_or_more_outside_and_within_the_margin():
    config = BumpsConfig()
    assert null_tiling(config, 1.0, 1.0) == [-6, -5, -4, -3, 35, 36, 37]
    assert null_tiling(config, 1.0, 2.0) == [-6]
    assert null_tiling(config, 0.1, 1.9)[:3] == pytest.approx([-6.0, -5.9, -5.8])


def test_labels_and_examples_are_those_of_the_extended_tiling():
    world = BumpWorld(BumpsConfig(examples="both", held_out=NONE))
    assert len(world) == (32 + 7) ** 2 and world.labels.dtype == torch.float32
    assert torch.bincount(world.example).tolist() == [32 * 32, 32 * 7, 7 * 32, 7 * 7]
    assert len(BumpWorld(BumpsConfig(dx=2.0, held_out=NONE))) == 16 * 32
    x, y = world.labels[world.example == EXAMPLES.index("1d_x")].unbind(1)
    assert (0 <= x).all() and (x < 32).all() and ((y < -2) | (y > 34)).all()


# Splits


def test_bands_leave_two_bands_and_their_intersection():
    assert names(BumpWorld(BumpsConfig())) == {
        "train": 25 * 25,
        "x_band": 7 * 25,
        "y_band": 25 * 7,
        "intersection": 7 * 7,
    }
    world = BumpWorld(BumpsConfig())
    x, y = world.labels[world.select("x_band")].unbind(1)
    assert set(x.tolist()) == set(range(13, 20)) and not set(y.tolist()) & set(range(13, 20))


def test_stripes_cover_the_full_range_beside_the_bands():
    world = BumpWorld(BumpsConfig(examples="both"))
    assert names(world)["train"] == 25 * 25 + 2 * 32 * 7 + 7 * 7
    assert names(world)["intersection"] == 7 * 7


def test_interior_and_exterior_squares_are_complements():
    square = {"low": 10.0, "high": 21.0}
    interior = BumpWorld(BumpsConfig(held_out=HeldOut("interior", **square)))
    exterior = BumpWorld(BumpsConfig(held_out=HeldOut("exterior", **square)))
    assert names(interior) == {"train": 1024 - 144, "interior": 144}
    assert torch.equal(interior.select("interior"), exterior.select("train"))
    assert torch.equal(interior.select("train"), exterior.select("exterior"))
    stripes = BumpWorld(BumpsConfig(examples="both", held_out=HeldOut("exterior", **square)))
    assert names(stripes) == {"train": 144 + 2 * 32 * 7 + 49, "exterior": 1024 - 144}


def test_a_lesion_hides_its_values_in_stripes_too():
    config = BumpsConfig(examples="both", held_out=HeldOut("lesion", 15.0, 16.0))
    world = BumpWorld(config)
    assert names(world)["lesion"] == (1024 - 30 * 30) + 2 * 2 * 7
    train = world.labels[world.select("train")]
    assert not ((train >= 15) & (train <= 16)).any()
    wider = BumpWorld(replace(config, held_out=HeldOut("lesion", 12.0, 19.0)))
    assert set(world.select("lesion").tolist()) < set(wider.select("lesion").tolist())


def test_stripes_train_without_or_with_a_rim_of_bumps():
    alone = BumpWorld(BumpsConfig(examples="1d", held_out=NONE))
    assert names(alone) == {"train": 2 * 32 * 7 + 49, "not_kept": 1024}
    assert not (alone.example[alone.select("train")] == EXAMPLES.index("2d")).any()
    rim = BumpWorld(BumpsConfig(examples="both", held_out=HeldOut("interior", 2.0, 30.0)))
    train = rim.labels[rim.select("train")][rim.example[rim.select("train")] == 0]
    assert len(train) == 1024 - 29 * 29
    assert torch.minimum(train, 32 - train).min(1).values.max() < 2


def test_lambda_keeps_exactly_its_share_and_a_smaller_one_a_subset():
    kept = {}
    for share in (0.1, 0.37, 1.0):
        world = BumpWorld(BumpsConfig(kept=share, examples="both"))
        bumps = world.example[world.select("train")] == EXAMPLES.index("2d")
        assert int(bumps.sum()) == round(share * 625)
        assert int((~bumps).sum()) == 2 * 32 * 7 + 49  # stripes are never thinned
        assert names(world).get("not_kept", 0) == 625 - round(share * 625)
        kept[share] = set(world.select("train")[bumps].tolist())
    assert kept[0.1] < kept[0.37] < kept[1.0]


def test_the_kept_centres_depend_on_the_seed_alone():
    first, again, other = (BumpWorld(BumpsConfig(seed=s, kept=0.5)) for s in (0, 0, 1))
    assert torch.equal(first.split, again.split)
    assert not torch.equal(first.split, other.split)
    with_stripes = BumpWorld(BumpsConfig(kept=0.5, examples="both"))
    bumps = with_stripes.example == EXAMPLES.index("2d")
    assert torch.equal(with_stripes.split[bumps], first.split)


def test_draws_are_uniform_over_their_split_and_pure_functions_of_their_index():
    world = BumpWorld(BumpsConfig())
    draws = world.sample("intersection", 3, "test", torch.arange(4900))
    assert set(draws.tolist()) == set(world.select("intersection").tolist())
    assert torch.bincount(draws).max() < 150  # 100 each: 5 standard deviations
    later = torch.tensor([4000, 7])
    assert torch.equal(world.sample("intersection", 3, "test", later), draws[later])


def test_the_region_contains_labels_between_those_of_the_tiling():
    world = BumpWorld(BumpsConfig(examples="both"))
    labels = [(13.0, 2.5), (19.0, 2.5), (12.99, 2.5), (19.01, 2.5), (2.5, 15.1), (NULL, 15.1)]
    expected = [True, True, False, False, True, False]
    assert world.contains(torch.tensor(labels)).tolist() == expected
    torus = BumpWorld(BumpsConfig(periodic=True))
    assert torus.contains(torch.tensor([(15.0 - 32, 0.0), (-4.0, 0.0)])).tolist() == [True, False]


def test_a_planted_leak_is_caught():
    world = BumpWorld(BumpsConfig(examples="both"))
    train = world.labels[world.select("train")]
    assert check_leaks(world, train).lines() == [
        "leak check: 0 of 1122 training labels lie in the held-out region (bands 13 to 19)",
        "training labels per example: 2d 625, 1d_x 224, 1d_y 224, blank 49",
    ]
    train[100] = torch.tensor([3.0, 13.5])
    with pytest.raises(ValueError, match=r"label 100 \(x 3, y 13.5\) .* region 'y_band'"):
        check_leaks(world, train)


# Records


def test_records_hold_what_the_images_show():
    world = BumpWorld(BumpsConfig(examples="both", image="stripes"))
    wanted = torch.tensor([(20.0, 7.0), (20.0, -3.0), (36.0, 7.0), (-3.0, -3.0), (13.0, 7.0)])
    index = torch.tensor([int((world.labels == label).all(1).nonzero()) for label in wanted])
    images, columns = records(world, index)
    assert images.shape == (5, 1, 32, 32) and images.dtype == torch.uint8
    assert columns == {
        "x": [20.0, 20.0, None, None, 13.0],
        "y": [7.0, None, 7.0, None, 7.0],
        "example": ["2d", "1d_x", "1d_y", "blank", "2d"],
        "split": ["train", "train", "train", "train", "x_band"],
    }
    peak = round(255 * 0.5 * math.exp(-1 / 8))  # the nearest pixels are half a pixel away
    assert images[:, 0, 7, 0].tolist() == [peak, 0, peak, 0, peak]
    assert images[:, 0, 0, 20].tolist() == [peak, peak, 0, 0, 0]


# Properties and mistakes


@st.composite
def configs(draw) -> BumpsConfig:
    size = draw(st.integers(8, 20))
    low, high = sorted(draw(st.tuples(*[st.floats(0, size)] * 2)))
    region = draw(st.sampled_from(["none", "bands", "interior", "exterior", "lesion"]))
    periodic = draw(st.booleans())
    return BumpsConfig(
        seed=draw(st.integers(0, 2**64 - 1)),
        image_size_px=size,
        image=draw(st.sampled_from(["bump", "stripes"])),
        sigma_x=draw(st.floats(0.05, 1.75)),
        sigma_y=draw(st.floats(0.05, 1.75)),
        dx=draw(st.floats(0.5, 4)),
        dy=draw(st.floats(0.5, 4)),
        kept=draw(st.floats(0.01, 1)),
        polarity=draw(st.sampled_from(["bright", "dark"])),
        periodic=periodic,
        examples="2d" if periodic else draw(st.sampled_from(["2d", "both"])),
        margin=8.0,  # all that 8 px allow: 3 sigma outside, and up to the next label
        held_out=HeldOut(region, low, high),
    )


@given(configs())
@settings(max_examples=60, deadline=None)
def test_no_config_gives_values_out_of_range_or_leaks(config):
    try:
        world = BumpWorld(config)
    except ValueError as mistake:
        assert "leaves no" in str(mistake) or "keeps none" in str(mistake)
        return
    train = world.labels[world.select("train")]
    assert not world.contains(train).any()
    check_leaks(world, train)
    held_out = (world.split != 0) & (world.split != SPLITS.index("not_kept"))
    assert torch.equal(world.contains(world.labels), held_out)
    images = render(config, world.labels[:: max(1, len(world) // 64)])
    assert images.isfinite().all() and images.min() >= 0 and images.max() <= 1


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"sigma_x": 0.0}, "world.sigma_x: got 0.0, allowed above 0, at most 32"),
        ({"sigma_y": -1.0}, "world.sigma_y: got -1.0, allowed above 0"),
        ({"sigma_x": math.nan}, "world.sigma_x: got nan"),
        ({"kept": 0.0}, "world.kept: got 0.0, allowed above 0, at most 1"),
        ({"kept": 1.5}, "world.kept: got 1.5"),
        ({"kept": 0.0001}, "world.kept: got 0.0001, which keeps none of 625 .* from 0.0016"),
        ({"kept": 0.5, "examples": "1d"}, "world.kept: got 0.5 with examples '1d', allowed 1"),
        ({"dx": 0.0}, "world.dx: got 0.0, allowed 0.03125 to 32"),
        ({"dy": 33.0}, "world.dy: got 33.0, allowed 0.03125 to 32"),
        ({"seed": -1}, "world.seed: got -1, allowed 0 to"),
        ({"image_size_px": 5}, "world.image_size_px: got 5, allowed 6 to 512"),
        ({"examples": "1d", "margin": 2.0}, r"world.margin: got 2.0, allowed from 3: .*sigma_x"),
        (
            {"examples": "both", "sigma_y": 2.0, "dy": 3.5},
            "world.margin: got 6.0, allowed from 7: .*3 sigma_y outside the frame",
        ),
        ({"examples": "1d", "periodic": True}, "world.examples: got '1d' with periodic true"),
        ({"image_size_px": 16}, "world.held_out: got low 13.0 and high 19.0, .*<= 16"),
        ({"held_out": HeldOut("interior", 9.0, 8.0)}, "world.held_out: got low 9.0 and high 8.0"),
        ({"held_out": HeldOut("bands", 0.0, 32.0)}, "world.held_out: .* leaves no 2d example"),
        (
            {"held_out": HeldOut("lesion", 0.0, 32.0), "examples": "1d"},
            "world.held_out: got lesion 0 to 32, which leaves no 1d_x example",
        ),
    ],
)
def test_mistakes_name_the_key_what_was_got_and_what_is_allowed(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        BumpWorld(replace(BumpsConfig(), **changes))
    assert "\n" not in str(caught.value)


def test_an_unknown_split_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"split: got 'x_bnd' \(did you mean 'x_band'\?\), allow"):
        BumpWorld(BumpsConfig()).select("x_bnd")
    with pytest.raises(ValueError, match="allowed in this world: train$"):
        BumpWorld(BumpsConfig(held_out=NONE)).select("intersection")


def test_a_margin_and_a_range_that_nobody_uses_are_not_checked():
    check_bumps(BumpsConfig(margin=0.0, image_size_px=16, held_out=NONE))
