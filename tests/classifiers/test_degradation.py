"""Curves of any reader under noise and blur."""

import pytest
import torch

from classifiers.degradation import Degraded, degradation, limit_at, with_blur, with_noise
from classifiers.oracle import Oracle
from ground.endings import Mistake


def gray(count: int = 50, size: int = 16) -> torch.Tensor:
    return torch.full((count, size, size, 3), 128, dtype=torch.uint8)


def test_noise_has_the_stated_width_and_is_the_same_at_every_level():
    weak, strong = (with_noise(gray(), level, 0, "a").double() - 128 for level in (0.05, 0.1))
    assert weak.std() / 255 == pytest.approx(0.05, rel=0.02)
    assert (strong - 2 * weak).abs().max() <= 1.5  # both were rounded
    assert torch.equal(with_noise(gray(), 0.0, 0, "a"), gray())
    assert not torch.equal(with_noise(gray(), 0.05, 1, "a"), with_noise(gray(), 0.05, 0, "a"))


def test_blur_spreads_a_point_by_its_sigma_and_leaves_a_flat_image():
    point = torch.zeros(1, 21, 21, 3, dtype=torch.uint8)
    point[0, 10, 10] = 255
    spread = with_blur(point, 1.5)[0, :, :, 0].double()
    offset = torch.arange(21.0) - 10
    variance = (spread.sum(0) * offset**2).sum() / spread.sum()
    assert variance.sqrt().item() == pytest.approx(1.5, rel=0.05)
    assert torch.equal(with_blur(gray(2), 2.0), gray(2))


def test_a_reader_of_nothing_is_unsure_and_wrong(tiny_world):
    def reader(images):
        return torch.full((len(images), 3), -1)

    rows = degradation(tiny_world, reader, 0, noises=(0.0, 0.1), blurs_px=(), count=16)
    assert rows[0] == Degraded("noise", 0.0, "shape", 0.0, 1.0, 16)
    assert [(row.level, row.concept) for row in rows] == [
        (level, concept) for level in (0.0, 0.1) for concept in ("shape", "color", "size")
    ]


def test_accuracy_falls_with_the_level_and_every_reader_sees_the_same_images(tiny_world):
    seen, oracle = [], Oracle(tiny_world.config)

    def reader(images):
        seen.append(images)
        return oracle.read(images).indices

    levels = dict(noises=(0.0, 0.1, 1.5), blurs_px=(0.0, 0.5), count=40)
    rows = degradation(tiny_world, reader, 0, **levels)
    again = degradation(tiny_world, reader, 0, **levels)
    assert rows == again and all(torch.equal(a, b) for a, b in zip(seen[:5], seen[5:], strict=True))
    accuracy = {(row.kind, row.level, row.concept): row.accuracy for row in rows}
    for concept in ("shape", "color", "size"):
        assert accuracy["noise", 0.0, concept] == accuracy["blur", 0.0, concept] == 1
        assert accuracy["noise", 0.1, concept] > 0.9 > 0.6 > accuracy["noise", 1.5, concept]


def test_the_limit_is_a_quantile():
    images = torch.arange(100, dtype=torch.uint8)[:, None, None, None]
    limit = limit_at(lambda batch: batch[:, 0, 0, 0].float(), images, 0.1, 0, 0.0)
    assert 89 <= limit <= 90


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda: with_noise(gray(), -1.0, 0, "a"), "noise: got -1.0, allowed 0 to 10"),
        (lambda: with_blur(gray(), -1.0), "blur: got -1.0, allowed 0 to 100 px"),
    ],
)
def test_levels_are_checked(spoil, message):
    with pytest.raises(Mistake, match=message):
        spoil()
