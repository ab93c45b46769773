"""Precisions beside each other: does a model learn in bf16 as it does in float32?

    python benchmarks/precisions.py [--seeds 5] [--out precisions] [--runs DIR]

Trains configs/tiny.yaml in both precisions from the same seeds (equal weights, images and noise),
some runs at a time with a thread each, and compares learning curves: mean loss of every stretch of
steps, and joint accuracy of every scored snapshot, with the 95 % interval over training seeds
(Student). Prints where the mean of one precision leaves the interval of the other, draws OUT.png
and ends with one line of JSON. Needs at least three seeds; DIR keeps the runs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from machine import machine
from matplotlib.figure import Figure
from scipy import stats

from analysis.figures.style import PALETTE, save_figure
from ground.files import read_rows
from studies.findings.run_findings import Findings
from studies.run.directory import RunDir
from studies.run.opened import Experiment

ROOT = Path(__file__).resolve().parents[1]
PRECISIONS = ("float32", "bf16")
STRETCH = 50  # steps whose losses are averaged
LABELS = {
    "loss": "mean loss of 50 steps",
    "train": "joint accuracy,\ntraining combinations",
    "held_out": "joint accuracy,\nheld-out combination",
}


def run(precision: str, seed: int, steps: int, runs: Path) -> RunDir:
    """Run an experiment to its end. Raises RuntimeError with what it said if it failed."""
    name = f"{precision}-{seed}"
    command = [sys.executable, str(ROOT / "scripts" / "run.py"), "--runs", str(runs)]
    command += ["--config", str(ROOT / "configs" / "tiny.yaml"), "--name", name]
    command += ["--seed", str(seed), "--train.precision", precision, "--train.threads", "1"]
    command += ["--train.max-steps", str(steps), "--evaluate.images-per-combination", "32"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    return RunDir(runs / name)


def curves(run: RunDir) -> Iterator[dict[str, Any]]:
    """Yield (curve, step, value) of one run."""
    losses = [row["loss"] for row in read_rows(run.path / "metrics.jsonl")]
    for start in range(0, len(losses), STRETCH):
        yield {"curve": "loss", "step": start, "value": np.mean(losses[start : start + STRETCH])}
    scored = Findings([Experiment.of_run(run)]).curves
    for row in scored[scored["measure"] == "joint"].to_dict("records"):
        yield {"curve": row["split"], "step": row["step"], "value": row["accuracy"]}


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return mean and 95 % interval over seeds, per precision, curve and step."""
    grouped = table.groupby(["precision", "curve", "step"])["value"]
    summary = grouped.agg(["mean", "std", "count"])
    half = summary["std"] / summary["count"] ** 0.5 * stats.t.ppf(0.975, summary["count"] - 1)
    return summary.assign(low=summary["mean"] - half, high=summary["mean"] + half)


def outside(summary: pd.DataFrame) -> dict[str, str]:
    """Return, per curve, at how many of its points the mean of bf16 lies outside float32's
    interval."""
    one: Any = summary.loc["float32"]
    other: Any = summary.loc["bf16"]
    away = (other["mean"] < one["low"] - 1e-9) | (other["mean"] > one["high"] + 1e-9)
    return {name: f"{points.sum()} of {len(points)}" for name, points in away.groupby("curve")}


def draw(summary: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(7.0, 2.6), layout="constrained")
    for panel, (curve, label) in zip(figure.subplots(1, 3), LABELS.items(), strict=True):
        for precision, colour, style in zip(PRECISIONS, PALETTE, ("-", "--"), strict=False):
            line: Any = summary.loc[precision, curve]
            panel.plot(line.index, line["mean"], style, color=colour, label=precision)
            panel.fill_between(line.index, line["low"], line["high"], color=colour, alpha=0.2)
        panel.set_title(label, fontsize=8)
        panel.set_xlabel("step", fontsize=8)
        if curve == "loss":
            panel.set_yscale("log")
            panel.legend(fontsize=8, frameon=False)
        else:
            panel.set_ylim(0, max(0.1, 1.05 * panel.get_ylim()[1]))
        panel.tick_params(which="both", labelsize=8)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--out", type=Path, default=Path("precisions"))
    parser.add_argument("--runs", type=Path)
    arguments = parser.parse_args()
    jobs = [(name, seed) for seed in range(arguments.seeds) for name in PRECISIONS]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(arguments.jobs) as pool:
        runs = arguments.runs or Path(folder)
        done = list(pool.map(lambda job: run(job[0], job[1], arguments.steps, runs), jobs))
        rows = [
            {"precision": name, "seed": seed, **row}
            for (name, seed), finished in zip(jobs, done, strict=True)
            for row in curves(finished)
        ]
    summary = summarise(pd.DataFrame(rows))
    print(f"{machine()}, {arguments.seeds} seeds")
    print(summary[["mean", "low", "high"]].round(4).unstack("precision").to_string())
    save_figure(draw(summary), arguments.out)
    print(json.dumps({"bf16_outside_float32_interval": outside(summary)}))


if __name__ == "__main__":
    main()
