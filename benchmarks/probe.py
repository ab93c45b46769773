"""Probe of a world of shapes: how many core-minutes until it is certified?

    python benchmarks/probe.py                             # P1's world, at 32 and at 64 px
    python benchmarks/probe.py configs/worlds/p*.yaml      # others, each at its own size

Makes the probe of each world and image size, as the file of the world has it, on one thread, and
prints what it says on the way; a probe that its gate refuses is named, and the next one is made.
Seconds are those of the processor, so that other programs do not count. `whole` is how many of them
all steps of the older probe would take, which read images as they are: a few of its steps, times
their number. Ends with one line of JSON.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from machine import machine

from classifiers.certificate import ProbeRefused
from classifiers.probe import train_probe
from studies.experiment.config import Config, read_config
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.scoring.probing import ensure_probe

ROOT = Path(__file__).resolve().parents[1]
P1, SIZES = ROOT / "configs/worlds/p1_swingby.yaml", (32, 64)
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
    parser.add_argument("config", type=Path, nargs="*", default=[P1], help="of worlds of shapes")
    parser.add_argument("--sizes", type=int, nargs="*", help="sides in px; default: as above")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for path in arguments.config:
        given = read_config(path)
        own = SIZES if path == P1 and len(arguments.config) == 1 else (given.world.image_size_px,)
        for size in arguments.sizes or own:
            world = replace(given.world, image_size_px=size)
            config = replace(given, world=world)
            print(f"{path.stem}, {size} px")
            try:
                made = {**make(config), "whole_core_minutes": round(whole_minutes(config), 1)}
            except ProbeRefused as refusal:
                made = {"refused": str(refusal)}
            found[f"{path.stem}_{size}px"] = made
    print(machine())
    print(pd.DataFrame(found).T.to_string())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
