"""Philox's published answers, then the properties everything else rests on."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ground import streams

ONES = 0xFFFFFFFF
# Known answers of Philox4x32-10, from the test vectors of its authors' Random123 library.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize("counter, key, expected", KNOWN)
def test_philox_gives_the_published_answers(counter, key, expected):
    words = streams.philox(tuple(torch.tensor([word]) for word in counter), key)
    assert tuple(word.item() for word in words) == expected


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(1, 9), st.data())
@settings(max_examples=50, deadline=None)
def test_a_number_depends_on_its_key_alone(seed, step, width, data):
    index = torch.tensor(data.draw(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=6)))
    together = streams.normal(seed, "test", step, index, width)
    alone = [streams.normal(seed, "test", step, i[None], width) for i in index]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize(
    "other",
    [(1, "a", 0, 0), (1 << 32, "a", 0, 0), (0, "b", 0, 0), (0, "a", 1, 0), (0, "a", 0, 1)],
)
def test_every_part_of_the_key_matters(other):
    seed, purpose, step, index = other
    first = streams.words(0, "a", 0, torch.tensor([0]), 8)
    second = streams.words(seed, purpose, step, torch.tensor([index]), 8)
    assert not (first == second).any()


def test_uniforms_fill_the_unit_interval_evenly():
    u = streams.uniform(0, "test", 0, torch.arange(100_000), 4)
    assert 0 <= u.min() and u.max() < 1
    counts = torch.histc(u, bins=64, min=0, max=1)
    expected = u.numel() / 64
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert 30 < chi_squared < 110  # 63 degrees of freedom: outside by chance once in 10⁴


def test_normals_have_the_moments_of_a_normal():
    x = streams.normal(3, "test", 0, torch.arange(100_000), 5).double()
    moments = [(x**k).mean().item() for k in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.04)
    columns = torch.corrcoef(x.T) - torch.eye(5)
    assert columns.abs().max() < 0.015


def test_coarse_normals_are_normal_too_and_depend_on_their_key_alone():
    x = streams.coarse_normal(3, "test", 0, torch.arange(100_000), 5)
    moments = [(x.double() ** k).mean().item() for k in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.04)
    assert (torch.corrcoef(x.T) - torch.eye(5)).abs().max() < 0.015
    assert 4.0 < x.abs().max() < 4.4
    assert torch.equal(x[70:71], streams.coarse_normal(3, "test", 0, torch.tensor([70]), 5))


def test_permutations_are_permutations_and_differ_between_epochs():
    first, second = (streams.permutation(0, "order", epoch, 1000) for epoch in (0, 1))
    assert torch.equal(first.sort().values, torch.arange(1000))
    assert (first == second).float().mean() < 0.02
    assert abs(torch.corrcoef(torch.stack((first, torch.arange(1000))).double())[0, 1]) < 0.12


def test_integers_stay_below_high_and_are_even():
    counts = streams.integers(0, "test", 0, torch.arange(70_000), 7).bincount()
    assert len(counts) == 7
    assert counts.min() > 9_600 and counts.max() < 10_400


@pytest.mark.parametrize("seed", [-1, 1 << 64])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ValueError, match=r"seed: got .* allowed"):
        streams.words(seed, "test", 0, torch.tensor([0]), 1)


def test_coarse_uniforms_fill_their_grid_evenly_and_depend_on_their_key_alone():
    u = streams.coarse_uniform(3, "test", 0, torch.arange(100_000), 5)
    assert torch.equal(u * 2**16, (u * 2**16).floor()) and 0 <= u.min() and u.max() < 1
    counts = torch.histc(u, 64, 0, 1)
    mean = u.numel() / 64
    assert abs(((counts - mean) ** 2 / mean).sum() - 63) < 5 * math.sqrt(2 * 63)  # χ² of 63
    assert torch.equal(u[70:71], streams.coarse_uniform(3, "test", 0, torch.tensor([70]), 5))


def test_seeds_of_torch_that_end_alike_draw_apart():
    """torch's generator keeps 32 bits of a seed; short ones stay themselves."""
    seeds = [0, 1, 2**32 - 1, 2**32, 2**32 + 1, 2**33, 2**63 - 1, 5 << 32]
    drawn = set()
    for seed in seeds:
        generator = torch.Generator().manual_seed(streams.torch_seed(seed))
        drawn.add(tuple(torch.rand(2, generator=generator).tolist()))
        assert 0 <= streams.torch_seed(seed) < 2**32
        assert streams.torch_seed(seed) == seed or seed >= 2**32
    assert len(drawn) == len(seeds)
