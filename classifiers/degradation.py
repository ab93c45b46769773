"""How readings hold under noise and blur: a curve per concept, for any reader of images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from classifiers.limits import limit_of
from data_gen.dataset import labelled_set
from data_gen.world import World
from ground import streams
from ground.endings import Mistake

Reader = Callable[[UInt8[Tensor, "n h w 3"]], Int[Tensor, "n c"]]  # −1: unsure
Verdicts = tuple[Bool[Tensor, "n k"], Bool[Tensor, "n k"]]  # per concept: right, unsure
Judge = Callable[[UInt8[Tensor, "n h w c"]], Verdicts]
NOISES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
BLURS_PX = (0.0, 0.25, 0.5, 1.0, 1.5)


@dataclass(frozen=True)
class Degraded:
    """One concept under one degradation.

    Attributes:
        kind: noise, whose level is the standard deviation in [0, 1] units; or blur, the Gaussian's
            in px.
        accuracy: share of images read right; unsure is wrong.
        unsure: share of images about which the reader says nothing.
        num_images: both are shares of them.
    """

    kind: str
    level: float
    concept: str
    accuracy: float
    unsure: float
    num_images: int


def degradation(
    world: World,
    reader: Reader,
    seed: int,
    noises: Sequence[float] = NOISES,
    blurs_px: Sequence[float] = BLURS_PX,
    count: int = 512,
) -> list[Degraded]:
    """Rows of the same renders, all combinations in turn, under each level of noise and of blur.

    Every reader sees the same images: they are a function of (world, seed, level, count).
    """
    data = labelled_set(world, seed, "degradation", 0, count)
    images = data.images.permute(0, 2, 3, 1).contiguous()
    values = torch.tensor([world.space.value_indices(c) for c in world.space.combinations])
    targets = values[data.combination]
    judge = judged_by(targets, reader)
    return degraded_rows(images, world.space.names, judge, seed, noises, blurs_px)


def judged_by(targets: Int[Tensor, "n c"], reader: Reader) -> Judge:
    """Judge of what a reader of places says, against the true ones."""

    def judge(degraded: UInt8[Tensor, "n h w 3"]) -> Verdicts:
        read = reader(degraded)
        return read == targets, read < 0

    return judge


def degraded_rows(
    images: UInt8[Tensor, "n h w c"],
    concepts: Sequence[str],
    judge: Judge,
    seed: int,
    noises: Sequence[float] = NOISES,
    blurs_px: Sequence[float] = BLURS_PX,
) -> list[Degraded]:
    """Rows of any images under each level of noise and of blur, about which `judge` says what is
    read right and what is unsure."""
    rows = []
    for level in noises:
        noisy = with_noise(images, level, seed, "degradation.noise")
        rows += _rows("noise", level, concepts, judge(noisy))
    for level in blurs_px:
        rows += _rows("blur", level, concepts, judge(with_blur(images, level)))
    return rows


def limit_at(
    residual: Callable[[Tensor], Tensor], renders: Tensor, rate: float, seed: int, noise: float
) -> float:
    """The residual that a share `rate` of further renders exceeds: see `limit_of`.

    Args:
        residual: uint8 (n, h, w, c) → (n,).
        renders: true ones, 1 / rate or more.
        rate: share of true scenes that may be taken for none.
        noise: standard deviation of noise, in [0, 1] units, that is still to pass as a scene: the
            best images of a generative model have more of it than renders, 0 refuses them all.
    """
    if not 0 < rate < 1:
        raise Mistake(f"rate: got {rate}, allowed above 0 and below 1")
    noisy = with_noise(renders, noise, seed, "limit.noise")
    return limit_of(residual(noisy), rate).item()


def _rows(kind: str, level: float, concepts: Sequence[str], verdicts: Verdicts) -> list[Degraded]:
    right, unsure = (verdict.double().mean(0).tolist() for verdict in verdicts)
    parts = zip(concepts, right, unsure, strict=True)
    return [Degraded(kind, level, *part, num_images=len(verdicts[0])) for part in parts]


def with_noise(
    images: UInt8[Tensor, "n h w c"], level: float, seed: int, purpose: str
) -> UInt8[Tensor, "n h w c"]:
    """Gaussian noise of standard deviation `level` in [0, 1] units, clipped; that of image i comes
    from (seed, purpose, i), so that a stronger level is the same noise, larger."""
    if not 0 <= level <= 10:
        raise Mistake(f"noise: got {level}, allowed 0 to 10")
    if level == 0:
        return images
    index = torch.arange(len(images))
    noise = streams.coarse_normal(seed, purpose, 0, index, images[0].numel()).view_as(images)
    return _rounded(images.float() + noise * (level * 255))


def with_blur(images: UInt8[Tensor, "n h w c"], sigma_px: float) -> UInt8[Tensor, "n h w c"]:
    """Gaussian blur; at the border the weights inside the image are scaled to sum to 1."""
    if not 0 <= sigma_px <= 100:
        raise Mistake(f"blur: got {sigma_px}, allowed 0 to 100 px")
    if sigma_px == 0:
        return images
    rows, columns = (_blur_matrix(size, sigma_px) for size in images.shape[1:3])
    return _rounded(torch.einsum("nhwc,ih,jw->nijc", images.float(), rows, columns))


def _blur_matrix(size: int, sigma_px: float) -> Float[Tensor, "size size"]:
    """Row i holds what pixel i takes from each pixel."""
    place = torch.arange(size, dtype=torch.float64)
    weight = torch.exp(-((place - place[:, None]) ** 2) / (2 * sigma_px**2))
    return (weight / weight.sum(1, keepdim=True)).float()


def _rounded(images: Tensor) -> UInt8[Tensor, "n h w c"]:
    return images.round().clamp(0, 255).to(torch.uint8)
