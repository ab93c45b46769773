"""How the parts are put together: what would go unnoticed if a call were missing."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from classifiers.certificate import ProbeRefused
from data_gen.concepts import Concept
from data_gen.dataset import Dataset, training_set
from ground.endings import Mistake
from studies import stages
from studies.experiment.config import Config, EvaluateConfig, read_config
from studies.findings.plotting import plot_runs
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.scoring.noise import image_index, paired_noise
from studies.verify.verify import verify_runs
from studies.worlds.shapes import images as shape_images

pytestmark = pytest.mark.usefixtures("tiles_of_eight")


@pytest.fixture
def config(root) -> Config:
    config = read_config(root / "configs" / "tiny.yaml")
    return replace(config, world=replace(config.world, num_images=64))


def test_training_does_not_start_on_a_leak(config, tmp_path, monkeypatch):
    def leaking(world) -> Dataset:
        data = training_set(world)
        return replace(data, combination=torch.full_like(data.combination, len(world.space) - 1))

    monkeypatch.setattr(shape_images, "training_set", leaking)
    run = RunDir(tmp_path / "run")
    with pytest.raises(Mistake, match="leak: training image 0 shows held-out 'square blue small'"):
        stages.train_stage(Experiment(config, run), print)
    assert not run.snapshots.exists()


@pytest.mark.slow
def test_a_run_does_not_start_with_a_probe_below_its_gate(config, tmp_path):
    weak = replace(config, probe=replace(config.probe, steps=2, gate=1.0, certificate_images=64))
    run = RunDir(tmp_path / "run")
    with pytest.raises(ProbeRefused, match="below probe.gate = 1.0"):
        stages.run_experiment(Experiment(weak, run), print)
    assert not run.probe.exists() and not run.snapshots.exists()


def test_image_k_starts_from_the_same_noise_whatever_else_is_asked_for():
    few, many = (paired_noise(0, range(3 * n), n, (3, 4, 4)).view(3, n, 3, 4, 4) for n in (4, 9))
    assert torch.equal(few, many[:, :4])
    assert len({image.sum().item() for image in few.flatten(0, 1)}) == 12
    assert not torch.equal(few.flatten(0, 1), paired_noise(1, range(12), 4, (3, 4, 4)))
    few, many = (image_index(range(3 * n), n).view(3, n) for n in (4, 9))
    assert torch.equal(few, many[:, :4]) and len(few.unique()) == 12


@pytest.mark.parametrize("images", [range(0, 5), range(5, 12), range(3, 4), range(4, 8)])
def test_some_of_a_plans_images_start_as_in_the_whole(images):
    part = slice(images.start, images.stop)
    whole = paired_noise(0, range(12), 4, (3, 4, 4))
    assert torch.equal(paired_noise(0, images, 4, (3, 4, 4)), whole[part])
    assert torch.equal(image_index(images, 4), image_index(range(12), 4)[part])


def test_runs_of_different_worlds_or_one_name_are_not_drawn_together(config, tmp_path: Path):
    other = replace(config, name="other", world=replace(config.world, held_out=()))
    runs = [RunDir(tmp_path / c.name) for c in (config, other)]
    for run, c in zip(runs, (config, other), strict=True):
        run.claim(c)
    with pytest.raises(Mistake, match="another world than .*; plot them apart"):
        plot_runs([run.path for run in runs], tmp_path)
    with pytest.raises(Mistake, match="several runs are named 'tiny'"):
        plot_runs([runs[0].path] * 2, tmp_path)


def test_held_out_captions_are_no_part_of_the_training_set(config):
    world = config.terms.terms
    assert world.captioner.write(world.split.held_out[0]) not in training_set(world).captions


@pytest.mark.slow
def test_a_world_of_one_combination_runs_to_its_report(config, tmp_path):
    """Nothing can be told apart there: tables, figures and report say so."""
    alone = {"shape": Concept(("circle",)), "color": Concept(("red",), signal=0.6)}
    world = replace(config.world, concepts=alone, held_out=(), image_size_px=8, num_images=16)
    small = replace(
        config,
        world=world,
        train=replace(config.train, max_steps=1, batch_size=4, snapshots="0", warmup_steps=1),
        probe=replace(config.probe, steps=2, width=8, gate=0.0, certificate_images=64),
        evaluate=EvaluateConfig(
            num_inference_steps=1,
            snapshots="0",
            images_per_combination=2,
            final_images_per_combination=2,
        ),
    )
    run, lines = RunDir(tmp_path / "alone"), []
    stages.run_experiment(Experiment(small, run), lines.append)
    assert any(line.endswith("nothing to compare: every concept has one value") for line in lines)
    assert "nothing to compare" in run.report.read_text(encoding="utf-8")
    verify_runs([run.path], lines.append)
    assert all(path.is_file() for path in plot_runs([run.path], tmp_path / "figures"))
