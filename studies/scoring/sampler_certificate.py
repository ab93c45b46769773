"""Certificate of the evaluation's sampler, made from scores: does it read like 250 ancestral steps?

At three snapshots the run's own images are compared with those of ancestral sampling (`ddpm`), from
the same noise and of the same weights, as its probe reads them: 128 images, or as many more as make
every combination as often. The snapshots are the last of each third of those that have learned
something: their joint accuracy is a tenth of the last one's or more, as the evaluation has it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from analysis.tables.paired import POOLED, format_differences, paired_differences
from analysis.tables.trajectory import joint_right
from diffusion.sampler_names import check_sampler
from diffusion.snapshots import snapshot_hash
from ground.endings import Mistake
from ground.files import read_json, write_json
from studies.experiment.config import Config
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import Plan, shown_plans
from studies.run.provenance import SNAPSHOT, belongs, snapshot_at
from studies.scoring.units import Job, snapshot_job
from studies.worlds.prompt_sets import PLAIN

REFERENCE, REFERENCE_STEPS = "ddpm", 250
IMAGES = 128
SNAPSHOTS = 3
LEARNED_SHARE = 0.1
RENEW = "scripts/evaluate.py --certify-sampler renews it"


@dataclass(frozen=True)
class Comparison:
    """Comparison of the images of one snapshot, drawn in both ways."""

    own: Plan
    reference: Plan


def check_comparable(config: Config) -> None:
    """Raise Mistake if the reference cannot be drawn, or is what the evaluation draws."""
    evaluate, timesteps = config.evaluate, config.objective.num_timesteps
    check_sampler("--certify-sampler: the reference's ", REFERENCE, REFERENCE_STEPS, timesteps)
    if (evaluate.sampler, evaluate.num_inference_steps) == (REFERENCE, REFERENCE_STEPS):
        raise Mistake(
            f"--certify-sampler: evaluate.sampler is the reference itself, {REFERENCE} with "
            f"{REFERENCE_STEPS} steps; allowed any other sampler or number of steps"
        )


def plan_comparisons(experiment: Experiment) -> list[Comparison]:
    """Return at which snapshots, and of which images, both ways are compared. All that is planned
    must be scored."""
    plans = shown_plans(experiment.config)
    accuracy = _right(experiment, plans).groupby("step").mean()
    steps, each = compared_steps(accuracy), -(-IMAGES // len(experiment.exam.questions[PLAIN]))
    return [_comparison(plan, each) for plan in plans if plan.step in steps]


def compared_steps(accuracy: pd.Series) -> list[int]:
    """Return the last of each third of the steps that have learned something.

    accuracy: joint accuracy in [0, 1] by step, in rising order.
    """
    learned = accuracy.index[accuracy >= LEARNED_SHARE * accuracy.iloc[-1]]
    places = {-(-len(learned) * part // SNAPSHOTS) - 1 for part in range(1, SNAPSHOTS + 1)}
    return [int(learned[place]) for place in sorted(places)]


def _comparison(plan: Plan, each: int) -> Comparison:
    """Return a comparison of the first of the evaluation's own images, unless there are too few."""
    fewest = replace(plan, images_per_combination=each)
    reference = replace(fewest, sampler=REFERENCE, num_inference_steps=REFERENCE_STEPS)
    return Comparison(plan if plan.images_per_combination >= each else fewest, reference)


def comparison_jobs(experiment: Experiment, comparisons: Iterable[Comparison]) -> list[Job]:
    """Return the jobs of all that is compared, some of which may be scored already."""
    plans = [plan for compared in comparisons for plan in (compared.own, compared.reference)]
    return [snapshot_job(plan, experiment.run, experiment.probe_name) for plan in plans]


def write_sampler_certificate(experiment: Experiment, comparisons: Sequence[Comparison]) -> str:
    """Write sampler_certificate.json from what was scored; return its table, to print."""
    run = experiment.run
    first = _right(experiment, [compared.own for compared in comparisons])
    second = _right(experiment, [compared.reference for compared in comparisons])
    right = pd.concat({"first": first, "second": second}, axis=1, join="inner")
    differences, ways = paired_differences(right), _ways(experiment.config)
    write_json(
        run.sampler_certificate,
        {
            "settings": _settings(experiment),
            SNAPSHOT: {str(c.own.step): _hash(run, c.own) for c in comparisons},
            "joint_accuracy": differences.to_dict("records"),
        },
    )
    return format_differences(differences, ways["first"], ways["second"])


def sampler_facts(experiment: Experiment) -> dict[str, str]:
    """Return what the report says of the sampler's certificate of a run; nothing if it has none."""
    run = experiment.run
    if not run.sampler_certificate.is_file():
        return {}
    certificate = read_json(run.sampler_certificate)
    ways, rows = _ways(experiment.config), certificate["joint_accuracy"]
    label = f"joint accuracy of {ways['first']} minus that of {ways['second']}"
    if certificate["settings"] != _settings(experiment):
        return {label: f"known for other settings; {RENEW}"}
    if other_weights(run, certificate):
        return {label: f"known for other weights, or not said for which; {RENEW}"}
    steps, pooled = [str(row["step"]) for row in rows if row["step"] != POOLED], rows[-1]
    return {
        label: f"{pooled['difference']:+.3f} [{pooled['low_95']:+.3f}, {pooled['high_95']:+.3f}] "
        f"of {pooled['pairs']} pairs of images, steps {', '.join(steps)}"
    }


def other_weights(run: RunDir, certificate: Mapping[str, Any]) -> list[int]:
    """Return the compared steps whose snapshots are not those that the certificate is of, as far as
    they are there. A certificate of an older version does not say: then all of those there."""
    known = certificate.get(SNAPSHOT, {})
    steps = [row["step"] for row in certificate["joint_accuracy"] if row["step"] != POOLED]
    return [s for s in steps if not belongs(known.get(str(s)), snapshot_at(run.snapshots, s))]


def _hash(run: RunDir, plan: Plan) -> str | None:
    snapshot = plan.snapshot(run)
    return snapshot_hash(snapshot) if snapshot else None


def _right(experiment: Experiment, plans: Sequence[Plan]) -> pd.Series:
    """Return `joint_right`, by step, combination and sample."""
    return joint_right(experiment.scores(plans, experiment.probe_name)).droplevel("run")


def _ways(config: Config) -> dict[str, str]:
    own = f"{config.evaluate.sampler} {config.evaluate.num_inference_steps}"
    return {"first": own, "second": f"{REFERENCE} {REFERENCE_STEPS}"}


def _settings(experiment: Experiment) -> dict[str, Any]:
    """Return the settings that a certificate holds for."""
    evaluate = experiment.config.evaluate
    return {
        "probe": experiment.probe_name,
        "weights": evaluate.weights,
        "guidance_scale": evaluate.guidance_scale,
        "seed": evaluate.seed,
        **_ways(experiment.config),
    }
