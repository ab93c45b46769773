"""Sections part the labels of a world; what is asked of each is fixed and covers it evenly."""

from dataclasses import replace

import pytest
import torch

from data_gen.bumps.config import BumpsConfig, HeldOut
from data_gen.bumps.sections import sections
from data_gen.bumps.world import SPLITS, BumpWorld

PLANE = BumpsConfig(
    image_size_px=8,
    image="stripes",
    examples="both",
    margin=4.0,
    held_out=HeldOut("bands", 3.0, 4.0),
)
BANDS = ["train", "x_band", "y_band", "intersection"]


@pytest.mark.parametrize(
    "changes, names",
    [
        ({}, ["train", "train 1d_x", "train 1d_y", "train blank", *BANDS[1:]]),
        ({"examples": "2d"}, BANDS),
        ({"examples": "2d", "kept": 0.5}, [*BANDS, "not_kept"]),
        ({"examples": "1d", "held_out": HeldOut("lesion", 3.0, 4.0)}, None),
    ],
)
def test_every_label_is_in_one_section_of_its_split(changes, names):
    world = BumpWorld(replace(PLANE, **changes))
    parts = sections(world)
    members = torch.cat([part.members for part in parts])
    assert torch.equal(members.sort().values, torch.arange(len(world)))
    assert names is None or [part.name for part in parts] == names
    for part in parts:
        (split,) = {SPLITS[i] for i in world.split[part.members].tolist()}
        assert part.name.split()[0] == split and part.held_out == (split != "train")
        assert len(world.example[part.members].unique()) == 1


def test_a_label_keeps_its_number_and_all_are_asked_for_before_one_is_again():
    world = BumpWorld(PLANE)
    for part in sections(world):
        total = len(part.members)
        labels = part.labels(world, 0, 2 * total + 1)
        assert torch.equal(labels[:3], part.labels(world, 0, 3))
        assert torch.equal(labels[total : 2 * total], labels[:total])
        assert len(labels[:total].unique(dim=0)) == total
    first = sections(world)[0]
    assert not torch.equal(first.labels(world, 0, 36), first.labels(world, 1, 36))
