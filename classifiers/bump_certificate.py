"""What probe and oracle of a world of bumps say of each other, and how both hold under noise."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from classifiers.bump_oracle import BumpOracle
from classifiers.degradation import Verdicts, degraded_rows
from classifiers.probe import Probe

Centres = tuple[Float[Tensor, "n 2"], Bool[Tensor, " n"]]  # px, nan: none; and which are unsure
Reader = Callable[[UInt8[Tensor, "n h w c"]], Centres]


def read_by_probe(probe: Probe) -> Reader:
    def read(images: UInt8[Tensor, "n h w c"]) -> Centres:
        seen = probe.read(images.permute(0, 3, 1, 2))
        return torch.stack([*seen.coordinates.values()], 1), seen.unsure

    return read


def read_by_oracle(oracle: BumpOracle, limit: float) -> Reader:
    """Reader of centres by the oracle. limit: as `BumpOracle.read` takes it."""

    def read(images: UInt8[Tensor, "n h w c"]) -> Centres:
        seen = oracle.read(images)
        return seen.centres, ~((seen.residual <= limit) & seen.allowed)

    return read


def compare_with_bump_oracle(
    probe: Probe, oracle: BumpOracle, images: UInt8[Tensor, "n c h w"], limit: float
) -> dict[str, Any]:
    """Compare both instruments on renders, per coordinate: how often the two agree to 1 px where
    neither is unsure, and how far apart they are there, median, in px."""
    readers = (read_by_probe(probe), read_by_oracle(oracle, limit))
    (ours, unsure), (theirs, others) = (read(images.permute(0, 2, 3, 1)) for read in readers)
    sure = ~(unsure | others)
    pairs = [
        (name, head, ours[sure, i], theirs[sure, i])
        for i, (name, head) in enumerate(probe.coordinates.items())
    ]
    return {
        "limit": limit,
        "both_sure": sure.double().mean().item(),
        "agreement": {n: h.is_right(a, b).double().mean().item() for n, h, a, b in pairs},
        "apart_px": {n: h.offset(a, b).abs().nanmedian().item() for n, h, a, b in pairs},
    }


def bump_degradation_curves(
    probe: Probe,
    oracle: BumpOracle,
    limit: float,
    images: UInt8[Tensor, "n h w c"],
    centres: Float[Tensor, "n 2"],
    seed: int,
) -> dict[str, list[dict[str, Any]]]:
    """Accuracy and unsureness of both instruments on the same degraded renders, as rows."""

    def curve(read: Reader) -> list[dict[str, Any]]:
        def judge(degraded: UInt8[Tensor, "n h w c"]) -> Verdicts:
            return verdicts(probe, centres, read(degraded))

        return [asdict(row) for row in degraded_rows(images, [*probe.coordinates], judge, seed)]

    return {"probe": curve(read_by_probe(probe)), "oracle": curve(read_by_oracle(oracle, limit))}


def verdicts(probe: Probe, true: Float[Tensor, "n 2"], read: Centres) -> Verdicts:
    """What is read right, unsure being wrong, and what is unsure, per coordinate."""
    heads, (centres, unsure) = probe.coordinates.values(), read
    pairs = zip(heads, centres.T, true.double().T, strict=True)
    right = torch.stack([head.is_right(*places) for head, *places in pairs], 1)
    return right & ~unsure[:, None], unsure[:, None].expand_as(right)
