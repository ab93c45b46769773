"""Synthetic runs on crossed stripes, as evaluated trainings leave them, with planted outcomes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from classifiers.certificate import probe_name
from classifiers.scores import write_part
from data_gen.bumps.config import BumpsConfig, HeldOut
from diffusion.model_config import ModelConfig
from diffusion.snapshots import step_directory
from diffusion.train_config import TrainConfig
from ground.files import MANIFEST, hash_file, write_directory, write_json, write_text
from studies.experiment.config import Config, EvaluateConfig, to_yaml
from studies.run.certificate import PROBE_VERSION
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import Plan, shown_plans
from studies.run.provenance import SNAPSHOT
from studies.run_sets.members import StudyRun

IMAGES = 64
Chance = Callable[[str, np.ndarray, int], np.ndarray]  # section, asked (n, 2), axis → p(right)


def bump_config(name: str, seed: int, region: str = "bands", **world) -> Config:
    """Config of a run on stripes of 8 px, of which values from 3 to 4 are held out."""
    stripes = dict(image_size_px=8, image="stripes", margin=4.0, examples="2d")
    bumps = BumpsConfig(**{**stripes, "held_out": HeldOut(region, 3.0, 4.0), **world})
    counts = dict(images_per_combination=IMAGES, final_images_per_combination=IMAGES)
    return Config(
        name,
        bumps,
        seed=seed,
        model=ModelConfig(size="tiny", conditioning="coordinates"),
        train=TrainConfig(max_steps=4, batch_size=8, snapshots="2", warmup_steps=2),
        evaluate=EvaluateConfig(snapshots="2", **counts),
    )


def write_bump_run(
    folder: Path, config: Config, chance: Chance, variant: str, settings: dict
) -> StudyRun:
    """Write a run directory, but for weights and samples."""
    run = RunDir(folder / config.name)
    write_text(run.config_file, to_yaml(config))
    certificate = {"identity": {"version": PROBE_VERSION, "world": config.world.kind}}
    write_directory(run.probe, lambda p: write_json(p / "certificate.json", certificate))
    probe, experiment = probe_name(certificate), Experiment(config, run)
    for plan in shown_plans(config):
        manifest = step_directory(run.snapshots, plan.step) / MANIFEST
        write_json(manifest, {"step": plan.step, "run": config.name})
        scores = _scores(experiment, plan, probe, chance)
        write_part(plan.part(run, probe), scores, {SNAPSHOT: hash_file(manifest)})
    write_json(run.path / "status.json", {w: {"state": "done"} for w in ("train", "evaluate")})
    return StudyRun(config.name, variant, settings, config.seed, run)


def _scores(experiment: Experiment, plan: Plan, probe: str, chance: Chance) -> pd.DataFrame:
    config = experiment.config
    rng = np.random.default_rng([config.seed, plan.step])
    rows = []
    for question in experiment.exam.questions["none"]:
        prompts, targets = zip(*question.asked(IMAGES), strict=True)
        asked = np.array([[target["x"], target["y"]] for target in targets])
        for axis, concept in enumerate("xy"):
            p = chance(question.combination, asked, axis) if plan.step else np.zeros(IMAGES)
            right = rng.random(IMAGES) < p
            absent = np.isnan(asked[:, axis])
            read = np.where(right, asked[:, axis], np.where(absent, 1.0, asked[:, axis] + 2))
            table = pd.DataFrame({"sample": range(IMAGES), "prompt": prompts})
            names = np.where(absent, "none", "there")
            table = table.assign(concept=concept, target=names, target_value=asked[:, axis])
            table = table.assign(predicted=np.where(right, names, "elsewhere"))
            about = {"combination": question.combination, "split": question.split}
            rows.append(table.assign(predicted_value=read, p_target=right * 1.0, **about))
    scores, how = pd.concat(rows, ignore_index=True), config.evaluate
    return scores.assign(
        probabilities=[[p, 1 - p, 0.0] for p in scores["p_target"]],
        run=config.name,
        train_seed=config.seed,
        step=plan.step,
        images_seen=plan.step * config.train.batch_size,
        weights=how.weights,
        intervention="none",
        sampler=how.sampler,
        num_inference_steps=how.num_inference_steps,
        guidance_scale=how.guidance_scale,
        eval_seed=how.seed,
        probe=probe,
    )
