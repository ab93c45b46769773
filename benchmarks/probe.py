"""Probe of a world of shapes: how many core-minutes until it is certified?

    python benchmarks/probe.py [--config configs/worlds/p1_swingby.yaml] [--sizes 32 64]

Makes the world's probe at each image size, with the steps, batch and width of the defaults, on one
thread, and prints what it says on the way. Seconds are those of the processor, so that other
programs do not count. `whole` is how many of them all steps of the older probe would take, which
read images as they are: a few of its steps, times their number. Ends with one line of JSON.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from machine import machine

from classifiers.probe import train_probe
from classifiers.probe_config import ProbeConfig
from studies.experiment.config import Config, read_config
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.scoring.probing import ensure_probe

ROOT = Path(__file__).resolve().parents[1]
MEASURED = 3  # steps of the older probe


def make(config: Config) -> dict[str, Any]:
    """Return core-minutes of a probe, its steps, and the least accuracy of a concept."""
    with tempfile.TemporaryDirectory() as folder:
        experiment, start = Experiment(config, RunDir(Path(folder) / "run")), time.process_time()

        def say(line: str) -> None:
            print(f"{time.process_time() - start:7.1f} s  {line}", flush=True)

        ensure_probe(experiment, say)
        seconds, certificate = time.process_time() - start, experiment.certificate
    least = min(concept["accuracy"] for concept in certificate["concepts"].values())
    return {
        "core_minutes": round(seconds / 60, 2),
        "steps": certificate["steps"],
        "least_accuracy": round(least, 4),
    }


def whole_minutes(config: Config) -> float:
    """Return core-minutes of all steps on images that are not folded."""
    source, probe = Experiment(config, RunDir(Path("none"))).images, config.probe
    draw = source.probe_images(replace(probe, certificate_images=64)).draw
    times = [time.process_time()]
    train_probe(
        source.heads,
        replace(probe, steps=MEASURED + 1),
        draw,
        lambda step, loss: times.append(time.process_time()),
    )
    return probe.steps * (times[-1] - times[1]) / MEASURED / 60


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, default=ROOT / "configs/worlds/p1_swingby.yaml")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64], help="sides in px")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    given, result = read_config(arguments.config), dict[str, Any]()
    for size in arguments.sizes:
        config = replace(given, world=replace(given.world, image_size_px=size), probe=ProbeConfig())
        found = {**make(config), "whole_core_minutes": round(whole_minutes(config), 1)}
        result |= {f"{name}_{size}px": value for name, value in found.items()}
    print(machine())
    print(json.dumps(result))


if __name__ == "__main__":
    main()
