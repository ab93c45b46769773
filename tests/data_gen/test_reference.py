"""The renderer against Pillow: per shape, style, color, size and place, within a stated error."""

import pytest
import torch

from data_gen import reference
from data_gen.concepts import Concept
from data_gen.factors import FACTORS
from data_gen.render import Canvas, coverage, render
from data_gen.scene_sets import InTurn
from data_gen.world import Nuisance, World, WorldConfig

SHAPES = tuple(FACTORS["shape"].words)
# Mean error a pixel, in [0, 1]. Pillow draws on a grid of 16² points and fills edges it touches;
# the outlines of star and cross differ by design in inner corners, which Pillow's line rounds.
MEAN_ERROR = {"filled": 0.005, "outlined": 0.006}
INNER_CORNERS = {"star": 0.012, "cross": 0.012}


def world(shape: str, style: str, triangle: str = "equilateral") -> World:
    return World(
        WorldConfig(
            concepts={
                "shape": Concept((shape,)),
                "color": Concept(("red", "green", "blue"), 0.7),
                "size": Concept(("small", "large"), 0.4, 0.05),
                "x": Concept(("left", "right"), 0.6, 0.2),
            },
            image_size_px=32,
            triangle=triangle,
            nuisances={
                "rotation": Nuisance((-180.0, 180.0)),
                "y": Nuisance((-0.5, 0.5)),
                "style": Nuisance((), (style,)),
            },
        )
    )


@pytest.mark.parametrize("style", MEAN_ERROR)
@pytest.mark.parametrize("shape", SHAPES)
def test_both_renderers_draw_the_same(shape, style):
    """Of every color, size and side, each on its own."""
    drawn = world(shape, style)
    scenes, canvas = InTurn(drawn).sample(0, "test", torch.arange(48)), Canvas(32)
    error = (render(scenes, canvas) - reference.render(scenes, canvas, 16)).abs().mean((1, 2, 3))
    by_combination = error.view(-1, len(drawn.space)).mean(0)
    allowed = INNER_CORNERS.get(shape, 0) if style == "outlined" else 0
    assert by_combination.max() < max(MEAN_ERROR[style], allowed)
    assert (coverage(scenes, canvas).sum((1, 2)) > 5).all()


def test_the_isosceles_triangle_too():
    drawn = world("triangle", "filled", "isosceles")
    scenes, canvas = InTurn(drawn).sample(0, "test", torch.arange(24)), Canvas.of(drawn.config)
    error = (coverage(scenes, canvas) - reference.coverage(scenes, canvas, 16)).abs().mean((1, 2))
    assert error.max() < MEAN_ERROR["filled"]
    assert error.max() < (coverage(scenes, canvas) - coverage(scenes, Canvas(32))).abs().mean()


@pytest.mark.parametrize("shape", ["triangle", "star", "cross"])
def test_the_error_is_pillows_grid(shape):
    """It falls as the grid gets finer."""
    scenes, canvas = InTurn(world(shape, "filled")).sample(0, "t", torch.arange(24)), Canvas(32)
    exact = coverage(scenes, canvas)
    errors = [(exact - reference.coverage(scenes, canvas, s)).abs().mean() for s in (2, 4, 8)]
    assert errors[0] > 1.5 * errors[1] > 1.5 * 1.5 * errors[2]
