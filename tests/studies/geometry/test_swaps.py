"""Swaps in networks that draw bumps from a code that is known: a Clifford torus, a 3-D torus."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from data_gen.bumps.config import BumpsConfig, HeldOut
from data_gen.bumps.world import render
from data_gen.captions import CaptionConfig
from diffusion.conditioning import Condition
from diffusion.model import Denoiser
from diffusion.objective_config import ObjectiveConfig
from diffusion.objectives import build_objective
from diffusion.prompts import CoordinatePrompts
from studies.geometry.measured import geometry_rows
from studies.geometry.readings import ReadingSettings, read_snapshot
from studies.geometry.steers import Steers
from studies.geometry.swaps import Swaps, answer
from studies.worlds.bumps.kind import Bumps

SIZE = 16
CONFIG = BumpsConfig(
    image_size_px=SIZE,
    dx=1.0,
    dy=1.0,
    periodic=True,
    held_out=HeldOut("none"),
    sigma_x=1.5,
    sigma_y=1.5,
)


class Clifford(nn.Module):
    def forward(self, centres):
        angle = centres * (2 * np.pi / SIZE)
        return Condition(torch.cat((angle.cos(), angle.sin()), dim=1))

    def angles(self, h):
        return torch.atan2(h[:, 2:], h[:, :2])


class Solid(nn.Module):
    def forward(self, centres):
        x, y = (centres * (2 * np.pi / SIZE)).unbind(1)
        reach = 1 + y.cos() / 2
        return Condition(torch.stack((reach * x.cos(), reach * x.sin(), y.sin() / 2), dim=1))

    def angles(self, h):
        reach = h[:, :2].norm(dim=1)
        return torch.stack((torch.atan2(h[:, 1], h[:, 0]), torch.atan2(h[:, 2], reach - 1)), dim=1)


class Drawing(Denoiser):
    """Draws the bump that its code names, whatever the noise."""

    def __init__(self, code, schedule):
        nn.Module.__init__(self)
        self.conditioner, self.schedule = code, schedule

    def predict(self, x_t, t, condition):
        centres = self.conditioner.angles(condition.h) * (SIZE / (2 * np.pi))
        x_0 = 2 * render(CONFIG, centres.remainder(SIZE)) - 1
        a = self.schedule.alphas_cumprod[t][:, None, None, None]
        return (x_t - a.sqrt() * x_0) / (1 - a).sqrt()


def opened(code, folder):
    """A model that holds a code, its world, grid and readings."""
    schedule = build_objective(ObjectiveConfig(schedule="linear")).scheduler()
    model = SimpleNamespace(
        denoiser=lambda: Drawing(code, schedule),
        scheduler=schedule,
        prompts=CoordinatePrompts([[0.0, float(SIZE)]] * 2, [True, True]),
        image_shape=(1, SIZE, SIZE),
        device=torch.device("cpu"),
    )
    world = Bumps(CONFIG, CaptionConfig())
    grid = world.condition_grid(8)
    settings = ReadingSettings(("conditioner",), (0.2,), 3, False, 64, 0)
    readings = read_snapshot(model, grid.prompts, settings, folder)
    return SimpleNamespace(world=world), model, grid, readings


def swapped(code, folder):
    """The verdict of a code, and what swaps of its subspaces do."""
    experiment, model, grid, readings = opened(code, folder)
    ((row, _),) = geometry_rows(readings.codes("conditioner", 0.2), grid)
    swaps = Swaps(experiment, model, grid, 0)
    return row["verdict"], swaps.rows("conditioner", readings)


def steered(code, folder, places):
    experiment, model, grid, readings = opened(code, folder)
    return Steers(experiment, model, grid, 0).rows("conditioner", readings, [places])


def moved(rows, name, coordinate, edit="swapped"):
    (own,) = [r for r in rows if (r[edit], r["coordinate"]) == (name, coordinate)]
    assert own["unread"] == 0
    return own["moved"]


def test_subspaces_of_a_factorized_code_carry_one_coordinate_each(tmp_path):
    verdict, rows = swapped(Clifford(), tmp_path)
    assert verdict == "factorized" and answer(rows) == "carries"
    for own, other in ("xy", "yx"):
        assert moved(rows, own, own) == pytest.approx(1, abs=0.02)
        assert moved(rows, own, other) == pytest.approx(0, abs=0.02)
    assert moved(rows, "whole", "x") == pytest.approx(1, abs=0.02)


def test_a_coupled_code_cannot_be_swapped_by_parts(tmp_path):
    """What carries x carries the cosine of y as well."""
    verdict, rows = swapped(Solid(), tmp_path)
    assert verdict == "coupled" and answer(rows) == "does not"
    assert moved(rows, "whole", "y") == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("places", [1, 3])
def test_a_step_along_a_factorized_code_moves_its_coordinate_alone(places, tmp_path):
    rows = steered(Clifford(), tmp_path, places)
    assert {row["way_px"] for row in rows} == {2.0 * places}
    for own, other in ("xy", "yx"):
        assert moved(rows, own, own, "steered") == pytest.approx(1, abs=0.02)
        assert moved(rows, own, other, "steered") == pytest.approx(0, abs=0.02)
    assert moved(rows, "random", "y", "steered") > 0.1  # of 4 dimensions, half are those of y


def test_a_step_along_a_coupled_code_moves_both(tmp_path):
    rows = steered(Solid(), tmp_path, 2)
    assert moved(rows, "x", "y", "steered") > 0.1
