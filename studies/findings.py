"""From a run's scores to its table, figures and report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.certificates import degradation_figure
from analysis.figures import (
    accuracy_figure,
    sample_grid_figure,
    save_figure,
    short_count,
    trajectory_figure,
)
from analysis.prompts import prompt_figure
from analysis.report.build import Neighbour, Report, write_report
from analysis.trajectory import (
    accuracy_curves,
    concept_trajectories,
    final_accuracy,
    format_accuracy,
    prompt_effect,
)
from classifiers.certificate import probe_name
from data_gen.dataset import Dataset
from data_gen.endings import Mistake
from data_gen.files import hash_file, hash_json, read_json, read_rows, write_json
from data_gen.leaks import LeakReport
from data_gen.world import World
from studies.config import Config, scored_weights, to_dict, to_yaml
from studies.evaluate import read_planned_scores
from studies.plans import MEMORISER, RENDER, planned_parts, shown_plans
from studies.probing import read_certificate
from studies.prompt_findings import curves_of_prompts, rows_of_prompts
from studies.run_dir import RunDir
from studies.samples import load_samples

BOOTSTRAP_SEED = 0
REPORT_VERSION = 3  # raise it when figures or report change
SOURCES = "sources.json"


@dataclass(frozen=True)
class Findings:
    """The scores of one or more runs of one world, and what is read from them."""

    runs: Sequence[RunDir]
    configs: Sequence[Config]
    world: World

    @cached_property
    def certificate(self) -> dict[str, Any]:
        return read_certificate(self.runs[0])

    @cached_property
    def scores(self) -> pd.DataFrame:
        tables = []
        for run, config in zip(self.runs, self.configs, strict=True):
            probe = probe_name(read_certificate(run))
            tables.append(read_planned_scores(run, config, probe))
        return pd.concat(tables, ignore_index=True)

    @cached_property
    def curves(self) -> pd.DataFrame:
        return accuracy_curves(self.scores, rng=np.random.default_rng(BOOTSTRAP_SEED))

    @cached_property
    def trajectories(self) -> pd.DataFrame:
        return concept_trajectories(self.scores, rng=np.random.default_rng(BOOTSTRAP_SEED))

    @cached_property
    def prompt_curves(self) -> pd.DataFrame:
        """Of the first run, other prompts beside the captions."""
        probe = probe_name(self.certificate)
        return curves_of_prompts(self.runs[0], self.configs[0], probe, BOOTSTRAP_SEED)

    def prompt_rows(self) -> list[dict[str, str]]:
        """Of the first run, other prompts beside the captions at the last snapshot, if any."""
        config = self.configs[0]
        asked = config.evaluate.prompts
        return rows_of_prompts(self.prompt_curves, config, self.world) if asked else []

    @property
    def chance(self) -> dict[str, float]:
        """Accuracy of guessing evenly, per concept and joint."""
        single = {name: 1 / len(values) for name, values in self.world.space.items()}
        return {**single, "joint": 1 / len(self.world.space)}

    def table(self) -> str:
        """Accuracy at the last snapshot, ready to print."""
        return format_accuracy(final_accuracy(self.curves), self.world.space.names)

    def tables(self) -> dict[str, str]:
        """`table` of the shown weights, and where the others are scored too, of both by name."""
        if not self.configs[0].evaluate.both_weights:
            return {"": self.table()}
        return {f", {name}": findings.table() for name, findings in self._by_weights.items()}

    @cached_property
    def _by_weights(self) -> dict[str, "Findings"]:
        """The same of every kind of weights that is scored, the shown ones first."""
        return {
            name: self if name == self.configs[0].evaluate.weights else self._showing(name)
            for name in scored_weights(self.configs[0].evaluate)
        }

    def _showing(self, weights: Any) -> "Findings":
        shown = [replace(c, evaluate=replace(c.evaluate, weights=weights)) for c in self.configs]
        return replace(self, configs=shown)

    def weights(self) -> str:
        """Which weights are shown, and how others compare."""
        shown, *others = self._by_weights
        return "; ".join([f"{shown} shown", *(f"{n}: {self._joint(n)}" for n in others)])

    def _joint(self, weights: str) -> str:
        final = final_accuracy(self._by_weights[weights].curves)
        joint = final[final["measure"] == "joint"].set_index("split")["accuracy"]
        splits = [split for split in ("train", "held_out") if split in joint.index]
        return "joint accuracy " + ", ".join(f"{split} {joint[split]:.3f}" for split in splits)

    def first_step_accuracy(self) -> float:
        """Joint accuracy over all combinations at the first scored step."""
        generated = self.scores[~self.scores["run"].isin([RENDER, MEMORISER])]
        return _joint_accuracy(generated[generated["step"] == generated["step"].min()])

    def ceiling(self) -> float:
        """Joint accuracy of true renders of all combinations through the same probe."""
        return _joint_accuracy(self.scores[self.scores["run"] == RENDER])

    def floor(self) -> str:
        """Joint accuracy of the memoriser, per split: what copying alone would reach."""
        rows = self.scores[self.scores["run"] == MEMORISER]
        splits = [s for s in ("train", "held_out") if s in set(rows["split"])]
        return ", ".join(f"{s} {_joint_accuracy(rows[rows['split'] == s]):.3f}" for s in splits)

    def prompt_effect(self) -> str:
        """What `trajectory.prompt_effect` finds, per concept."""
        effects = prompt_effect(self.scores)
        return ", ".join(f"{concept} {effect:.2f}" for concept, effect in effects.items())

    def draw(self, directory: Path) -> dict[str, Any]:
        """Write accuracy, trajectories and a sample grid per run; returns the figures."""
        directory.mkdir(parents=True, exist_ok=True)
        figures = {"accuracy": accuracy_figure(self.curves, self.chance)}
        if self.world.split.held_out:
            figures["trajectories"] = trajectory_figure(self.trajectories)
        if len(self.runs) == 1:
            figures["certificate"] = degradation_figure(degradation(self.certificate))
        if len(self.runs) == 1 and self.configs[0].evaluate.prompts:
            figures["prompts"] = prompt_figure(self.prompt_curves)
        for run, config in zip(self.runs, self.configs, strict=True):
            name = "samples" if len(self.runs) == 1 else f"samples-{config.name}"
            figures[name] = sample_grid(run, config, self.world)
        for name, figure in figures.items():
            save_figure(figure, directory / name)
        return figures


def _joint_accuracy(scores: pd.DataFrame) -> float:
    """Share of images with every concept right."""
    right = scores["predicted"] == scores["target"]
    keys = [scores[key] for key in ("run", "combination", "sample")]
    return float(right.groupby(keys).min().mean())


def sample_grid(run: RunDir, config: Config, world: World) -> Any:
    """Rows: held-out prompts (all, if none is held out); columns: snapshots; sample 0 of each."""
    shown = world.split.held_out or world.split.train
    rows = [world.space.index(combination) for combination in shown]
    plans = shown_plans(config)
    columns = [load_samples(plan.samples_file(run))[rows, 0] for plan in plans]
    return sample_grid_figure(
        np.stack(columns, axis=1),
        [world.captioner.write(combination) for combination in shown],
        [short_count(plan.images_seen) for plan in plans],
    )


def nearest_training_images(
    run: RunDir, config: Config, world: World, data: Dataset
) -> list[Neighbour]:
    """For each held-out combination, sample 0 of the last snapshot beside its nearest neighbour.

    Distance: root mean square over pixels and channels, in grey levels.
    """
    samples = load_samples(shown_plans(config)[-1].samples_file(run))
    training = data.images.permute(0, 2, 3, 1).numpy().astype(np.float32)
    neighbours = []
    for combination in world.split.held_out:
        sample = samples[world.space.index(combination), 0]
        distance = np.sqrt(((training - sample) ** 2).mean(axis=(1, 2, 3)))
        i = int(distance.argmin())
        neighbours.append(
            Neighbour(
                prompt=world.captioner.write(combination),
                sample=sample,
                nearest=training[i].astype(np.uint8),
                nearest_caption=data.captions[int(data.caption[i])],
                distance=float(distance[i]),
            )
        )
    return neighbours


def speed_facts(run: RunDir) -> dict[str, str]:
    """Training images/s (median over all of it), peak memory of its first process, and the share
    of its time spent on writing snapshots and states."""
    rows = read_rows(run.path / "timings.jsonl")
    speed = float(np.median([row["images_per_second"] for row in rows]))
    peak = max(row["peak_memory_mib"] for row in rows)
    facts = {"images/s": f"{speed:.0f}", "peak memory": f"{peak / 1024:.2f} GiB"}
    if "saving_seconds" in rows[0]:  # runs of older versions did not measure it
        saving = sum(row["saving_seconds"] for row in rows) / sum(row["seconds"] for row in rows)
        facts["saving"] = f"{saving:.1%} of the time"
    return facts


def degradation(certificate: Mapping[str, Any]) -> pd.DataFrame:
    """The certificate's curves under noise and blur, as `degradation_figure` takes them."""
    rows = [
        {"instrument": instrument, **row}
        for instrument, curve in certificate["degradation"].items()
        for row in curve
    ]
    return pd.DataFrame(rows)


def certificate_facts(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """All that the report says of the probe beside its figure."""
    unsure = {kind: f"{share:.1%}" for kind, share in certificate["unsure"].items()}
    concepts = certificate["concepts"].items()
    oracle = certificate["oracle"]
    agreement = {name: f"{share:.4f}" for name, share in oracle["agreement"].items()}
    return {
        **probe_facts(certificate),
        "calibration error": {name: f"{c['calibration_error']:.4f}" for name, c in concepts},
        "confusion, true values down, read ones across": {
            name: "; ".join(
                f"{value}: {' '.join(map(str, row))}"
                for value, row in zip(c["values"], c["confusion"], strict=False)
            )
            for name, c in concepts
        },
        "unsure, that is, taken for no scene": unsure,
        "agreement with the oracle, which fits the renderer and learns nothing": agreement,
    }


def probe_facts(certificate: Mapping[str, Any]) -> dict[str, str]:
    """Clean accuracy per concept, to print and to report."""
    images = certificate["num_images"]
    return {
        f"{name}, clean accuracy": f"{concept['accuracy']:.4f} of {images} renders"
        for name, concept in certificate["concepts"].items()
    }


def write_run_report(
    findings: Findings, data: Dataset, leaks: LeakReport, figures: Mapping[str, Any]
) -> None:
    """report.html of one run."""
    run, config, world = findings.runs[0], findings.configs[0], findings.world
    captions = {
        "accuracy": "Accuracy against training images seen, by the probe.",
        "trajectories": "Paths of the held-out combinations through concept space: mean "
        "probability that the probe gives the asked value.",
        "prompts": "Joint accuracy of every set of prompts, from the same noise.",
        "certificate": "How the probe, and the oracle beside it, read true renders under noise and "
        "blur.",
        "samples": "One sample of each prompt at every snapshot, along a row from the same noise.",
    }
    guess = findings.chance["joint"]
    report = Report(
        title=config.name,
        question=config.question,
        facts={
            **{f"{name} in training": value for name, value in speed_facts(run).items()},
            "weights": findings.weights(),
            "joint accuracy at step 0": f"{findings.first_step_accuracy():.3f}",
            "joint accuracy of true renders": f"{findings.ceiling():.3f}",
            "joint accuracy of the memoriser, which only copies": findings.floor(),
            "effect of prompts, P(v | asked v) - P(v | asked another)": findings.prompt_effect(),
        },
        accuracy=final_accuracy(findings.curves),
        chance=f"Guessing gets {guess:.3f} of all concepts right at once.",
        figures=[(captions[name], figure) for name, figure in figures.items()],
        prompts=findings.prompt_rows(),
        probe=certificate_facts(findings.certificate),
        leak_check=leaks.lines(),
        neighbours=nearest_training_images(run, config, world, data),
        config_yaml=to_yaml(config),
        environment=read_json(run.path / "env.json"),
    )
    write_report(run.report, report)
    write_json(run.figures / SOURCES, _sources(findings))


def report_is_fresh(findings: Findings) -> bool:
    """True if figures and report were made from these scores and this config."""
    run = findings.runs[0]
    files = [run.report, *(run.figures / f"{name}.png" for name in ("accuracy", "samples"))]
    if not all(file.is_file() for file in [*files, run.figures / SOURCES]):
        return False
    try:
        return read_json(run.figures / SOURCES) == _sources(findings)
    except Mistake:  # a damaged note of what they were made from: make them again
        return False


def _sources(findings: Findings) -> dict[str, Any]:
    """What the report of a run is made from."""
    run, config = findings.runs[0], findings.configs[0]
    probe = probe_name(findings.certificate)
    parts = {part.name: hash_file(part) for part in planned_parts(run, config, probe)}
    return {"version": REPORT_VERSION, "config": hash_json(to_dict(config)), "parts": parts}
