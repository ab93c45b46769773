"""World sizes: is it the same run on any number of processes, and what does bit-equality cost?

    python benchmarks/world_sizes.py [--steps 200]

Trains one experiment on 1, 2 and 4 processes (torchrun, gloo, one thread each) and with gradient
accumulation, and compares each with the run of one process: the largest relative difference of the
first 20 losses, and ‖w − w'‖ / ‖w' − w_0‖ of the last weights. Then the same with reduction
in_order, which must not differ in a bit. Ends with one line of JSON.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from diffusion.snapshots import step_directory
from ground.files import read_rows

ROOT = Path(__file__).resolve().parents[1]
FLAGS = {
    "--train.snapshots": "0",
    "--evaluate.snapshots": "0",
    "--train.state-every": "100",
    "--train.threads": "1",
}
STATE = ("raw", "ema", "optimizer")
NO_GRADIENT = "k_proj.bias"  # softmax does not see what is added to every key: Adam moves rounding


@dataclass(frozen=True)
class Layout:
    """Layout of a run: processes, images at once in each, order of the sum."""

    processes: int
    micro_batch_size: int | None = None
    reduction: str = "all_reduce"

    @property
    def name(self) -> str:
        micro = f"-micro{self.micro_batch_size}" if self.micro_batch_size else ""
        return f"{self.reduction}-{self.processes}{micro}"


ONE = Layout(1)
LAYOUTS = (Layout(2), Layout(4), Layout(1, 4), Layout(2, 4))
ORDERED = tuple(Layout(processes, 4, "in_order") for processes in (1, 2, 4))


def train(layout: Layout, folder: Path, steps: int, batch_size: int = 16) -> Path:
    """Train under a layout and return the run directory. Raises RuntimeError if it fails."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
    command = [sys.executable, *launcher, str(layout.processes), str(ROOT / "scripts" / "train.py")]
    command += ["--config", str(ROOT / "configs" / "tiny.yaml"), "--runs", str(folder)]
    flags = {
        **FLAGS,
        "--name": layout.name,
        "--train.max-steps": str(steps),
        "--train.batch-size": str(batch_size),
        "--train.micro-batch-size": str(layout.micro_batch_size),
        "--train.reduction": layout.reduction,
    }
    command += [part for pair in flags.items() for part in pair]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    run = folder / layout.name
    if done.returncode or read_world_size(run) != layout.processes:
        raise RuntimeError(f"{layout.name}: {done.stderr[-2000:]}")
    return run


def read_world_size(run: Path) -> int:
    return json.loads((run / "env.json").read_text())["world_size"]


def loss_gap(run: Path, reference: Path, rows: int = 20) -> float:
    """Return the largest relative difference of the first losses."""
    here, there = (read_rows(r / "metrics.jsonl")[:rows] for r in (run, reference))
    return max(abs(a["loss"] / b["loss"] - 1) for a, b in zip(here, there, strict=True))


def weights(run: Path, step: int) -> dict[str, torch.Tensor]:
    """Return the raw weights that have a true gradient, in float64."""
    snapshot = step_directory(run / "snapshots", step)
    parts = {
        **load_file(snapshot / "unet" / "diffusion_pytorch_model.safetensors"),
        **load_file(snapshot / "text_encoder" / "model.safetensors"),
    }
    return {name: w.double() for name, w in parts.items() if not name.endswith(NO_GRADIENT)}


def weight_gap(run: Path, reference: Path, steps: int) -> float:
    """Return ‖w − w'‖ / ‖w' − w_0‖ after `steps` steps; w' and w_0: of the reference."""
    w, other, start = weights(run, steps), weights(reference, steps), weights(reference, 0)
    return distance(w, other) / distance(other, start)


def distance(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    return sum((a[name] - b[name]).square().sum().item() for name in b) ** 0.5


def speed(run: Path) -> float:
    """Return images/s, median over the run."""
    return statistics.median(row["images_per_second"] for row in read_rows(run / "timings.jsonl"))


def compare(layouts: tuple[Layout, ...], reference: Path, folder: Path, steps: int) -> list[dict]:
    rows = []
    for layout in layouts:
        run = train(layout, folder, steps)
        rows.append(
            {
                "layout": layout.name,
                "loss_gap": loss_gap(run, reference),
                "weight_gap": weight_gap(run, reference, steps),
                "same_bits": same_bits(run, reference, steps),
                "images_per_second": round(speed(run), 1),
            }
        )
    return rows


def same_bits(run: Path, reference: Path, steps: int) -> bool:
    """Return whether metrics are equal, byte for byte, and weights, raw and averaged, and
    optimizer."""
    names = ["metrics.jsonl", *(f"state/step_{steps:08d}/{n}.safetensors" for n in STATE)]
    return all((run / n).read_bytes() == (reference / n).read_bytes() for n in names)


def costs(processes: int, turns: int, steps: int = 40, batch_size: int = 64) -> dict[str, float]:
    """Return the time of sums in order over that of the plain sum: of the same micro-batches, and
    of none.

    Medians over turns; in each turn all three train once, one after the other.
    """
    layouts = {
        "plain": Layout(processes),
        "micro": Layout(processes, 16),
        "in_order": Layout(processes, 16, "in_order"),
    }
    rates: dict[str, list[float]] = {name: [] for name in layouts}
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as folder:
            for name, layout in layouts.items():
                rates[name].append(speed(train(layout, Path(folder), steps, batch_size)))
    return {
        f"in_order_vs_{name}_{processes}": round(ratio(rates[name], rates["in_order"]), 2)
        for name in ("plain", "micro")
    }


def ratio(first: list[float], second: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(first, second, strict=True))


def differences(steps: int) -> list[dict]:
    """Return the table: sums in any order against one process, sums in order against one in
    order."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = compare(LAYOUTS, train(ONE, folder, steps), folder, steps)
        return table + compare(ORDERED[1:], train(ORDERED[0], folder, steps), folder, steps)


def print_table(table: list[dict]) -> None:
    print(f"{'layout':22s} {'losses':>9s} {'weights':>9s} {'bits':>6s} {'images/s':>9s}")
    for row in table:
        print(
            f"{row['layout']:22s} {row['loss_gap']:9.1e} {row['weight_gap']:9.1e} "
            f"{'same' if row['same_bits'] else 'other':>6s} {row['images_per_second']:9.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200, help="of the runs compared; 0: none")
    parser.add_argument("--turns", type=int, default=3, help="of the runs timed; 0: none")
    arguments = parser.parse_args()
    table = differences(arguments.steps) if arguments.steps else []
    times = [costs(n, arguments.turns) for n in (1, 2)] if arguments.turns else []
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, one thread a process, torch {torch.__version__}")
    print_table(table)
    print(json.dumps({"table": table, **{k: v for part in times for k, v in part.items()}}))


if __name__ == "__main__":
    main()
