"""Evaluations of the network that a score needs, as few as can be, and how fast images are drawn.

    python benchmarks/evaluate.py --run runs/quickstart     # about ten minutes

Trains nothing: all is drawn with the last snapshot of a run, and read by its probe.

*Evaluations.* The reference are the 50 ancestral steps of arXiv:2406.19370. Every sampler here with
6 to 8 evaluations per image draws the same prompts from the same noise as it, of one seed. Chosen
is the one whose joint accuracy differs least from the reference's (of equal ones, that with fewer
evaluations). It and the reference draw once more, from the noise of another seed, on which nothing
was chosen: they are equal if there the 90 % interval of the paired difference lies inside ±1.5
points. `evaluations_vs_p2`: 50 over the chosen one's evaluations per image; null if not equal.

*Seconds.* DDIM as an evaluation draws it, in tiles of 64, in turns with a plain diffusers pipeline
that is called prompt by prompt, of the same weights and number of steps.
`seconds_vs_pipeline_loop`: its seconds per image over ours, the median over turns.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import diffusers
import pandas as pd
import torch
from diffusers import DDPMScheduler
from machine import machine
from plain_pipeline import PlainPipeline
from transformers.utils.logging import disable_progress_bar

from analysis.tables.paired import paired_differences
from analysis.tables.trajectory import joint_right
from diffusion.pipeline import ConceptPipeline
from diffusion.processes import Processes, build_accelerator
from diffusion.sampler_names import SAMPLER_NAMES, check_sampler
from diffusion.samplers import make_sampler
from diffusion.sampling import TILE
from diffusion.snapshots import find_snapshot
from ground.endings import Mistake
from studies.experiment.config import Config
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import Plan, shown_plans
from studies.scoring.evaluate import Evaluator
from studies.scoring.units import snapshot_job, unscored
from studies.worlds.prompt_sets import PLAIN, prompts_of

MARGIN = 0.015
FEWEST, MOST = 6, 8  # evaluations per image of what is tried
P2_STEPS = 50
HEADER = f"{'sampler':18s} evaluations accuracy reference difference"


@dataclass(frozen=True)
class Way:
    """Way of drawing: a sampler, its steps, and how often it asks the network per image, without
    guidance."""

    sampler: str
    steps: int
    evaluations: int

    @property
    def name(self) -> str:
        return f"{self.sampler} {self.steps}"


def ways(schedule: DDPMScheduler, fewest: int = FEWEST, most: int = MOST) -> list[Way]:
    """Return all ways that there are with so many evaluations, on a model's noise schedule."""
    tried = [way_of(schedule, name, n) for name in SAMPLER_NAMES for n in range(1, most + 1)]
    return [way for way in tried if way and fewest <= way.evaluations <= most]


def way_of(schedule: DDPMScheduler, sampler: str, steps: int) -> Way | None:
    """Return a sampler with so many steps; None if it cannot have them."""
    try:
        check_sampler("", sampler, steps, schedule.config.num_train_timesteps)
    except Mistake:
        return None
    made = make_sampler(sampler, schedule.config, steps, noise=lambda t: torch.zeros(()))
    return Way(sampler, steps, len(made.timesteps))


class Study:
    """Study that draws and reads with the last snapshot of a run, below another folder than its
    own."""

    def __init__(self, run: RunDir, folder: Path, threads: int | None):
        self.config = _with_threads(run.read_config(), threads)
        self.folder = RunDir(folder.resolve() / run.path.name)
        self.folder.path.mkdir(parents=True, exist_ok=True)
        if not self.folder.snapshots.exists():
            self.folder.snapshots.symlink_to(run.snapshots.resolve())
        self.experiment, own = Experiment(self.config, self.folder), Experiment(self.config, run)
        self.experiment.certificate, self.experiment.probe = own.certificate, own.probe
        processes = Processes(build_accelerator(replace(self.config.train, tracker=None)))
        self.evaluator = Evaluator(self.experiment, processes)

    def plan(self, way: Way, seed: int, images: int) -> Plan:
        """Return the plan of at least so many images, as many of every combination."""
        return replace(
            shown_plans(self.config)[-1],
            sampler=way.sampler,
            num_inference_steps=way.steps,
            guidance_scale=1.0,
            eval_seed=seed,
            images_per_combination=-(-images // len(self.experiment.exam.questions[PLAIN])),
        )

    def right(self, way: Way, seed: int, images: int) -> pd.Series:
        """Return which images show all that was asked for; what is drawn already is only read."""
        plan = self.plan(way, seed, images)
        probe = self.experiment.probe_name
        self.evaluator.evaluate(unscored([snapshot_job(plan, self.folder, probe)]))
        return joint_right(self.experiment.scores([plan], probe))


def _with_threads(config: Config, threads: int | None) -> Config:
    return replace(config, train=replace(config.train, threads=threads))


def compare(way: Way, right: pd.Series, reference: pd.Series) -> dict[str, Any]:
    pairs = pd.DataFrame({"first": right, "second": reference})
    row: Any = paired_differences(pairs).to_dict("records")[0]
    return {**row, "way": way, "equal": -MARGIN < row["low_90"] and row["high_90"] < MARGIN}


def equality_study(
    study: Study, schedule: DDPMScheduler, seeds: tuple[int, int], images: tuple[int, int]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return what was tried on the first seed, and what was chosen on the second."""
    reference = way_of(schedule, "ddpm", P2_STEPS)
    if reference is None:
        raise Mistake(
            "--run: the reference is 50 ancestral steps, which its timesteps do not allow"
        )
    base = study.right(reference, seeds[0], images[0])
    tried = [compare(way, study.right(way, seeds[0], images[0]), base) for way in ways(schedule)]
    best = min(tried, key=lambda row: (abs(row["difference"]), row["way"].evaluations))["way"]
    again = [study.right(way, seeds[1], images[1]) for way in (best, reference)]
    return tried, compare(best, *again)


def seconds_per_image(draw: Callable[[list[str]], object], prompts: list[str]) -> float:
    start = time.perf_counter()
    draw(prompts)
    return (time.perf_counter() - start) / len(prompts)


def race(
    ours: ConceptPipeline, captions: list[str], turns: int, steps: int
) -> dict[str, list[float]]:
    """Return the seconds per image of every turn."""
    plain = PlainPipeline.like(ours)
    prompts: Iterator[str] = cycle(captions)
    ways: dict[str, tuple[Callable[[list[str]], object], int]] = {
        "tiles of 64": (lambda p: ours(p, num_inference_steps=steps), 2 * TILE),
        "pipeline loop": (lambda p: [plain(prompt, steps) for prompt in p], 8),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, (draw, count) in ways.items():
            value = seconds_per_image(draw, list(islice(prompts, count)))
            if turn:  # the first warms up
                seconds[name].append(value)
    return seconds


def line(row: dict[str, Any]) -> str:
    way = row["way"]
    points = [f"{100 * row[name]:+.2f}" for name in ("difference", "low_90", "high_90")]
    text = (
        f"{way.name:18s} {way.evaluations:11d} {row['first']:8.4f} {row['second']:9.4f} "
        f"{points[0]:>10s} [{points[1]}, {points[2]}]"
    )
    return f"{text} equal" if row["equal"] else text


def ratios(confirmed: dict[str, Any], seconds: dict[str, list[float]]) -> dict[str, float | None]:
    fewer = round(P2_STEPS / confirmed["way"].evaluations, 2) if confirmed["equal"] else None
    pairs = zip(seconds["pipeline loop"], seconds["tiles of 64"], strict=True)
    faster = round(statistics.median(plain / ours for plain, ours in pairs), 1)
    return {"evaluations_vs_p2": fewer, "seconds_vs_pipeline_loop": faster}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, default=Path("runs/quickstart"))
    parser.add_argument("--images", type=int, default=500, help="of every sampler tried")
    parser.add_argument("--confirm-images", type=int, default=2000, help="of the one chosen")
    parser.add_argument("--seeds", type=int, nargs=2, default=(1, 2), help="to choose, to confirm")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20, help="of DDIM, for the seconds")
    parser.add_argument("--threads", type=int, help="default: as many as cores")
    parser.add_argument("--samples", type=Path, help="where to keep what is drawn")
    arguments = parser.parse_args()
    disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        study = Study(RunDir(arguments.run), arguments.samples or Path(folder), arguments.threads)
        plan = shown_plans(study.config)[-1]
        directory = find_snapshot(study.folder.snapshots, plan.step)
        schedule = DDPMScheduler.from_pretrained(directory, subfolder="scheduler")
        images = (arguments.images, arguments.confirm_images)
        tried, confirmed = equality_study(study, schedule, tuple(arguments.seeds), images)
        asked = study.evaluator.questions[PLAIN]
        captions = [prompts_of(question, 1)[0] for question in asked]
        ours = ConceptPipeline.load(directory, plan.weights)
        seconds = race(ours, captions, arguments.turns, arguments.steps)
    print(
        f"{machine()}, {ours.device.type}, diffusers {diffusers.__version__}; "
        f"{arguments.run}, step {plan.step}, {plan.weights}"
    )
    print(f"tried, seed {arguments.seeds[0]}, {tried[0]['pairs']} pairs; points, [90 % interval]")
    print(HEADER, *map(line, tried), sep="\n")
    print(f"chosen, seed {arguments.seeds[1]}, {confirmed['pairs']} pairs\n{line(confirmed)}")
    print(f"DDIM {arguments.steps}, ms per image, median [lowest, highest]")
    for name, values in seconds.items():
        low, median, high = (1000 * f(values) for f in (min, statistics.median, max))
        print(f"{name:14s} {median:7.1f} [{low:.1f}, {high:.1f}]")
    print(json.dumps(ratios(confirmed, seconds)))


if __name__ == "__main__":
    main()
