"""Start of a finished run: how long does it take to know that all of its snapshots are whole?

    python benchmarks/start.py [--snapshots 60] [--config configs/quickstart.yaml]

Writes snapshots of a config's model into a temporary folder, each with files of its own. Then two
commands ask which of them are whole, each in a process of its own: the first hashes every file, as
every command did before hashes were kept; the second finds them kept. Imports are not counted. Ends
with one line of JSON.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine

from diffusion.model import networks
from diffusion.optimizer import averaged_copy
from diffusion.pipeline import ConceptPipeline
from diffusion.snapshots import save_snapshot, step_directory
from ground.files import MANIFEST, read_json, write_json
from ground.kept_hashes import SETTLED_NS
from studies.experiment.config import read_config
from studies.run.directory import RunDir
from studies.run.opened import Experiment

ROOT = Path(__file__).resolve().parents[1]
LOOK = """
import sys, time
from pathlib import Path
from diffusion.snapshots import complete_steps
start = time.perf_counter()
found = len(complete_steps(Path(sys.argv[1])))
print(found, time.perf_counter() - start)
"""


def write_snapshots(folder: Path, config: Path, count: int) -> None:
    """Write as many snapshots of a new model and averages that differ from it."""
    experiment = Experiment(read_config(config), RunDir(folder))
    model = experiment.new_model()
    averages = averaged_copy(model)
    for weights in averages.parameters():
        weights.data.mul_(0.5)
    pipeline = ConceptPipeline.of(model, experiment.task.conditioning.prompts)
    first = save_snapshot(folder, 0, pipeline, networks(averages))
    for step in range(1, count):
        other = shutil.copytree(first, step_directory(folder, step))
        write_json(other / MANIFEST, {**read_json(first / MANIFEST), "step": step})


def seconds_to_look(folder: Path, count: int) -> float:
    """Return what one more command takes. Raises RuntimeError unless it finds all snapshots."""
    command = [sys.executable, "-c", LOOK, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found, seconds = done.stdout.split()
    if int(found) != count:
        raise RuntimeError(f"found {found} of {count} snapshots")
    return float(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--snapshots", type=int, default=60)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "quickstart.yaml")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, count = Path(name) / "snapshots", arguments.snapshots
        write_snapshots(folder, arguments.config, count)
        size = sum(file.stat().st_size for file in folder.rglob("*")) / 2**20
        time.sleep(1.5 * SETTLED_NS / 1e9)
        hashed, kept = (seconds_to_look(folder, count) for _ in range(2))
    print(machine())
    print(
        f"{count} snapshots, {size:.0f} MiB: {hashed:.2f} s if all is hashed, {kept:.3f} s if kept"
    )
    facts = {"snapshots": count, "MiB": round(size)}
    print(json.dumps({**facts, "hashed_s": round(hashed, 2), "kept_s": round(kept, 3)}))


if __name__ == "__main__":
    main()
