"""Recipes of training: how long does each take until held-out combinations are right?

    python scripts/sweep.py run --config configs/studies/demo_recipes.yaml
    python benchmarks/recipes.py runs/demo_recipes

Reads the runs of a study whose first variant is what the others are compared with. Right: .95 of
the held-out images are read as asked in every concept, by an isotonic fit, linear in ln(step)
between two scored snapshots. Seconds: steps, times the median seconds of a step of the variant.
Seconds compare recipes that were trained side by side, on a machine whose load did not change.

Ends with one line of JSON: `time_to_95_vs_before` has, by variant, the ratio of geometric means
over the seeds; null where a seed does not get there.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from machine import machine

from analysis.tables.learning import learning_time_table
from analysis.tables.trajectory import accuracy_curves, final_accuracy
from studies.run_sets.run_set import RunSet, scores_by_run

RIGHT = 0.95  # of the held-out images, in every concept
SPLITS = ("train", "held_out")


def rows(runs: RunSet) -> Iterator[dict]:
    """Yield of every run that is scored its variant, seed, step and seconds to RIGHT (NaN: not by
    the last snapshot), and the joint accuracy of both splits at the end."""
    about = runs.settings.set_index("name")
    for scores in scores_by_run(runs.shown()):
        final = final_accuracy(accuracy_curves(scores)).set_index(["measure", "split"])["accuracy"]
        member = next(m for m in runs.members if (scores["run"] == m.name).any())
        times = learning_time_table(scores, RIGHT).set_index(["split", "measure"])["images_seen"]
        batch = runs.experiment(member).config.train.batch_size
        yield {
            "variant": about.loc[member.name, "variant"],
            "seed": member.seed,
            "step": times["held_out", "joint"] / batch,
            "seconds_per_step": seconds_per_step(member.run.path / "timings.jsonl"),
            **final["joint"].reindex(SPLITS).to_dict(),
        }


def seconds_per_step(timings: Path) -> float:
    """Return the median over the rows of a run's timings.jsonl, without saving."""
    table = pd.read_json(timings, lines=True)
    steps = table["step"].diff().fillna(table["step"])
    whole = steps > 0  # after a stop some steps are taken again
    return float(((table["seconds"] - table["saving_seconds"]) / steps)[whole].median())


def by_variant(found: pd.DataFrame) -> pd.DataFrame:
    """Return the mean row of each variant: geometric means of step and seconds, NaN where a seed
    has none."""
    groups = found.groupby("variant", sort=False)
    table = groups[[*SPLITS]].mean()
    table["least_held_out"] = groups["held_out"].min()
    table["step"] = groups["step"].apply(lambda own: float(np.exp(np.log(own).mean(skipna=False))))
    table["seconds"] = table["step"] * groups["seconds_per_step"].median()
    table["seeds"] = groups.size()
    return table


def time_to_95_vs_before(table: pd.DataFrame) -> dict[str, float | None]:
    """Return by variant the seconds until RIGHT over those of the first; None: not by the end."""
    ratios = table["seconds"] / table["seconds"].iloc[0]
    return {str(name): None if np.isnan(r) else round(r, 3) for name, r in ratios.items()}


def recipes(study: Path) -> pd.DataFrame:
    """Return the table of a finished study, a row per variant."""
    return by_variant(pd.DataFrame(rows(RunSet.of_folders([study]))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of a study, such as runs/demo_recipes")
    table = recipes(parser.parse_args().study)
    print(machine())
    print(table.round(3).to_string())
    print(json.dumps({"time_to_95_vs_before": time_to_95_vs_before(table)}))


if __name__ == "__main__":
    main()
