"""Studies of many runs: what does a run cost beyond its work, and what are two slots worth?

    python benchmarks/sweep.py [--runs 12] [--steps 40]

Runs one study of nano models four times: as straight runs, one after the other in this process; in
one slot of one thread; in two slots of one thread; in one slot of two threads. All find their probe
made. `overhead_s_per_run` is what one slot takes longer than the straight runs, start and imports
included, over the number of runs. Ends with one line of JSON.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from machine import machine

from studies.many.folder import StudyFolder
from studies.many.study import read_study
from studies.run.opened import Experiment
from studies.stages import probe_stage, run_experiment

ROOT = Path(__file__).resolve().parents[1]
STUDY = """
name: {name}
question: What does a study cost?
experiment: {root}/configs/swingby_2x2.yaml
base:
  world.num_images: 1024
  train: {{max_steps: {steps}, snapshots: "linear:2", state_every: 100, threads: {threads}}}
  train.warmup_steps: 10
  probe: {{steps: 100, gate: 0.0}}
  evaluate: {{images_per_combination: 8, final_images_per_combination: 8, snapshots: "linear:2"}}
variants: {{only: {{}}}}
seeds: {{count: {runs}}}
"""
LAYOUTS: Mapping[str, tuple[int, int]] = {  # slots and threads of each
    "one_slot": (1, 1),
    "two_slots": (2, 1),
    "one_slot_of_two_threads": (1, 2),
}


def write_study(folder: Path, name: str, threads: int, runs: int, steps: int) -> Path:
    path = folder / f"{name}.yaml"
    text = STUDY.format(name=name, root=ROOT, threads=threads, runs=runs, steps=steps)
    path.write_text(text)
    return path


def straight_seconds(folder: Path, runs: int, steps: int) -> float:
    """Return the seconds of straight runs; makes the probe before, untimed."""
    study = read_study(write_study(folder, "straight", 1, runs, steps))
    own = StudyFolder(folder / "straight")
    experiments = [Experiment(planned.config, own.run(planned.name)) for planned in study.runs]
    experiments[0].run.claim(experiments[0].config)
    probe_stage(experiments[0], print)
    started = time.perf_counter()
    for experiment in experiments:
        run_experiment(experiment, lambda line: None)
    return time.perf_counter() - started


def study_seconds(folder: Path, name: str, runs: int, steps: int) -> float:
    """Return the seconds of the whole command on a study. Raises RuntimeError if it fails."""
    slots, threads = LAYOUTS[name]
    file = write_study(folder, name, threads, runs, steps)
    shutil.copytree(folder / "straight" / ".shared", folder / name / ".shared")
    command = [sys.executable, str(ROOT / "scripts" / "sweep.py"), "run", "--config", str(file)]
    started = time.perf_counter()
    done = subprocess.run(
        [*command, "--runs", str(folder), "--slots", str(slots)], capture_output=True, text=True
    )
    if done.returncode or not re.search(rf"{runs} done", done.stdout):
        raise RuntimeError(f"{name}: {done.stdout}{done.stderr}")
    return time.perf_counter() - started


def measure(runs: int, steps: int) -> dict[str, float]:
    """Return the seconds of the straight runs, and of the study in every layout."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = {"straight": straight_seconds(folder, runs, steps)}
        for layout in LAYOUTS:
            seconds[layout] = study_seconds(folder, layout, runs, steps)
        return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--steps", type=int, default=40, help="of training, of each run")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seconds = measure(arguments.runs, arguments.steps)
    print(machine())
    for name, value in seconds.items():
        print(f"{name:24s} {value:8.1f} s")
    one, two = seconds["one_slot"], seconds["two_slots"]
    result = {
        "runs": arguments.runs,
        "overhead_s_per_run": round((one - seconds["straight"]) / arguments.runs, 2),
        "two_slots_vs_one": round(one / two, 2),
        "two_slots_vs_two_threads": round(seconds["one_slot_of_two_threads"] / two, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
