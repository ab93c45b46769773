"""Report of one run: its report.html, and whether that is still fresh."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from analysis.report.build import Neighbour, Report, write_report
from analysis.tables.trajectory import final_accuracy
from ground.endings import Mistake
from ground.files import hash_file, hash_json, read_json, read_rows, write_json
from ground.unchanged import read_once
from studies.experiment.config import to_dict, to_yaml
from studies.findings.certificate_facts import certificate_facts
from studies.findings.denoiser_findings import LEGENDS, clock_facts, measured_files
from studies.findings.elicitation_findings import LEGENDS as ELICITATION_LEGENDS
from studies.findings.elicitation_findings import elicitation_facts
from studies.findings.instruments import learned_rows, legends
from studies.findings.readouts import LEGENDS as READOUT_LEGENDS
from studies.findings.run_findings import Findings, colored
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import shown_plans
from studies.scoring.sampler_certificate import sampler_facts
from studies.scoring.units import planned_parts
from studies.worlds.prompt_sets import PLAIN, prompts_of

REPORT_VERSION = 7  # raise it when figures or report change
SOURCES = "sources.json"
COMPARED = 4096  # training images beside a sample at once


def write_run_report(findings: Findings, figures: Mapping[str, Any]) -> None:
    """Write report.html of one run, and a note of what it was made from."""
    experiment = findings.first
    run, config, originals = experiment.run, experiment.config, experiment.world.originals
    shown = {
        "accuracy": "Accuracy against training images seen, by the probe. Below, the share of "
        "images of which it is unsure.",
        "trajectories": "Paths of the held-out combinations through concept space: mean "
        "probability that the probe gives the asked value. Below, the share of images of which it "
        "is unsure.",
        "centres": "Coordinates that the probe reads at the last snapshot, against those asked "
        "for; around a torus, the nearest to them.",
        **READOUT_LEGENDS,
        **LEGENDS,
        "prompts": "Joint accuracy of every set of prompts and under every intervention, from the "
        "same noise.",
        **ELICITATION_LEGENDS,
        "samples": "One sample of each prompt at every snapshot, along a row from the same noise.",
    }
    guess = findings.exam.chance["joint"]
    report = Report(
        title=config.name,
        question=config.question,
        facts={
            **{f"{name} in training": value for name, value in speed_facts(run).items()},
            "weights": findings.weights(),
            "joint accuracy at step 0": f"{findings.first_step_accuracy():.3f}",
            f"joint accuracy of {originals}": f"{findings.ceiling():.3f}",
            "joint accuracy of the memoriser, which only copies": findings.floor(),
            **findings.exam.facts(findings.scores),
            **clock_facts(experiment),
            **elicitation_facts(experiment),
            **sampler_facts(experiment),
        },
        accuracy=final_accuracy(findings.curves),
        chance=f"Guessing gets {guess:.3f} of all concepts right at once.",
        figures=_captioned(figures, shown),
        prompts=findings.prompt_rows(),
        learned=learned_rows(experiment),
        times=findings.readouts.learned_rows(),
        said=[*findings.readouts.learned_sentences()],
        agree=findings.readouts.agree_rows(),
        instrument_figures=_captioned(figures, legends(experiment)),
        probe=certificate_facts(experiment.certificate),
        leak_check=experiment.training.leaks,
        neighbours=nearest_training_images(experiment),
        config_yaml=to_yaml(config),
        environment=read_json(run.path / "env.json"),
    )
    write_report(run.report, report)
    write_json(run.figures / SOURCES, _sources(findings))


def _captioned(figures: Mapping[str, Any], captions: Mapping[str, str]) -> list[tuple[str, Any]]:
    return [(captions[name], figure) for name, figure in figures.items() if name in captions]


def nearest_training_images(experiment: Experiment) -> list[Neighbour]:
    """Return, for each held-out question, sample 0 of the last snapshot beside its nearest training
    image.

    The distance is the root mean square over pixels and channels, in grey levels.
    """
    exam, training = experiment.exam, experiment.training
    samples = experiment.samples(shown_plans(experiment.config)[-1])
    images, neighbours = training.images.permute(0, 2, 3, 1).numpy(), []
    for place in exam.held_out:
        sample = samples[place, 0]
        parts = (images[i : i + COMPARED] for i in range(0, len(images), COMPARED))
        distance = np.concatenate([_distance(part, sample) for part in parts])
        i = int(distance.argmin())
        neighbours.append(
            Neighbour(
                prompt=prompts_of(exam.questions[PLAIN][place], 1)[0],
                sample=colored(sample),
                nearest=colored(images[i]),
                nearest_caption=training.captions[i],
                distance=float(distance[i]),
            )
        )
    return neighbours


def _distance(images: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """Return float32 (n,): how far each of uint8 (n, h, w, c) is from a sample."""
    return np.sqrt(((images.astype(np.float32) - sample) ** 2).mean(axis=(1, 2, 3)))


def speed_facts(run: RunDir) -> Mapping[str, str]:
    """Return facts of training: images/s (median over all of it), peak memory of its first process,
    on a GPU that of its tensors there too, and the share of its time spent on writing snapshots and
    states."""
    return _speed_facts(run.path / "timings.jsonl")


@read_once
def _speed_facts(timings: Path) -> Mapping[str, str]:
    rows = read_rows(timings)
    speed = float(np.median([row["images_per_second"] for row in rows]))
    peak = max(row["peak_memory_mib"] for row in rows)
    facts = {"images/s": f"{speed:.0f}", "peak memory": f"{peak / 1024:.2f} GiB"}
    on_gpu = [row["peak_gpu_memory_mib"] for row in rows if "peak_gpu_memory_mib" in row]
    if on_gpu:
        facts["peak GPU memory"] = f"{max(on_gpu) / 1024:.2f} GiB"
    if "saving_seconds" in rows[0]:  # runs of older versions did not measure it
        saving = sum(row["saving_seconds"] for row in rows) / sum(row["seconds"] for row in rows)
        facts["saving"] = f"{saving:.1%} of the time"
    return facts


def report_is_fresh(findings: Findings) -> bool:
    """Return whether figures and report were made from these scores and this config."""
    run = findings.first.run
    files = [run.report, *(run.figures / f"{name}.png" for name in ("accuracy", "samples"))]
    if not all(file.is_file() for file in [*files, run.figures / SOURCES]):
        return False
    try:
        return read_json(run.figures / SOURCES) == _sources(findings)
    except Mistake:  # a damaged note of what they were made from: make them again
        return False


def _sources(findings: Findings) -> dict[str, Any]:
    """Return what the report of a run is made from."""
    experiment = findings.first
    certificate = filter(Path.is_file, [experiment.run.sampler_certificate])
    files = [*planned_parts(experiment), *certificate, *measured_files(experiment)]
    parts = {file.name: hash_file(file) for file in files}
    config = hash_json(to_dict(experiment.config))
    evaluated = sorted(part.name for part in experiment.run.scores.glob("step_*.parquet"))
    return {
        "version": REPORT_VERSION,
        "config": config,
        "parts": parts,
        "evaluated": hash_json(evaluated),  # in other ways too, which are compared
    }
