"""Linear and ReLU networks of any depth and width, many at once.

A layer is one matrix [W b] for each run; the tensors' first dimension is the run (a seed of some
setting). Nothing here loops over runs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from ground import streams
from ground.endings import Mistake
from theory.task import check_one_of

MOST_LAYERS, MOST_WIDTH = 64, 4096
Activation = Literal["linear", "relu"]
Initialization = Literal["pytorch", "gaussian"]


@dataclass(frozen=True)
class Network:
    """A multilayer perceptron from R^dim to R^dim. A wrong setting is a Mistake.

    Attributes:
        num_layers: L. One layer is Linear(dim, dim); more are Linear(dim, width), L − 2 times
            Linear(width, width), Linear(width, dim).
        width: h, of the hidden layers.
        activation: after every layer but the last.
        bias: layers have biases, as in the released code.
        init: pytorch, weights and biases uniform in ±init_scale/√fan_in, PyTorch's default for
            Linear if init_scale is 1; gaussian, weights normal with standard deviation
            init_scale/√fan_in, biases 0.
    """

    num_layers: int = 1
    width: int = 64
    activation: Activation = "linear"
    bias: bool = True
    init: Initialization = "pytorch"
    init_scale: float = 1.0

    def __post_init__(self) -> None:
        for key, most in (("num_layers", MOST_LAYERS), ("width", MOST_WIDTH)):
            if not 1 <= getattr(self, key) <= most:
                raise Mistake(f"{key}: got {getattr(self, key)}, allowed are 1 to {most}")
        check_one_of("activation", self.activation, Activation)
        check_one_of("init", self.init, Initialization)
        if not 0 < self.init_scale < math.inf:
            raise Mistake(f"init_scale: got {self.init_scale:g}, allowed are numbers above 0")

    @property
    def is_linear(self) -> bool:
        return self.activation == "linear" or self.num_layers == 1


def draw_layers(
    network: Network, dim: int, seeds: Int[Tensor, " runs"]
) -> list[Float[Tensor, "runs _ _"]]:
    """Initial [W b] of every layer, float64; W alone without biases."""
    sizes = [dim, *[network.width] * (network.num_layers - 1), dim]
    layers = []
    for number, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:], strict=False)):
        scale = network.init_scale / math.sqrt(fan_in)
        weight = _draw(network, "sim weights", number, seeds, fan_out * fan_in) * scale
        layers.append(weight.view(-1, fan_out, fan_in))
        if network.bias:
            bias_scale = scale if network.init == "pytorch" else 0.0
            bias = _draw(network, "sim biases", number, seeds, fan_out) * bias_scale
            layers[-1] = torch.cat((layers[-1], bias[..., None]), dim=2)
    return layers


def _draw(network: Network, purpose: str, layer: int, seeds: Tensor, width: int) -> Tensor:
    if network.init == "gaussian":
        return streams.normal(0, purpose, layer, seeds, width).double()
    return 2 * streams.uniform(0, purpose, layer, seeds, width).double() - 1


class Stack:
    """Layers at work, in homogeneous coordinates: inputs carry a last row of ones, and every hidden
    layer with biases has a last row (0 … 0 1) that passes it on and is not trained.

    `inputs` is (runs, columns of the first layer, batch): points side by side. For a linear network
    it may also be the identity, whose images are the whole map (see theory/reduction.py).
    """

    def __init__(self, layers: Sequence[Tensor], relu: bool, bias: bool):
        hidden = [_with_ones_row(layer) if bias else layer.clone() for layer in layers[:-1]]
        self.layers = [*hidden, layers[-1].clone()]
        self.relu, self.bias = relu, bias

    def values(self, inputs: Tensor) -> list[Tensor]:
        """What every layer gets, and last what the network gives."""
        values = [inputs]
        for layer in self.layers[:-1]:
            hidden = torch.bmm(layer, values[-1])
            values.append(hidden.relu_() if self.relu else hidden)
        return [*values, torch.bmm(self.layers[-1], values[-1])]

    def errors(self, inputs: Tensor, s: int) -> Tensor:
        """Output minus target: the first s rows of the inputs are wanted in the first s rows."""
        return _minus_target(self.values(inputs)[-1], inputs, s)

    def weigh(self, errors: Tensor, metric: Tensor) -> Tensor:
        """Errors (runs, outputs, batch) times what makes a gradient of them (see `Batches`)."""
        return errors.mul(metric) if self.relu else torch.bmm(errors, metric)

    def descend(self, inputs: Tensor, metric: Tensor, s: int, onto: Sequence[Tensor]) -> None:
        """Add one step of gradient descent to the tensors `onto`, one for each of `layers`.

        `metric` holds the step size. `onto` may be `layers`: one is used before it changes.
        """
        values = self.values(inputs)
        back = self.weigh(_minus_target(values.pop(), inputs, s), metric)
        for number in reversed(range(len(self.layers))):
            above, value = back, values[number]
            if number:
                back = self._below(self.layers[number], above, value)
            onto[number].baddbmm_(above, value.mT, alpha=-1)

    def _below(self, layer: Tensor, above: Tensor, value: Tensor) -> Tensor:
        """The gradient with respect to what a layer gets, 0 for the row of ones.

        All tensors stay whole: products of parts of them are several times as slow.
        """
        back = torch.bmm(layer.mT, above)
        if self.relu:
            back = torch.ops.aten.threshold_backward(back, value, 0)
        if self.bias:
            back[:, -1] = 0
        return back


def _with_ones_row(layer: Tensor) -> Tensor:
    layer = pad(layer, (0, 0, 0, 1))
    layer[:, -1, -1] = 1
    return layer


def _minus_target(outputs: Tensor, inputs: Tensor, s: int) -> Tensor:
    outputs[:, :s] -= inputs[:, :s]
    return outputs
