"""Probe of a world of bumps: what it learns to read, and what the oracle says of it."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from classifiers.bump_certificate import bump_degradation_curves
from classifiers.bump_oracle import BumpOracle
from classifiers.heads import Coordinate
from classifiers.probe import Batch, Probe
from data_gen.bumps.config import BumpsConfig
from data_gen.bumps.world import EXAMPLES, draw
from ground import streams
from studies.worlds.kind import Facts
from studies.worlds.probe_images import ORACLE_NOISE, ORACLE_RATE

LIMIT_IMAGES = 512


def bump_heads(config: BumpsConfig) -> dict[str, Coordinate]:
    """Return heads for x and y, which may be absent where the world has stripes alone."""
    head = Coordinate(config.image_size_px, config.periodic, nullable=config.has_nulls)
    return {"x": head, "y": head}


def bump_batch(config: BumpsConfig, seed: int, purpose: str, start: int, count: int) -> Batch:
    """Return renders, uint8 (count, 1, h, w), of centres anywhere in the frame, and x and y in px.

    Centres beside the tiling are there, and held-out ones too. Where the world has stripes alone,
    all kinds of examples come in turn; a coordinate that is absent is nan.
    """
    index = torch.arange(start, start + count)
    centres = streams.uniform(seed, purpose, 0, index, 2) * config.image_size_px
    if config.has_nulls:
        example = index % len(EXAMPLES)
        absent = torch.stack((example >= 2, example % 2 == 1), 1)  # as `world.example_of` numbers
        centres[absent] = torch.nan
    return draw(config, centres.nan_to_num(nan=-2.0 * config.image_size_px)), centres


def bump_curves(
    config: BumpsConfig, probe: Probe, oracle: BumpOracle, limit: float, seed: int, count: int
) -> dict[str, list[dict[str, Any]]]:
    """Return how both instruments read `count` renders under noise and blur."""
    images, centres = bump_batch(config, seed, "degradation", 0, count)
    images = images.permute(0, 2, 3, 1).contiguous()
    return bump_degradation_curves(probe, oracle, limit, images, centres, seed)


def oracle_reader(config: BumpsConfig) -> Callable[[Tensor], Sequence[Facts]]:
    """Return what reads uint8 (n, h, w, 1): per image `centre_px`, x and y, null where the oracle
    sees none, or is unsure of what it sees."""
    oracle = BumpOracle(config)
    limit = oracle.limit(ORACLE_RATE, 0, ORACLE_NOISE, LIMIT_IMAGES)

    def read(images: Tensor) -> Sequence[Facts]:
        centres = oracle.read(images, limit).centres.tolist()
        return [{"centre_px": [None if x != x else round(x, 3) for x in row]} for row in centres]

    return read
