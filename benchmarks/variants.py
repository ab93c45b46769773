"""Variants of a model: does every objective learn, and under every conditioning?

    python benchmarks/variants.py [--steps 400] [--out variants]

Trains the small world of configs/tiny.yaml once per variant: every objective on captions, and
epsilon-DDPM under every conditioning. Prints the loss at the beginning and at the end, and the
joint accuracy of the last snapshot's images, and draws them: OUT.png. `coordinates` needs concepts
that are numbers, so there x takes the place of the shape; `pretrained` trains along a small CLIP
with random weights, made here. Eleven runs of one to two minutes on two cores.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine

from analysis.figures.run import sample_grid_figure
from analysis.figures.style import save_figure
from diffusion.model_config import SIZES
from diffusion.prompts import build_tokenizer
from diffusion.text_encoders import build_text_encoder
from ground.files import read_rows
from ground.reading import read_as, read_yaml
from studies.cli import quieten_libraries
from studies.experiment.config import Config
from studies.findings.run_findings import Findings
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import make_plans
from studies.run.samples import load_samples
from studies.stages import run_experiment

TINY = Path(__file__).resolve().parents[1] / "configs" / "tiny.yaml"
PLACED = {
    "concepts": {
        "x": {"values": ["left", "right"], "signal": 0.8, "jitter": 0.05},
        "color": {"values": ["red", "blue"], "signal": 0.7, "jitter": 0.04},
        "size": {"values": ["large", "small"], "signal": 0.3, "jitter": 0.04},
    },
    "held_out": ["right blue small"],
}
Sections = dict[str, Any]


def variants(encoder: Path) -> dict[str, Sections]:
    """Return name → what it changes of configs/tiny.yaml. encoder: where the stand-in CLIP lies."""

    def told(conditioning: str, **more: Any) -> Sections:
        return {"model": {"size": "tiny", "conditioning": conditioning, **more}}

    return {
        "epsilon": {},
        "epsilon, cosine": {"objective": {"schedule": "squaredcos_cap_v2"}},
        "x_0": {"objective": {"prediction": "sample"}},
        "v": {"objective": {"prediction": "v_prediction"}},
        "variational": {"objective": {"kind": "variational"}},
        "captions_contextual": told("captions_contextual"),
        "pretrained": told("pretrained", text_encoder={"name": str(encoder), "frozen": False}),
        "vector": told("vector"),
        "one_hot": told("one_hot"),
        "embeddings": told("embeddings"),
        "coordinates": {**told("coordinates"), "world": PLACED},
    }


def save_encoder(path: Path) -> None:
    """Save a small CLIP and its tokenizer, as a directory of pretrained ones looks."""
    words = ("a", "blue", "circle", "large", "red", "small", "square")
    tokenizer = build_tokenizer(words, 4)
    torch.manual_seed(0)
    build_text_encoder(SIZES["tiny"], "captions_contextual", tokenizer).save_pretrained(path)
    tokenizer.save_pretrained(path)


def configure(name: str, changes: Mapping[str, Any], steps: int) -> Config:
    data: Sections = read_yaml(TINY)
    for section, fields in changes.items():
        data[section] = {**data.get(section, {}), **fields}
    data["name"] = name.replace(", ", "_")
    data["train"] = {**data["train"], "max_steps": steps, "snapshots": "0", "state_every": 10**6}
    few = {"images_per_combination": 1, "final_images_per_combination": 32, "snapshots": "0"}
    data["evaluate"] = {**data["evaluate"], **few, "num_inference_steps": 20}
    return read_as(Config, data, "")


@dataclass(frozen=True)
class Result:
    """Result of one variant: mean loss of the first 20 steps and of the last 50; joint
    accuracies."""

    first_loss: float
    last_loss: float
    accuracy: dict[str, float]
    images: np.ndarray


def train(config: Config, folder: Path) -> Result:
    experiment = Experiment(config, RunDir(folder / config.name))
    run = experiment.run
    run_experiment(experiment, lambda line: None)
    losses = [row["loss"] for row in read_rows(run.path / "metrics.jsonl")]
    curves = Findings([experiment]).curves
    last = curves[(curves["step"] == config.train.max_steps) & (curves["measure"] == "joint")]
    images = load_samples(make_plans(config)[-1].samples_file(run))
    return Result(
        statistics.mean(losses[:20]),
        statistics.mean(losses[-50:]),
        dict(zip(last["split"], last["accuracy"].round(3), strict=True)),
        images[:, 0],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path("variants"))
    arguments = parser.parse_args()
    quieten_libraries()
    print(machine())
    print(f"{'variant':20s} {'first loss':>10s} {'last loss':>10s} {'train':>7s} {'held-out':>8s}")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        save_encoder(Path(folder) / "encoder")
        for name, changes in variants(Path(folder) / "encoder").items():
            result = train(configure(name, changes, arguments.steps), Path(folder) / "runs")
            results[name] = result
            train_accuracy, held_out = (result.accuracy[s] for s in ("train", "held_out"))
            losses = f"{result.first_loss:10.4f} {result.last_loss:10.4f}"
            print(f"{name:20s} {losses} {train_accuracy:7.3f} {held_out:8.3f}", flush=True)
    draw(results, arguments.out)
    print(json.dumps({name: result.accuracy for name, result in results.items()}))


def draw(results: Mapping[str, Result], out: Path) -> None:
    """Draw a row of samples per variant; the last column is the held-out combination."""
    combinations = len(next(iter(results.values())).images)
    labels = [str(k) for k in range(1, combinations)] + ["held out"]
    grid = np.stack([result.images for result in results.values()])
    save_figure(sample_grid_figure(grid, list(results), labels, "combination"), out)


if __name__ == "__main__":
    main()
