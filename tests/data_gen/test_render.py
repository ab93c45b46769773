"""Areas and centroids against geometry, pixels by probing points."""

import math
from dataclasses import replace

import pytest
import torch

from data_gen.concepts import SHAPES
from data_gen.dataset import labelled_set, leak_check, training_set
from data_gen.render import coverage, render, to_uint8
from data_gen.scenes import Scenes, draw_scenes, training_scenes
from data_gen.world import World


def scene(shape: str, radius: float = 0.4, centre=(0.0, 0.0)) -> Scenes:
    return Scenes(
        combination=torch.tensor([0]),
        shape=torch.tensor([SHAPES.index(shape)]),
        color=torch.tensor([[0.9, 0.2, 0.1]]),
        radius=torch.tensor([radius]),
        centre=torch.tensor([centre]),
        background=torch.tensor([[1.0, 0.95, 0.9]]),
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.21, -0.13)])
def test_every_shape_has_the_area_and_centroid_of_its_disc(shape, centre):
    size = 256
    mask = coverage(scene(shape, 0.4, centre), size)[0]
    assert mask.sum() * (2 / size) ** 2 == pytest.approx(math.pi * 0.4**2, rel=0.01)
    axis = (torch.arange(size) + 0.5) * 2 / size - 1
    x, y = (mask.sum(0) * axis).sum() / mask.sum(), -(mask.sum(1) * axis).sum() / mask.sum()
    assert (x.item(), y.item()) == pytest.approx(centre, abs=0.005)


@pytest.mark.parametrize(
    "shape, inside, outside",
    [
        ("circle", (0.27, 0.27), (0.33, 0.33)),
        ("square", (0.33, 0.33), (0.38, 0.0)),
        ("triangle", (0.0, 0.55), (0.0, -0.4)),  # one corner up
    ],
)
def test_points_inside_and_outside(shape, inside, outside):
    mask = coverage(scene(shape), 256)[0]
    pixel = [[int((1 - y) * 128), int((1 + x) * 128)] for x, y in (inside, outside)]
    assert [mask[row, column].item() for row, column in pixel] == [1, 0]


def test_edges_are_anti_aliased_and_colors_exact():
    image = render(scene("circle"), 64)[0]
    assert image[:, 32, 32].tolist() == pytest.approx([0.9, 0.2, 0.1])
    assert image[:, 0, 0].tolist() == pytest.approx([1.0, 0.95, 0.9])
    mask = coverage(scene("circle"), 64)
    assert ((mask > 0) & (mask < 1)).sum() > 40


def test_uint8_rounds_to_nearest():
    values = torch.tensor([0.0, 0.4 / 255, 0.6 / 255, 1.0]).view(1, 1, 2, 2).expand(1, 3, 2, 2)
    assert to_uint8(values)[0, 0].flatten().tolist() == [0, 0, 1, 255]


def test_scene_i_depends_on_seed_and_i_alone(tiny_world: World):
    whole = training_set(tiny_world).images
    order = torch.tensor([200, 3, 77])
    scenes = training_scenes(tiny_world, order)
    assert torch.equal(to_uint8(render(scenes, 16)), whole[order])


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
    gap = scenes.radius[~small].mean() - scenes.radius[small].mean()
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
