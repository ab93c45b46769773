"""Clusters, probe and corner points are what the paper says, and each seed's own."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.endings import Mistake
from theory import task as sim
from theory.task import SimTask

SMALL = SimTask(mu=(1.0, 2.0, 1.5), sigma=(0.3, 0.0, 0.5), dim=5, num_points=40)


@pytest.mark.parametrize(
    "origin, sigma_is", [*itertools.product((False, True), ("std", "variance"))]
)
def test_points_have_the_moments_of_the_facts(origin, sigma_is):
    task = SimTask((1.0, 2.0), (0.5, 0.25), sigma_is, num_points=100_000, origin_cluster=origin)
    clusters = 3 if origin else 2
    variance = (0.25, 0.0625) if sigma_is == "std" else (0.5, 0.25)
    a = [v + mu**2 / clusters for v, mu in zip(variance, task.mu, strict=True)]
    assert sim.second_moment(task).diagonal().tolist() == pytest.approx(a)
    drawn = sim.empirical_moment(task, torch.tensor([1, 2]))
    assert torch.allclose(drawn, sim.augmented_moment(task), atol=0.015)
    assert drawn[0, 0, 0] != drawn[1, 0, 0]


def test_clusters_lie_on_the_axes_with_one_covariance():
    points = sim.draw_points(SimTask(num_points=20_000, origin_cluster=True), torch.tensor([5]))
    z = points.z[0]
    nearest = torch.cdist(z, torch.tensor([[1.0, 0], [0, 2], [0, 0]]).double()).argmin(1)
    assert nearest.bincount().tolist() == [20_000] * 3
    for cluster in range(3):
        deviations = z[nearest == cluster].T.cov()
        assert torch.allclose(deviations, torch.eye(2).double() * 0.05**2, atol=1e-4)


def test_corner_points_are_counted_in_binary_and_end_at_the_probe():
    corners = sim.corners(SMALL)
    assert corners.tolist()[:3] == [[0, 0, 0], [0, 0, 1.5], [0, 2, 0]]
    assert corners.shape == (8, 3) and torch.equal(corners[-1], sim.probe(SMALL))
    assert torch.equal(corners[[4, 2, 1]], sim.cluster_means(SMALL))


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_a_seed_draws_the_same_alone_and_among_others(seeds, epoch):
    together = sim.draw_points(SMALL, torch.tensor(seeds), epoch)
    frames = sim.draw_frames(SMALL, torch.tensor(seeds))
    for row, seed in enumerate(seeds):
        alone = torch.tensor([seed])
        assert torch.equal(together.z[row], sim.draw_points(SMALL, alone, epoch).z[0])
        torch.testing.assert_close(frames[row], sim.draw_frames(SMALL, alone)[0])


def test_another_epoch_has_the_same_points_in_another_order():
    first, second = (sim.draw_points(SMALL, torch.tensor([3, 4]), epoch).z for epoch in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(first.sort(dim=1).values, second.sort(dim=1).values)


def test_frames_are_rotations_and_uniform():
    frames = sim.draw_frames(SimTask(dim=4), torch.arange(4000))
    assert torch.allclose(frames.mT @ frames, torch.eye(4).double(), atol=1e-12)
    rotations = frames[..., :2].flatten(1)
    assert rotations.mean(0).abs().max() < 0.04
    assert torch.allclose(rotations.T.cov() * 4, torch.eye(8).double(), atol=0.1)
    plain = sim.draw_frames(SimTask(dim=4, rotation=False), torch.arange(2))
    assert torch.equal(plain, torch.eye(4).double().expand(2, 4, 4))


def test_points_near_the_probe_are_removed():
    task = SimTask(sigma=(0.5, 0.5), exclusion_radius=1.0)
    points = sim.draw_points(task, torch.arange(3))
    distance = (points.z - torch.tensor([1.0, 2.0])).norm(dim=2)
    assert torch.equal(points.kept, distance >= 1)
    assert 0.01 < (~points.kept).double().mean() < 0.3
    whole = sim.draw_points(SimTask(sigma=(0.5, 0.5)), torch.arange(3))
    assert whole.kept.all() and torch.equal(whole.z, points.z)
    kept = points.z[1][points.kept[1]]
    moment = sim.empirical_moment(task, torch.arange(3))[1]
    assert torch.allclose(moment[:2, :2], kept.T @ kept / len(kept))
    assert torch.allclose(moment[:2, 2], kept.mean(0))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"dim": 1}, r"dim: got 1, allowed are 2 and more"),
        ({"sigma": (0.1, -0.1)}, r"sigma: got -0.1, allowed are 0 to 1e.06"),
        ({"sigma": (0.1,)}, r"sigma: got 1 numbers, allowed are as many as mu, 2"),
        ({"mu": ()}, r"mu: got 0 numbers, allowed are 1 to 12"),
        ({"mu": (1.0, 0.0)}, r"mu: got 0, allowed are numbers above 0, to"),
        ({"mu": (1.0, float("nan"))}, r"mu: got nan"),
        ({"num_points": 0}, r"num_points: got 0, allowed are 1 to 8388608"),
        ({"exclusion_radius": 1.5}, r"exclusion_radius: got 1.5, allowed are 0 to 1, where the n"),
        ({"exclusion_radius": -1.0}, r"exclusion_radius: got -1"),
    ],
)
def test_wrong_settings_are_refused(wrong, message):
    with pytest.raises(Mistake, match=message):
        SimTask(**wrong)


def test_an_unknown_kind_is_refused():
    with pytest.raises(Mistake, match="sigma_is: got 'deviation', allowed are std, variance"):
        sim.check_one_of("sigma_is", "deviation", sim.SigmaIs)


@pytest.mark.parametrize(
    "seeds", [[3, 5], range(3, 7, 2), np.array([3, 5]), torch.tensor([3, 5])], ids=type
)
def test_seeds_come_in_any_sequence(seeds):
    assert sim.as_seeds(seeds).tolist() == [3, 5]


@pytest.mark.parametrize(
    "seeds, got",
    [([], "none"), ([1, -1], "-1"), ([1 << 32], "4294967296")],
)
def test_wrong_seeds_are_refused(seeds, got):
    with pytest.raises(Mistake, match=f"seeds: got {got}, allowed"):
        sim.as_seeds(seeds)
