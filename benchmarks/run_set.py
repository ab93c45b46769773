"""Accuracy of a hundred synthetic runs, read as one table: how long it takes, how much memory.

    python benchmarks/run_set.py                       100 runs × 60 snapshots × 32 images
    python benchmarks/run_set.py --runs 20 --keep DIR  fewer, and their folder stays
    python benchmarks/run_set.py --report              writes the report of a study of them, too

The runs have everything that a reader needs and no weights: a config, and scores of eight
combinations of three concepts at every snapshot. A concept is learned at a time that falls with its
signal and varies with the seed. What is timed is reading alone, in a process of its own; of the
report, CPU seconds of the first one, which measures every run, and of the next, which finds what
the first has kept.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from classifiers.certificate import probe_name
from classifiers.scores import write_part
from data_gen.world import WorldConfig
from diffusion.snapshots import step_directory
from ground.files import MANIFEST, hash_file, write_directory, write_json, write_text
from studies.experiment.config import Config, read_config, to_yaml
from studies.findings.run_findings import Findings
from studies.findings.study_report import write_study_report
from studies.run.certificate import PROBE_VERSION
from studies.run.directory import RunDir
from studies.run.plans import shown_plans
from studies.run.provenance import SNAPSHOT
from studies.run_sets.discovery import members_in
from studies.run_sets.members import RunStatus, Study
from studies.run_sets.run_set import RunSet

ROOT = Path(__file__).resolve().parents[1]
CONCEPTS = {"shape": ("circle", "square"), "color": ("red", "blue"), "size": ("large", "small")}
COMBINATIONS = [*product(*CONCEPTS.values())]
HELD_OUT = "square blue small"
SIGNALS = (0.2, 0.3, 0.4, 0.5, 0.7)


def synthetic_config(name: str, seed: int, signal: float, snapshots: int, images: int) -> Config:
    """Return the config of a run on 2 × 2 × 2 combinations of which (square, blue, small) is held
    out."""
    config = read_config(ROOT / "configs" / "tiny.yaml")
    assert isinstance(config.world, WorldConfig)
    color = replace(config.world.concepts["color"], signal=signal)
    world = replace(config.world, concepts={**config.world.concepts, "color": color})
    schedule = f"linear:{snapshots}"
    return replace(
        config,
        name=name,
        seed=seed,
        world=world,
        train=replace(config.train, max_steps=10 * snapshots, snapshots=schedule),
        evaluate=replace(
            config.evaluate,
            snapshots=schedule,
            images_per_combination=images,
            final_images_per_combination=images,
        ),
    )


def learning_steps(config: Config) -> np.ndarray:
    """Return the steps at which half of the images show each concept as asked, (concepts,).

    The step of color falls with its signal, as its power −1; each varies by a tenth with the seed.
    """
    assert isinstance(config.world, WorldConfig)
    signal = config.world.concepts["color"].signal or 1.0
    middle = config.train.max_steps * np.array([0.1, 0.05 / signal, 0.15])
    return middle * np.exp(0.1 * np.random.default_rng(config.seed).normal(size=3))


def synthetic_scores(config: Config, probe: str, step: int) -> pd.DataFrame:
    """Return the scores of one snapshot. Image k has the same luck at every snapshot, of every
    run."""
    images = config.evaluate.images_per_combination
    luck = np.random.default_rng(config.evaluate.seed).random((len(COMBINATIONS), images, 3))
    p = 1 / (1 + (learning_steps(config) / (step + 1)) ** 4)
    right = (luck < p).ravel()
    combination, sample, concept = (place.ravel() for place in np.indices(luck.shape))
    places = [np.arange(8) >> (2 - k) & 1 for k in range(3)]  # of the words of COMBINATIONS
    asked = np.stack(places, 1)[combination, concept]
    words, names = np.array([*CONCEPTS.values()]), np.array([" ".join(c) for c in COMBINATIONS])
    sure = np.where(right, 0.9, 0.1)
    rows = {
        "combination": names[combination],
        "split": np.where(names == HELD_OUT, "held_out", "train")[combination],
        "prompt": np.char.add("a ", names)[combination],
        "sample": sample,
        "concept": np.array([*CONCEPTS])[concept],
        "target": words[concept, asked],
        "predicted": words[concept, np.where(right, asked, 1 - asked)],
        "p_target": sure,
        "probabilities": [*np.stack([sure, 1 - sure], 1)],
        "target_value": np.nan,
        "predicted_value": np.nan,
    }
    how = config.evaluate
    same = {
        "run": config.name,
        "train_seed": config.seed,
        "step": step,
        "images_seen": step * config.train.batch_size,
        "weights": how.weights,
        "intervention": "none",
        "sampler": how.sampler,
        "num_inference_steps": how.num_inference_steps,
        "guidance_scale": how.guidance_scale,
        "eval_seed": how.seed,
        "probe": probe,
    }
    return pd.DataFrame({**rows, **same})


def write_run(runs: Path, config: Config) -> RunDir:
    """Write a run directory as an evaluated training leaves it, but for weights and samples."""
    run = RunDir(runs / config.name)
    write_text(run.config_file, to_yaml(config))
    certificate = {"identity": {"version": PROBE_VERSION, "world": config.world.kind}}
    write_directory(run.probe, lambda p: write_json(p / "certificate.json", certificate))
    name = probe_name(certificate)
    for plan in shown_plans(config):
        manifest = step_directory(run.snapshots, plan.step) / MANIFEST
        write_json(manifest, {"step": plan.step, "run": config.name})
        scores = synthetic_scores(config, name, plan.step)
        write_part(plan.part(run, name), scores, {SNAPSHOT: hash_file(manifest)})
    write_json(run.path / "status.json", {w: {"state": "done"} for w in ("train", "evaluate")})
    return run


def write_runs(runs: Path, count: int, snapshots: int, images: int) -> None:
    """Write runs of five signals, with as many seeds as make `count`."""
    for number in range(count):
        seed, place = divmod(number, len(SIGNALS))
        name = f"signal-{SIGNALS[place]}-seed{seed}"
        write_run(runs, synthetic_config(name, seed, SIGNALS[place], snapshots, images))


def read(folder: Path) -> dict[str, float]:
    """Read the accuracy of every run of a folder; return how long it took, and the peak of
    memory."""
    start = time.perf_counter()
    run_set = RunSet.of_folders([folder])
    curves = Findings.of(run_set).curves
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": round(seconds, 2), "peak_gib": round(peak, 2), "rows": len(curves)}


def report(folder: Path) -> dict[str, float]:
    """Write the report of all runs of a folder as a study, twice; return the CPU seconds."""
    study = Study("synthetic", "How long does a report take?", members_in([folder]))
    statuses = [RunStatus(member.name, "done", "evaluate", 1, 1) for member in study.runs]
    seconds = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in ("report_cpu_s", "next_report_cpu_s"):
            start = time.process_time()
            write_study_report(study, statuses, Path(temporary))
            seconds[name] = round(time.process_time() - start, 2)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--snapshots", type=int, default=60)
    parser.add_argument("--images", type=int, default=32, help="of each of 8 combinations")
    parser.add_argument("--keep", type=Path, help="write the runs there, and leave them")
    parser.add_argument("--report", action="store_true", help="write a study's report, too")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        found = read(arguments.read) | (report(arguments.read) if arguments.report else {})
        return print(json.dumps(found))
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary) / "runs"
        if not folder.is_dir():
            write_runs(folder, arguments.runs, arguments.snapshots, arguments.images)
        flags = ["--report"] if arguments.report else []
        subprocess.run([sys.executable, __file__, "--read", str(folder), *flags], check=True)


if __name__ == "__main__":
    main()
