"""Seeds a second on the structured identity mapping task: `theory.training` against a plain loop.

    python benchmarks/sim.py              # about five minutes on two cores

40 epochs of 118 steps (15 000 points, batches of 128, biases), arXiv:2410.08309: Fig. 2a's setting
(one layer, 64 dimensions), four linear layers of width 4 in 2 dimensions (Fig. 2c), two ReLU layers
of width 64 in 64 dimensions (Fig. 11). The plain loop over seeds is nn.Linear, mse_loss and
torch.optim.SGD in float32; it takes the first steps of one seed, the time of the others is scaled
from them. Ours trains all seeds to the end (linear networks in float64, ReLU in float32), data and
initial weights included, and evaluates loss and corner points every ten epochs, which the plain
loop is spared. They take turns; ratios are medians of the turns.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from machine import machine
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from theory.networks import Network
from theory.settings import Setting, Training
from theory.task import SimTask
from theory.training import train

EPOCHS = 40
CASES = {
    "one_layer": (
        Setting(
            SimTask(mu=(1.0, 2.0), origin_cluster=True),
            Network(num_layers=1),
            Training(lr=0.1),
        ),
        256,
    ),
    "deep_linear": (
        Setting(
            SimTask(mu=(1.0, 2.0), dim=2, origin_cluster=True),
            Network(num_layers=4, width=4),
            Training(lr=0.01),
        ),
        256,
    ),
    "relu": (
        Setting(
            SimTask(mu=(1.0, 2.0), origin_cluster=True),
            Network(num_layers=2, width=64, activation="relu"),
            Training(lr=0.1, precision="float32"),
        ),
        8,
    ),
}


def plain_points(task: SimTask) -> Tensor:
    """Return shuffled training points: float32 (total_points, dim)."""
    means = torch.diag(torch.tensor((*task.mu, *[0.0] * (task.dim - task.s))))[: task.s]
    means = torch.cat((means, torch.zeros(int(task.origin_cluster), task.dim)))
    spread = torch.zeros(task.dim)
    spread[: task.s] = torch.tensor(task.std)
    rotation = torch.linalg.qr(torch.randn(task.dim, task.dim)).Q
    points = means.repeat_interleave(task.num_points, 0)
    points = (points + torch.randn(points.shape) * spread) @ rotation
    return points[torch.randperm(len(points))]


def plain_network(task: SimTask, network: Network) -> nn.Sequential:
    sizes = [task.dim, *[network.width] * (network.num_layers - 1), task.dim]
    modules: list[nn.Module] = []
    for fan_in, fan_out in zip(sizes, sizes[1:], strict=False):
        modules.append(nn.Linear(fan_in, fan_out))
        if network.activation == "relu":
            modules.append(nn.ReLU())
    return nn.Sequential(*modules[:-1] if network.activation == "relu" else modules)


def plain_seconds(setting: Setting, steps: int) -> float:
    """Return what all steps of one seed would take, from its first ones."""
    start = time.perf_counter()
    points = plain_points(setting.task)
    model = plain_network(setting.task, setting.network)
    optimizer = torch.optim.SGD(model.parameters(), lr=setting.training.lr)
    ready = time.perf_counter()
    done = 0
    while done < steps:
        for x in points.split(setting.batch_size)[: steps - done]:
            optimizer.zero_grad()
            loss = mse_loss(model(x), x)
            loss.backward()
            optimizer.step()
            done += 1
    loop = time.perf_counter() - ready
    return ready - start + loop * EPOCHS * setting.steps_per_epoch / steps


def run_seconds(setting: Setting, seeds: Sequence[int]) -> float:
    """Return what one seed takes, trained with the others."""
    record = [epoch * setting.steps_per_epoch for epoch in range(0, EPOCHS + 1, 10)]
    start = time.perf_counter()
    runs = train(setting.task, setting.network, setting.training, seeds, record)
    seconds = time.perf_counter() - start
    if not runs.train_loss.isfinite().all():
        raise RuntimeError("a run diverged")
    return seconds / len(seeds)


def memory_mib(seeds: int) -> int:
    """Return the peak memory of a process that trains the one-layer case on so many seeds."""
    command = [sys.executable, __file__, "--memory-of", str(seeds)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_memory(seeds: int) -> None:
    """Print Linux's own count of peak memory: that of getrusage begins at the peak of the process
    that started it."""
    run_seconds(CASES["one_layer"][0], range(seeds))
    status = Path("/proc/self/status").read_text()
    print(int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) // 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--plain-steps", type=int, default=590)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        return print_memory(arguments.memory_of)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    for turn in range(arguments.turns + 1):
        for name, (setting, seeds) in CASES.items():
            pair = (
                run_seconds(setting, range(seeds)),
                plain_seconds(setting, arguments.plain_steps),
            )
            if turn:  # the first warms up
                seconds[name].append(pair)
    report(seconds)


def report(seconds: dict[str, list[tuple[float, float]]]) -> None:
    print(
        f"{machine()}; seeds/s of all {EPOCHS} epochs, median [lowest, highest]; ratio of each turn"
    )
    ratios = {}
    for name, pairs in seconds.items():
        turns = [plain / ours for ours, plain in pairs]
        ratios[f"{name}_vs_plain_loop"] = round(statistics.median(turns), 1)
        for label, column in (("batched", 0), ("plain loop", 1)):
            rates = [1 / pair[column] for pair in pairs]
            low, middle, high = min(rates), statistics.median(rates), max(rates)
            print(f"{name + ', ' + label:24s} {middle:9.2f} [{low:.2f}, {high:.2f}]")
        print(f"{'':24s} {statistics.median(turns):8.1f}× [{min(turns):.1f}, {max(turns):.1f}]")
    memory = {seeds: memory_mib(seeds) for seeds in (64, 1024, 4096)}
    print(f"peak memory in MiB with so many seeds of the one-layer case: {memory}")
    print(json.dumps({**ratios, "memory_mib": list(memory.values())}))


if __name__ == "__main__":
    main()
