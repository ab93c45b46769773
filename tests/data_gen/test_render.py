"""Areas and centroids against geometry, pixels by probing points."""

import math
from dataclasses import replace

import pytest
import torch

from data_gen.dataset import labelled_set, leak_check, training_set
from data_gen.factors import FACTORS
from data_gen.render import Canvas, coverage, draw, render
from data_gen.scene_sets import training_scenes
from data_gen.scenes import Scenes, draw_scenes
from data_gen.world import World

SHAPES = tuple(FACTORS["shape"].words)
STYLES = tuple(FACTORS["style"].words)
NUMBERS = tuple(name for name, factor in FACTORS.items() if factor.channels)


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """What `draw` must give, written plainly."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def scene(
    shape: str, radius: float = 0.4, centre=(0.0, 0.0), degrees: float = 0.0, style: str = "filled"
) -> Scenes:
    return Scenes(
        combination=torch.tensor([0]),
        shape=torch.tensor([SHAPES.index(shape)]),
        color=torch.tensor([[0.9, 0.2, 0.1]]),
        size=torch.tensor([radius]),
        x=torch.tensor([centre[0]]),
        y=torch.tensor([centre[1]]),
        background=torch.tensor([[1.0, 0.95, 0.9]]),
        rotation=torch.tensor([degrees]),
        style=torch.tensor([STYLES.index(style)]),
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.21, -0.13)])
def test_every_shape_has_the_area_and_centroid_of_its_disc(shape, centre):
    size = 256
    mask = coverage(scene(shape, 0.4, centre), Canvas(size))[0]
    assert mask.sum() * (2 / size) ** 2 == pytest.approx(math.pi * 0.4**2, rel=0.01)
    axis = (torch.arange(size) + 0.5) * 2 / size - 1
    x, y = (mask.sum(0) * axis).sum() / mask.sum(), -(mask.sum(1) * axis).sum() / mask.sum()
    assert (x.item(), y.item()) == pytest.approx(centre, abs=0.005)


SIDE, TIP = math.tan(math.pi / 5), math.tan(2 * math.pi / 5)
GROWTH = {  # an offset by t px adds this · t² px² beyond t · perimeter
    "circle": math.pi,
    "triangle": 3 * math.sqrt(3),
    "square": 4,
    "pentagon": 5 * SIDE,
    "hexagon": 2 * math.sqrt(3),
    "star": 5 * SIDE + 5 * SIDE**2 * TIP,
    "ring": 0,
    "cross": 4,
}


@pytest.mark.parametrize("size, radius", [(8, 0.47), (16, 0.25), (16, 0.45), (32, 0.4)])
@pytest.mark.parametrize("shape", SHAPES)
def test_drawn_areas_are_those_of_the_disc_but_for_a_share_of_a_pixel(shape, size, radius):
    """On average over places within a pixel, taken on a grid of 16². The mean of the areas at
    distances −½ … ½ px is growth/12 px² more than the area; a star is drawn like a disc."""
    place = ((torch.arange(16) + 0.5) / 16 - 0.5) * 2 / size
    x, y = (axis.flatten() for axis in torch.meshgrid(place, place, indexing="ij"))
    one = scene(shape, radius, degrees=17.0)[torch.zeros(256, dtype=torch.int64)]
    drawn = coverage(replace(one, x=x, y=y), Canvas(size)).sum((1, 2)).mean().item()
    area = math.pi * (radius * size / 2) ** 2
    # the grid's error: cells of area 1/16² in which the ramp bends, along two lines that are no
    # longer than thrice a disc's edge, each off by the ramp's slope of 1 times half a cell's width
    error = 2 * 3 * 2 * math.pi * (radius * size / 2) * 16 / 16**2 / 32
    growth = GROWTH["circle" if shape == "star" else shape]
    assert drawn - area == pytest.approx(growth / 12, abs=error)
    assert abs(drawn - area - math.pi / 12) < 0.27 + error


def test_the_smallest_stars_are_drawn_like_discs_too():
    """Of a third of a pixel: what is drawn of a disc is then π (r + ½)³ / 3."""
    place = ((torch.arange(32) + 0.5) / 32 - 0.5) * 2 / 16
    x, y = (axis.flatten() for axis in torch.meshgrid(place, place, indexing="ij"))
    for r in (1 / 3, 0.6, 1.1):
        areas = []
        for shape in ("circle", "star"):
            one = scene(shape, r * 2 / 16)[torch.zeros(1024, dtype=torch.int64)]
            areas.append(coverage(replace(one, x=x, y=y), Canvas(16)).sum((1, 2)).mean().item())
        assert areas[1] == pytest.approx(areas[0], rel=0.02)


@pytest.mark.parametrize(
    "shape, inside, outside",
    [
        ("circle", (0.27, 0.27), (0.33, 0.33)),
        ("square", (0.33, 0.33), (0.38, 0.0)),
        ("triangle", (0.0, 0.55), (0.0, -0.4)),  # one corner up
        ("pentagon", (0.0, 0.43), (0.0, -0.39)),
        ("hexagon", (0.0, 0.42), (0.4, 0.0)),
        ("star", (0.0, 0.62), (0.0, -0.3)),
        ("ring", (0.0, 0.35), (0.0, 0.2)),
        ("cross", (0.0, 0.45), (0.3, 0.3)),
    ],
)
def test_points_inside_and_outside(shape, inside, outside):
    mask = coverage(scene(shape), Canvas(256))[0]
    pixel = [[int((1 - y) * 128), int((1 + x) * 128)] for x, y in (inside, outside)]
    assert [mask[row, column].item() for row, column in pixel] == [1, 0]


def test_turning_is_counter_clockwise():
    """The triangle's upper corner comes to the left, where a circle of 90° begins its way."""
    mask = coverage(scene("triangle", degrees=90.0), Canvas(256))[0]
    assert mask[128, 128 - 70] == 1 and mask[128, 128 + 70] == 0
    turned = coverage(scene("star", degrees=72.0), Canvas(64))
    assert torch.allclose(turned, coverage(scene("star"), Canvas(64)), atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_outlines_have_their_width_and_are_empty_inside(shape):
    canvas = Canvas(256, line_width=0.05)
    filled, line = (coverage(scene(shape, style=style), canvas)[0] for style in STYLES)
    assert (line <= filled + 1e-6).all()
    reach = 128 * 0.05
    run = int((line[:, 128] > 0.5).int().diff().eq(-1).nonzero()[0, 0])  # end of the upper line
    start = int((line[:, 128] > 0.5).nonzero()[0, 0])
    slant = {"triangle": 2.0, "pentagon": 1.24, "hexagon": 1.155, "star": 3.24}.get(shape, 1.0)
    assert run - start + 1 == pytest.approx(reach * slant, abs=2)
    assert line[128, 128] == 0 and (filled[128, 128] == 1) == (shape != "ring")


def test_the_isosceles_triangle_is_that_of_the_paper():
    """Base = height, 15.5 % more area than the disc, centroid .12 radii above the centre."""
    mask = coverage(scene("triangle", 0.4), Canvas(256, triangle="isosceles"))[0]
    assert mask.sum() * (2 / 256) ** 2 == pytest.approx(1.1547 * math.pi * 0.4**2, rel=0.01)
    axis = (torch.arange(256) + 0.5) * 2 / 256 - 1
    assert (-(mask.sum(1) * axis).sum() / mask.sum()).item() == pytest.approx(0.048, abs=0.004)
    height, width = ((mask.sum(i) > 0.5).sum() * 2 / 256 for i in (1, 0))
    base = math.sqrt(4 * math.pi / math.sqrt(3)) * 0.4
    assert (height.item(), width.item()) == pytest.approx((base, base), abs=0.03)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.5])
def test_blur_is_a_gaussian_with_reflected_edges(sigma):
    gaussian_filter = pytest.importorskip("scipy.ndimage").gaussian_filter
    sharp = coverage(scene("square", 0.5, (0.6, 0.4)), Canvas(32))[0]
    blurred = coverage(scene("square", 0.5, (0.6, 0.4)), Canvas(32, blur_px=sigma))[0]
    assert torch.allclose(
        blurred, torch.from_numpy(gaussian_filter(sharp.numpy(), sigma)), atol=1e-5
    )


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_images_are_differentiable_in_every_number(shape, number):
    """Forward mode against central differences, but for the few pixels at a kink."""
    one = scene(shape, 0.4, (0.03, 0.02), 10.0)
    one = replace(one, **{n: getattr(one, n).double() for n in NUMBERS})

    def image(z):
        return render(replace(one, **{number: z}), Canvas(32))

    z = getattr(one, number)
    _, derivative = torch.func.jvp(image, (z,), (torch.ones_like(z),))
    measured = (image(z + 1e-5) - image(z - 1e-5)) / 2e-5
    wrong = (derivative - measured).abs() > 1e-4 * measured.abs().max() + 1e-6
    assert wrong.float().mean() < 0.01
    assert measured.abs().max() > 1e-3 or (shape in ("circle", "ring") and number == "rotation")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_finite_where_the_centre_lies_on_a_pixels_centre(shape, style):
    """Reverse mode, of a weighted sum over the image; against central differences where no two
    edges are equally near, as they are on the axes of the others."""
    one = scene(shape, 0.43, style=style)
    weights = torch.rand(3, 17, 17, generator=torch.Generator().manual_seed(0)).double()

    def total(z, number):
        return (render(replace(one, **{number: z}), Canvas(17))[0] * weights).sum()

    for number in NUMBERS:
        z = getattr(one, number).double().requires_grad_()
        (gradient,) = torch.autograd.grad(total(z, number), z)
        assert gradient.isfinite().all()
        if number in ("x", "y", "size") and shape in ("circle", "ring"):
            measured = (total(z + 1e-6, number) - total(z - 1e-6, number)) / 2e-6
            assert gradient.item() == pytest.approx(measured.item(), rel=1e-3, abs=1e-3)


def test_edges_are_anti_aliased_and_colors_exact():
    image = render(scene("circle"), Canvas(64))[0]
    assert image[:, 32, 32].tolist() == pytest.approx([0.9, 0.2, 0.1])
    assert image[:, 0, 0].tolist() == pytest.approx([1.0, 0.95, 0.9])
    mask = coverage(scene("circle"), Canvas(64))
    assert ((mask > 0) & (mask < 1)).sum() > 40


def test_drawing_is_rendering_rounded_to_the_nearest(tiny_world: World):
    index = torch.arange(300)
    scenes = training_scenes(tiny_world).sample(0, "scene", index)
    drawn = draw(tiny_world, scenes, 0, "scene", index)
    assert torch.equal(drawn, to_uint8(render(scenes, Canvas(16))))


def test_scene_i_depends_on_seed_and_i_alone(tiny_world: World):
    whole = training_set(tiny_world).images
    order = torch.tensor([200, 3, 77])
    scenes = training_scenes(tiny_world).sample(0, "scene", order)
    assert torch.equal(to_uint8(render(scenes, Canvas(16))), whole[order])


def test_noise_belongs_to_the_image_and_has_its_size(tiny_config):
    noisy = World(replace(tiny_config, pixel_noise=0.05))
    data = training_set(noisy).images
    clean = training_set(World(tiny_config)).images
    inside = (clean > 60) & (clean < 195)  # where clipping does not reach
    difference = (data.int() - clean.int())[inside].float() / 255
    assert difference.std().item() == pytest.approx(0.05, rel=0.03)
    assert difference.mean().abs() < 0.003
    order = torch.tensor([200, 3, 77])
    scenes = training_scenes(noisy).sample(0, "scene", order)
    assert torch.equal(draw(noisy, scenes, 0, "scene", order), data[order])


def test_training_shows_every_value_and_no_held_out_combination(tiny_world: World):
    data = training_set(tiny_world)
    lines = leak_check(tiny_world, data).lines()
    assert "0 of 256 training images" in lines[0]
    assert len(torch.unique(data.combination)) == 7
    assert data.captions[int(data.caption[0])] == tiny_world.captioner.write(
        tiny_world.space.combinations[int(data.combination[0])]
    )


def test_a_planted_leak_is_caught_on_images_and_on_captions(tiny_world: World):
    data = training_set(tiny_world)
    held_out = tiny_world.space.index(tiny_world.split.held_out[0])
    planted = torch.where(torch.arange(len(data)) == 100, held_out, data.combination)
    with pytest.raises(ValueError, match="leak: training image 100 shows held-out 'square blue"):
        leak_check(tiny_world, replace(data, combination=planted))
    leaking = (*data.captions[:-1], tiny_world.captioner.write(tiny_world.split.held_out[0]))
    with pytest.raises(ValueError, match="leak: training caption 'a small blue square' names"):
        leak_check(tiny_world, replace(data, captions=leaking))


def test_class_means_are_signal_apart(tiny_world: World):
    """Red and blue differ by the signal in the red and the blue channel, sizes in the radius."""
    space, index = tiny_world.space, torch.arange(4000)
    scenes = draw_scenes(tiny_world, index % len(space), 5, "test", index)
    names = [space.combinations[c] for c in range(len(space))]
    red, small = (
        torch.tensor([word in names[c] for c in scenes.combination.tolist()])
        for word in ("red", "small")
    )
    gap = scenes.color[red].mean(0) - scenes.color[~red].mean(0)
    assert gap.tolist() == pytest.approx([0.7, 0, -0.7], abs=0.005)
    gap = scenes.size[~small].mean() - scenes.size[small].mean()
    assert gap.item() == pytest.approx(0.3, abs=0.005)


def test_labelled_sets_hold_every_combination_equally(tiny_world: World):
    data = labelled_set(tiny_world, 0, "test", 8, 80)
    assert data.combination.bincount().tolist() == [10] * 8
    again = labelled_set(tiny_world, 0, "test", 16, 8)
    assert torch.equal(data.images[8:16], again.images)


def test_shuffled_captions_keep_the_images_and_break_the_link(tiny_config):
    from data_gen.captions import CaptionConfig

    straight = training_set(World(tiny_config))
    shuffled = training_set(World(tiny_config, CaptionConfig(shuffled=True)))
    assert torch.equal(straight.images, shuffled.images)
    assert torch.equal(straight.caption.bincount(), shuffled.caption.bincount())
    assert (straight.caption == shuffled.caption).float().mean() < 0.3
