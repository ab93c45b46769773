"""What the oracle says of images, in words."""

import pytest
import torch

from classifiers.bump_oracle import BumpOracle
from studies.experiment.config import read_config
from studies.worlds.bumps.probing import oracle_reader as bumps_reader
from studies.worlds.shapes.images import labelled_batch
from studies.worlds.shapes.oracle import oracle_reader


def test_scenes_are_read_in_words_and_noise_is_not(tiny_world):
    images, targets = labelled_batch(tiny_world, 5, "test", 0, 40)
    size = tiny_world.config.image_size_px
    noise = torch.randint(256, (4, size, size, 3), generator=torch.Generator().manual_seed(0))
    read = oracle_reader(tiny_world)
    for seen, target in zip(read(images.permute(0, 2, 3, 1)), targets.tolist(), strict=True):
        words = [values[i] for (_, values), i in zip(tiny_world.space.items(), target, strict=True)]
        assert list(seen.values()) == words and tuple(seen) == tuple(tiny_world.space.names)
    assert all(set(seen.values()) == {None} for seen in read(noise.to(torch.uint8)))


def test_bumps_are_read_in_pixels(root):
    config = read_config(root / "configs" / "bumps_torus_small.yaml").world
    oracle = BumpOracle(config)
    images = oracle.renders(3, 20)
    known = oracle.read(images).centres.tolist()
    for seen, centre in zip(bumps_reader(config)(images), known, strict=True):
        for x, y in zip(seen["centre_px"], centre, strict=True):
            assert (x is None and y != y) or x == pytest.approx(y, abs=0.001)
