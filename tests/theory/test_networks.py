"""Initial weights have the laws they claim; what cannot be a network is refused."""

import pytest
import torch

from ground.endings import Mistake
from theory.networks import Network, draw_layers
from theory.task import as_seeds


def test_layers_have_torch_s_shapes_and_default_law():
    layers = draw_layers(Network(num_layers=3, width=9), 25, as_seeds(range(200)))
    assert [tuple(layer.shape[1:]) for layer in layers] == [(9, 26), (9, 10), (25, 10)]
    for layer, bound in zip(layers, (1 / 5, 1 / 3, 1 / 3), strict=True):
        assert bound * 0.99 < layer.abs().max() <= bound
        assert layer.var().item() == pytest.approx(bound**2 / 3, rel=0.03)
        assert layer[..., -1].var().item() == pytest.approx(bound**2 / 3, rel=0.1)
    columns = torch.corrcoef(layers[0].flatten(1).T)
    assert (columns - torch.eye(len(columns))).abs().max() < 0.5  # 200 seeds, all entries apart


def test_gaussian_layers_have_the_asked_scale_and_no_biases():
    network = Network(num_layers=2, width=16, init="gaussian", init_scale=0.5)
    first, last = draw_layers(network, 4, as_seeds(range(300)))
    assert first[..., :-1].std().item() == pytest.approx(0.5 / 2, rel=0.03)
    assert last[..., :-1].std().item() == pytest.approx(0.5 / 4, rel=0.03)
    assert not first[..., -1].any() and not last[..., -1].any()


def test_weights_are_the_same_with_and_without_biases():
    seeds = as_seeds([3])
    for with_bias, without in zip(
        draw_layers(Network(num_layers=2), 4, seeds),
        draw_layers(Network(num_layers=2, bias=False), 4, seeds),
        strict=True,
    ):
        assert torch.equal(with_bias[..., :-1], without)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"num_layers": 0}, "num_layers: got 0, allowed are 1 to 64"),
        ({"width": 0}, "width: got 0, allowed are 1 to 4096"),
        ({"init_scale": 0.0}, "init_scale: got 0, allowed are numbers above 0"),
    ],
)
def test_wrong_networks_are_refused(wrong, message):
    with pytest.raises(Mistake, match=message):
        Network(**wrong)
