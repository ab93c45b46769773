"""Variances along concepts' axes, on the identity mapping task, whose a_k are known."""

import math

import pytest
import torch

from theory.concept_axes import axis_variances
from theory.linear_denoiser import gather_moments
from theory.task import SimTask, cluster_means, draw_points, probe, second_moment

TASK = SimTask(mu=(1.0, 2.0), sigma=(0.3, 0.1), num_points=4000, origin_cluster=True)


@pytest.fixture(scope="module")
def moments():
    points = draw_points(TASK, torch.tensor([5])).z[0]
    return gather_moments([(points, torch.zeros(len(points), 0))])


def of_concept(moments, k: int):
    displacement = torch.diag(probe(TASK))[[k]]
    shares = torch.full((3,), 1 / 3, dtype=torch.float64)
    return axis_variances(moments, cluster_means(TASK), shares, displacement, shares[:1])


@pytest.mark.parametrize("k", [0, 1])
def test_on_the_task_a_k_is_that_of_the_paper(moments, k):
    variances = of_concept(moments, k)
    assert variances.a_k == pytest.approx(second_moment(TASK)[k, k].item(), rel=0.02)
    assert variances.within_classes == pytest.approx(TASK.sigma[k] ** 2, abs=0.01 * TASK.mu[k] ** 2)
    between = TASK.mu[k] ** 2 * (1 / 3 - 1 / 9)
    assert variances.between_classes == pytest.approx(between, rel=1e-3)
    mean = moments.mean[k].item()
    expected = moments.second[k, k].item() - mean**2
    assert variances.variance == pytest.approx(expected)


def test_several_displacements_are_averaged(moments):
    one, other = of_concept(moments, 0), of_concept(moments, 1)
    shares = torch.full((3,), 1 / 3, dtype=torch.float64)
    both = axis_variances(moments, cluster_means(TASK), shares, torch.diag(probe(TASK)), shares[:2])
    for name in ("a_k", "variance", "between_classes", "within_classes"):
        mean = (getattr(one, name) + getattr(other, name)) / 2
        assert getattr(both, name) == pytest.approx(mean)


def test_two_values_that_look_the_same_have_no_axis(moments):
    shares = torch.full((3,), 1 / 3, dtype=torch.float64)
    nowhere = torch.zeros(1, 2, dtype=torch.float64)
    found = axis_variances(moments, cluster_means(TASK), shares, nowhere, shares[:1])
    assert math.isnan(found.a_k) and math.isnan(found.variance)
