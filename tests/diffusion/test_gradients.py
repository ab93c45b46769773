"""Flat buffers of weights and gradients against torch's work on one parameter after another."""

import pytest
import torch
from torch import nn

from diffusion.gradients import ALIGNMENT, CHUNK, GradientBuffer, flatten
from diffusion.processes import Processes, build_accelerator
from diffusion.train_config import TrainConfig
from tests.harness.rounding import assert_same_sums

SHAPES = ((3, 5), (), (CHUNK + 1,), (2, 3, 2, 2), (ALIGNMENT,))


def parameters() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


@pytest.fixture(scope="module")
def processes() -> Processes:
    return Processes(build_accelerator(TrainConfig(threads=1)))


def test_flattened_parameters_keep_values_and_follow_their_buffer():
    ours, before = parameters(), parameters()
    flat = flatten(ours)
    assert all(map(torch.equal, ours, before))
    flat *= 2
    assert all(torch.equal(p, 2 * b) for p, b in zip(ours, before, strict=True))
    with torch.no_grad():
        ours[0].copy_(before[0])
    assert torch.equal(flat[:15], before[0].flatten())
    assert all(p.data_ptr() % (4 * ALIGNMENT) == flat.data_ptr() % (4 * ALIGNMENT) for p in ours)


def test_a_step_of_averaging_is_that_of_every_parameter():
    raw, average = parameters(), [2 * p.detach() for p in parameters()]
    expected = [0.75 * a + 0.25 * p for a, p in zip(average, parameters(), strict=True)]
    flatten(average).lerp_(flatten(raw), 0.25)
    assert all(map(torch.allclose, average, expected))


@pytest.mark.parametrize("scale", [1e-6, 0.1, 10.0])
def test_clipping_is_that_of_torch(processes, scale):
    ours, theirs = parameters(), parameters()
    buffer = GradientBuffer(ours, processes, in_order=False)
    buffer.add(scale * sum(p.square().sum() for p in ours))
    (scale * sum(p.square().sum() for p in theirs)).backward()
    loss = buffer.flat[-1].clone()
    norm = buffer.clip(1.0)
    terms = sum(p.numel() for p in ours) + 4  # squares; root, division, product, gradient
    assert_same_sums(norm, nn.utils.clip_grad_norm_(theirs, 1.0), terms)
    for p, q in zip(ours, theirs, strict=True):
        assert_same_sums(p.grad, q.grad, terms, q.grad.abs())
    assert buffer.flat[-1] == loss  # which is no gradient


def test_the_norm_of_many_numbers_keeps_its_digits(processes):
    buffer = GradientBuffer([nn.Parameter(torch.empty(2**24))], processes, in_order=False)
    buffer.flat[:-1] = torch.linspace(0.1, 1, 2**24)
    exact = buffer.flat[:-1].double().norm()
    # as sums of chunks and a sum of these; a root halves the relative error of its square
    assert_same_sums(buffer.clip(1e9), exact, CHUNK + 2**24 // CHUNK, exact / 4)
