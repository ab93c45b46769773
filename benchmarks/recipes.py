"""Recipes of training: how long does each take until held-out combinations are right?

    python scripts/sweep.py run --config configs/studies/demo_recipes.yaml
    python benchmarks/recipes.py runs/demo_recipes

Reads the runs of a study whose first variant is what the others are compared with. Right: .95 of
the held-out images are read as asked in every concept, by an isotonic fit, linear in ln(step)
between two scored snapshots. Seconds: those steps, times what a step of the recipe takes now, in
blocks of steps that take turns with the other recipes'. So other programs slow all alike.

Ends with one line of JSON: `time_to_95_vs_before` has, by variant, the ratio of geometric means
over the seeds; null where a seed does not get there.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from machine import machine

from analysis.tables.learning import learning_time_table
from analysis.tables.trajectory import accuracy_curves, final_accuracy
from diffusion.processes import Processes, build_accelerator
from diffusion.train import Trainer
from studies.experiment.config import Config
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run_sets.run_set import RunSet, scores_by_run

RIGHT = 0.95  # of the held-out images, in every concept
SPLITS = ("train", "held_out")


def rows(runs: RunSet) -> Iterator[dict]:
    """Yield of every run that is scored its variant, seed, steps and images until RIGHT (NaN: not
    by the last snapshot), and the joint accuracy of both splits at the end."""
    for scores in scores_by_run(runs.shown()):
        final = final_accuracy(accuracy_curves(scores)).set_index(["measure", "split"])["accuracy"]
        member = next(m for m in runs.members if (scores["run"] == m.name).any())
        times = learning_time_table(scores, RIGHT).set_index(["split", "measure"])["images_seen"]
        images = times["held_out", "joint"]
        yield {
            "variant": variant_of(member.name),
            "seed": member.seed,
            "steps": images / runs.experiment(member).config.train.batch_size,
            "images": images,
            **final["joint"].reindex(SPLITS).to_dict(),
        }


def variant_of(run: str) -> str:
    """Return the variant of a run of a study, such as "linear" of linear-seed0."""
    return run.rpartition("-seed")[0]


def step_seconds(runs: RunSet, turns: int, steps: int) -> dict[str, float]:
    """Return the median seconds of a step of each variant, in blocks that take turns."""
    first = {variant_of(member.name): member for member in reversed(runs.members)}
    with TemporaryDirectory() as folder:
        trainers = {
            name: trainer_of(runs.experiment(member).config, Path(folder) / name)
            for name, member in first.items()
        }
        seconds: dict[str, list[float]] = {name: [] for name in trainers}
        for _ in range(turns):
            for name, trainer in trainers.items():
                trainer._train_step()  # caches come back
                start = time.perf_counter()
                for _ in range(steps):
                    trainer._train_step()
                seconds[name].append((time.perf_counter() - start) / steps)
    return {name: median(own) for name, own in seconds.items()}


def trainer_of(config: Config, folder: Path) -> Trainer:
    """Return a new training of a config, on one thread as in a slot of a study."""
    config = replace(config, train=replace(config.train, threads=1))
    experiment = Experiment(config, RunDir(folder))
    folder.mkdir()
    return Trainer(
        experiment.task.load()[0],
        experiment.new_model(),
        experiment.task.conditioning.prompts,
        config.train,
        seed=config.seed,
        directory=folder,
        processes=Processes(build_accelerator(config.train)),
    )


def by_variant(found: pd.DataFrame, seconds: Mapping[str, float]) -> pd.DataFrame:
    """Return the mean row of each variant: geometric means of steps and images, NaN where a seed
    has none."""
    groups = found.groupby("variant", sort=False)
    table = groups[[*SPLITS]].mean()
    table["least_held_out"] = groups["held_out"].min()
    for name in ("steps", "images"):
        table[name] = groups[name].apply(lambda own: float(np.exp(np.log(own).mean(skipna=False))))
    table["seconds_per_step"] = pd.Series(seconds)
    table["seconds"] = table["steps"] * table["seconds_per_step"]
    table["seeds"] = groups.size()
    return table


def time_to_95_vs_before(table: pd.DataFrame) -> dict[str, float | None]:
    """Return by variant the seconds until RIGHT over those of the first; None: not by the end."""
    ratios = table["seconds"] / table["seconds"].iloc[0]
    return {str(name): None if np.isnan(r) else round(r, 3) for name, r in ratios.items()}


def recipes(study: Path, turns: int = 10, steps: int = 4) -> pd.DataFrame:
    """Return the table of a finished study, a row per variant."""
    runs = RunSet.of_folders([study])
    return by_variant(pd.DataFrame(rows(runs)), step_seconds(runs, turns, steps))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of a study, such as runs/demo_recipes")
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--steps", type=int, default=4, help="timed ones of a turn")
    table = recipes(**vars(parser.parse_args()))
    print(machine())
    print(table.round(3).to_string())
    print(json.dumps({"time_to_95_vs_before": time_to_95_vs_before(table)}))


if __name__ == "__main__":
    main()
