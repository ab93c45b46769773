"""The task trained as everyone would: nn.Linear in all dimensions, mse_loss, torch.optim.SGD."""

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from theory.networks import draw_layers
from theory.settings import Setting
from theory.task import as_seeds, corners, draw_frames, draw_points


def build(setting: Setting, seed: int) -> nn.Sequential:
    """The setting's network in float64, with the seed's initial weights."""
    modules: list[nn.Module] = []
    for layer in draw_layers(setting.network, setting.task.dim, as_seeds([seed])):
        columns = layer.shape[2] - setting.network.bias
        linear = nn.Linear(columns, layer.shape[1], setting.network.bias).double()
        linear.weight.data = layer[0, :, :columns].clone()
        if setting.network.bias:
            linear.bias.data = layer[0, :, -1].clone()
        modules += [linear, nn.ReLU()] if setting.network.activation == "relu" else [linear]
    return nn.Sequential(*modules[:-1] if setting.network.activation == "relu" else modules)


def look(network: nn.Module, setting: Setting, frame: Tensor, x: Tensor) -> dict[str, Tensor]:
    targets = corners(setting.task) @ frame[:, : setting.task.s].T
    with torch.no_grad():
        outputs = network(targets)
        return {
            "outputs": outputs[-1] @ frame[:, : setting.task.s],
            "corner_losses": (outputs - targets).square().mean(1),
            "train_loss": mse_loss(network(x), x),
        }


def train_plainly(setting: Setting, seed: int, record: list[int]) -> dict[str, Tensor]:
    """Fields of `Trajectories` for one seed: (time, …)."""
    frame = draw_frames(setting.task, as_seeds([seed]))[0]
    network, looks = build(setting, seed), []
    reshuffled = setting.training.order == "reshuffled"
    optimizer = torch.optim.SGD(network.parameters(), lr=setting.training.lr)
    for step in range(record[-1] + 1):
        epoch, place = divmod(step, setting.steps_per_epoch)
        if step == 0 or (place == 0 and reshuffled):
            points = draw_points(setting.task, as_seeds([seed]), epoch)
            x, kept = points.z[0] @ frame[:, : setting.task.s].T, points.kept[0]
        if step in record:
            looks.append(look(network, setting, frame, x[kept]))
        if step < record[-1]:
            batch = slice(place * setting.batch_size, (place + 1) * setting.batch_size)
            _descend(network, optimizer, x[batch][kept[batch]])
    return {key: torch.stack([one[key] for one in looks]) for key in looks[0]}


def _descend(network: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor) -> None:
    optimizer.zero_grad()
    mse_loss(network(x), x).backward()
    optimizer.step()
