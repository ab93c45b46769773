"""What the reduction rests on: moments are all a linear network meets, rotations change nothing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.descent import Deep
from theory.networks import Network, draw_layers
from theory.plain import build
from theory.reduction import make_batches, reduce_layers
from theory.settings import Setting, Training
from theory.task import Points, SimTask, as_seeds, draw_frames, draw_points

SEEDS = as_seeds([1, 2])
TASK = SimTask(mu=(1.0, 2.0, 0.5), sigma=(0.3, 0.5, 0.2), dim=7, num_points=20)


def same_moments(z: torch.Tensor) -> torch.Tensor:
    """Other points with the same mean and second moment: reflected along a direction of samples."""
    v = torch.linspace(-1, 1, len(z), dtype=z.dtype) ** 3
    v -= v.mean()
    return z - 2 * torch.outer(v, v @ z) / (v @ v)


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_linear_network_meets_moments_alone(activation, bias):
    setting = Setting(TASK, Network(3, 6, activation, bias), Training())
    z = draw_points(TASK, SEEDS).z[0]
    gradients = []
    for points in (z, same_moments(z)):
        network = build(setting, 1)
        x = points @ draw_frames(TASK, SEEDS)[0, :, :3].T
        torch.nn.functional.mse_loss(network(x), x).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    apart = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
    assert apart < 1e-13 if activation == "linear" else apart > 1e-3


def test_the_metric_of_a_linear_batch_is_its_second_moment():
    z = draw_points(TASK, SEEDS).z
    kept = torch.ones(z.shape[:2], dtype=torch.bool)
    kept[0, :3] = False
    batches = make_batches(Points(z, kept), 25, bias=True, linear=True)
    augmented = torch.cat((z, torch.ones(2, 60, 1)), dim=2)
    first, last = augmented[0, 3:25], augmented[0, 50:]
    assert torch.allclose(batches.metric[0, 0], first.T @ first / 22)
    assert torch.allclose(batches.metric[2, 0], last.T @ last / 10)
    whole = augmented[0, 3:]
    assert torch.allclose(batches.whole[0, 0], whole.T @ whole / 57)


def test_a_batch_without_points_moves_nothing():
    z = draw_points(TASK, SEEDS).z
    batches = make_batches(Points(z, torch.arange(60).expand(2, 60) >= 25), 25, True, False)
    assert not batches.metric[0].any() and batches.metric[1].sum(2).eq(1).all()


@given(st.integers(0, 1000), st.integers(1, 4), st.sampled_from([2, 9]), st.booleans())
@settings(max_examples=20, deadline=None)
def test_rotating_task_and_weights_changes_nothing(seed, num_layers, width, bias):
    network = Network(num_layers, width, bias=bias)
    layers, frame = draw_layers(network, 7, SEEDS), draw_frames(TASK, SEEDS)
    generator = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(7, 7, generator=generator).double()).Q
    turned = list(layers)
    turned[0] = torch.cat((turned[0][..., :7] @ turn.T, turned[0][..., 7:]), dim=2)
    turned[-1] = turn @ turned[-1]
    expected = reduce_layers(layers, frame, 3)
    for one, other in zip(expected, reduce_layers(turned, turn @ frame, 3), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_no_more_rows_are_kept_than_count():
    layers = draw_layers(Network(2, 4), 64, SEEDS)
    first, last = reduce_layers(layers, draw_frames(SimTask(), SEEDS), 2)
    assert first.shape == (2, 4, 3) and last.shape == (2, 2 + 5, 5)
    assert torch.allclose(last.mT @ last, layers[1].mT @ layers[1])


@pytest.mark.parametrize("relu", [False, True])
def test_concepts_have_no_order(relu):
    layers, frame = draw_layers(Network(3, 6), 7, SEEDS), draw_frames(TASK, SEEDS)
    points, order = draw_points(TASK, SEEDS), torch.tensor([2, 0, 1])
    other_frame = torch.cat((frame[..., order], frame[..., 3:]), dim=2)
    paths = []
    for axes, z in ((frame, points.z), (other_frame, points.z[..., order])):
        batches = make_batches(Points(z, points.kept), 25, True, not relu)
        model = Deep(reduce_layers(layers, axes, 3), 3, flow=False, relu=relu, bias=True)
        model.advance(batches, 0, 3)
        at = torch.cat((z, torch.ones(2, 60, 1)), dim=2).mT
        paths.append(model.errors(at.contiguous()))
    torch.testing.assert_close(paths[0][:, order], paths[1][:, :3], rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(paths[0][:, 3:], paths[1][:, 3:], rtol=1e-11, atol=1e-12)
