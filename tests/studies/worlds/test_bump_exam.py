"""Models of bumps are asked, read and scored; what is right, from the probe to the report."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import DDPMScheduler

from classifiers.bump_oracle import BumpOracle
from classifiers.scores import KEY
from data_gen.bumps.config import BumpsConfig, HeldOut
from data_gen.bumps.world import in_frame
from diffusion.memoriser import Memoriser
from diffusion.model_config import ModelConfig
from diffusion.prompts import CoordinatePrompts
from diffusion.train_config import TrainConfig
from ground.endings import Mistake
from ground.files import hash_file
from studies import stages
from studies.experiment.config import Config, EvaluateConfig, ProbeConfig, to_yaml
from studies.findings.plotting import plot_runs
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.samples import save_tile
from studies.verify.verify import verify
from studies.worlds.bumps.exam import BumpExam, prompt_of
from studies.worlds.bumps.images import BumpImages
from studies.worlds.prompt_sets import prompts_of, rows_of

TORUS = BumpsConfig(
    image_size_px=8, dx=0.5, dy=0.5, kept=0.5, periodic=True, held_out=HeldOut("none")
)
STRIPES = BumpsConfig(
    image_size_px=8,
    image="stripes",
    examples="both",
    margin=4.0,
    held_out=HeldOut("bands", 3.0, 4.0),
)
CONFIG = Config(
    "torus",
    TORUS,
    model=ModelConfig(size="tiny", conditioning="coordinates"),
    train=TrainConfig(
        max_steps=4, batch_size=8, snapshots="0, 2", state_every=4, warmup_steps=2, threads=1
    ),
    probe=ProbeConfig(steps=100, batch_size=64, width=8, certificate_images=256, gate=0.9),
    evaluate=EvaluateConfig(
        num_inference_steps=2,
        snapshots="0, 4",
        images_per_combination=5,
        final_images_per_combination=40,
        both_weights=True,
    ),
)


def quiet(line: str) -> None:
    pass


@pytest.fixture(scope="module", params=[TORUS, STRIPES], ids=["torus", "stripes"])
def exam(request) -> BumpExam:
    return BumpExam(request.param, seed=0)


def rows(exam: BumpExam, count: int) -> list:
    return [row for question in exam.centres for row in rows_of(question, count)]


def targets(exam: BumpExam, count: int) -> torch.Tensor:
    """(n, 2), nan: none."""
    asked = [target for question in exam.centres for _, target in question.asked(count)]
    return torch.tensor([[target["x"], target["y"]] for target in asked])


def test_every_prompt_names_its_label_to_the_last_bit(exam):
    labels, config = exam.asked(30), exam.config
    shown = in_frame(config, labels)
    spans = [[0.0, float(config.image_size_px)]] * 2
    prompts = [prompt for question in exam.centres for prompt in prompts_of(question, 30)]
    read = CoordinatePrompts(spans, [config.periodic] * 2).inputs(prompts)
    assert torch.equal(read[shown], labels[shown])
    assert torch.equal(in_frame(config, read), shown)
    tenths = torch.tensor([[0.3, 7.9], [12.5, 3.0]]) + torch.tensor([[0.1], [0.0]])
    assert prompt_of(replace(TORUS, image_size_px=32), tenths[1]) == "12.5 3"
    words = prompt_of(TORUS, tenths[0]).split()
    assert torch.equal(torch.tensor([float(word) for word in words]), tenths[0])


def test_the_oracle_reads_what_is_asked_for_in_the_renders(exam):
    images = torch.from_numpy(np.concatenate(BumpImages(exam.config).originals(0, 6)))
    asked, read = targets(exam, 6), BumpOracle(exam.config).read(images).centres
    assert torch.equal(read.isnan(), asked.isnan())
    off = (read - asked).abs()
    assert torch.minimum(off, 8 - off)[~off.isnan()].max() < 0.05


def test_rows_and_targets_go_by_section_and_keep_their_numbers(exam):
    many, few = rows(exam, 4), rows(exam, 2)
    names = [question.combination for question in exam.centres]
    assert [row["combination"] for row in many] == [name for name in names for _ in range(4)]
    assert {row["split"] for row in many if row["combination"].startswith("train")} == {"train"}
    assert [row for row in many if row["sample"] < 2] == few
    assert len(targets(exam, 4)) == len(many) == len(exam.asked(4))


def memoriser(exam: BumpExam) -> tuple[Memoriser, torch.Tensor]:
    """… and the labels that it knows."""
    known = BumpImages(exam.config).training()
    alphas_cumprod = DDPMScheduler(num_train_timesteps=10).alphas_cumprod
    memory = Memoriser(known.images, known.values, alphas_cumprod, "epsilon", exam.distance)
    return memory, known.values


def test_the_memoriser_knows_its_own_labels_and_the_nearest_of_others(exam):
    memory, labels = memoriser(exam)
    shown = labels.where(in_frame(exam.config, labels), -1.0)  # all nulls are one
    for number in range(0, len(labels), 17):
        found = shown[memory.candidates(labels[number])]
        assert torch.equal(found, shown[number].expand_as(found))
    for group in exam.held_out:
        asked = exam.centres[group].labels(1)[0]
        found = labels[memory.candidates(asked)]
        off = (labels - asked).abs()
        if exam.config.periodic:
            off = torch.minimum(off, 8 - off)
        whole = in_frame(exam.config, labels).all(1)  # of the held-out here all are crossings
        nearest = off[whole].norm(dim=1).min()
        for label in found:
            place = torch.nonzero((labels == label).all(1))[0, 0]
            assert off[place].norm() == pytest.approx(nearest.item(), abs=1e-3)


def test_a_stripe_is_near_to_stripes_alone():
    exam = BumpExam(replace(STRIPES, held_out=HeldOut("lesion", 3.0, 4.0)), seed=0)
    (asked,) = [q.labels(1)[0] for q in exam.centres if q.combination == "lesion 1d_x"]
    memory, labels = memoriser(exam)
    found = labels[memory.candidates(asked)]
    assert in_frame(exam.config, found).tolist() == [[True, False]] * len(found)
    assert (found[:, 0] - asked[0]).abs().unique().numel() == 1


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def run(tmp_path_factory, said) -> RunDir:
    run = RunDir(tmp_path_factory.mktemp("runs") / "torus")
    stages.run_experiment(Experiment(CONFIG, run), said.append)
    return run


@pytest.fixture(scope="module")
def scores(run) -> pd.DataFrame:
    return pd.read_parquet(run.scores)


@pytest.mark.slow
def test_an_experiment_runs_to_its_report(run, said):
    assert [finding.line() for finding in verify(run)] == []
    text = "\n".join(said)
    for line in ("x, clean accuracy ", "within 1 px", "joint accuracy of true renders: 1.000"):
        assert line in text
    assert "effect of prompts" not in text and "not_kept" in text
    assert text.count("[95 % interval]") == 2  # averaged weights and raw ones
    pictures = {path.stem for path in run.figures.glob("*.png")}
    shown = {"accuracy", "centres", "certificate", "samples", "readouts", "instruments"}
    assert pictures == shown
    assert "against those asked for" in run.report.read_text()
    outcomes = pd.read_csv(run.figures / "outcomes.csv")
    assert outcomes["question"].tolist() == ["trained", "composes"]
    assert (outcomes["images"] == 40).all() and (outcomes["word"] == "gate").all()


@pytest.mark.slow
def test_scores_have_a_row_per_image_and_axis(scores):
    assert not scores.duplicated(list(KEY)).any()
    counts = scores.groupby(["run", "step", "weights"]).size()
    for weights in ("ema", "raw"):
        assert counts["torus", 0, weights] == 2 * 5 * 2
        assert counts["torus", 4, weights] == 2 * 40 * 2
    assert counts["render", -1, "none"] == counts["memoriser", -1, "none"] == 2 * 40 * 2
    assert set(scores["combination"]) == {"train", "not_kept"}
    assert set(scores["concept"]) == {"x", "y"} and set(scores["target"]) == {"there"}


@pytest.mark.slow
def test_right_is_within_a_pixel_around_the_torus(scores):
    read = scores[scores["predicted"].notna()]
    off = (read["predicted_value"] - read["target_value"]).abs()
    assert ((read["predicted"] == read["target"]) == (off <= 1)).all() and off.max() <= 4
    assert read["target_value"].between(0, 8, inclusive="left").all()
    first, x = scores["prompt"].str.split().str[0].astype(float), scores["concept"] == "x"
    assert (scores["target_value"] == first)[x].all()


@pytest.mark.slow
def test_renders_and_the_memoriser_are_ceiling_and_floor(scores):
    right = (scores["predicted"] == scores["target"]).groupby(
        [scores["run"], scores["combination"]]
    )
    share = right.mean()
    assert (share["render"] >= 0.95).all()
    # half of a tiling of half pixels: the nearest training bump is next to every other
    assert share["memoriser", "train"] == 1.0 and share["memoriser", "not_kept"] > 0.9
    assert (share["torus"] < 0.9).all()


@pytest.mark.slow
def test_its_sampler_is_certified_by_the_same_centres(run, tmp_path, monkeypatch):
    monkeypatch.setattr("studies.scoring.sampler_certificate.REFERENCE_STEPS", 2)
    shutil.copytree(run.path.parent, tmp_path / "runs", symlinks=True)
    copy, lines = RunDir(tmp_path / "runs" / run.path.name), []
    stages.evaluate_stage(Experiment(CONFIG, copy), lines.append, certify_sampler=True)
    assert "joint accuracy from the same noise" in lines[-1]
    certified = json.loads(copy.sampler_certificate.read_text())
    assert {row["pairs"] for row in certified["joint_accuracy"] if row["step"] != "pooled"} == {128}
    assert [finding.line() for finding in verify(copy) if finding.level != "note"] == []


@pytest.mark.slow
def test_a_finished_experiment_is_found_finished(run):
    parts = {path.name: hash_file(path) for path in run.scores.glob("*.parquet")}
    lines: list[str] = []
    stages.run_experiment(Experiment(CONFIG, run), lines.append)
    assert lines[0].startswith("probe: found") and lines[2] == "evaluate: finished before, 6 parts"
    assert parts == {path.name: hash_file(path) for path in run.scores.glob("*.parquet")}


@pytest.mark.slow
def test_what_is_lost_is_drawn_and_scored_again(run, tmp_path):
    copy = RunDir(tmp_path / "runs" / "torus")
    shutil.copytree(run.path.parent, copy.path.parent, symlinks=True)
    lost = next(copy.samples.glob("step_00000004/ema*.npz"))
    (part,) = copy.scores.glob("step_00000004-ema*.parquet")
    before = hash_file(lost), hash_file(part)
    tile = lost.with_suffix(".tiles") / "0-64.npz"  # as an evaluation leaves it that was killed
    with np.load(lost) as stored:
        save_tile(tile, stored["images"][:64], str(stored["snapshot"]))
    lost.unlink(), part.unlink()
    stages.evaluate_stage(Experiment(CONFIG, copy), quiet)
    assert (hash_file(lost), hash_file(part)) == before and not tile.exists()
    few = replace(CONFIG.evaluate, final_images_per_combination=7)
    stages.evaluate_stage(Experiment(replace(CONFIG, evaluate=few), copy), quiet)
    scores = pd.read_parquet(copy.scores)
    last = scores[(scores["run"] == "torus") & (scores["step"] == 4) & (scores["sample"] < 7)]
    twice = last.groupby([key for key in KEY])["target_value"].agg(["size", "nunique"])
    assert (twice["size"] == 2).all() and (twice["nunique"] == 1).all()


@pytest.mark.slow
def test_worlds_of_other_sections_are_drawn_apart(run, tmp_path):
    names = {path.name for path in plot_runs([run.path], tmp_path / "figures")}
    shown = ("accuracy", "centres", "certificate", "samples", "readouts", "instruments")
    assert names == {f"{name}.png" for name in shown}
    other = RunDir(tmp_path / "other")
    config = replace(CONFIG, name="other", world=replace(TORUS, kept=1.0))
    other.path.mkdir()
    other.config_file.write_text(to_yaml(config))
    with pytest.raises(Mistake, match="other: another world than .*torus; plot them apart"):
        plot_runs([run.path, other.path], tmp_path / "figures")


def test_a_probe_that_cannot_read_a_coordinate_is_refused(tmp_path):
    config = replace(CONFIG, probe=replace(CONFIG.probe, steps=2, gate=0.99))
    with pytest.raises(Mistake, match=r"clean accuracy for x is 0\.\d+, below probe.gate = 0.99"):
        stages.run_experiment(Experiment(config, RunDir(tmp_path / "run")), quiet)


@pytest.mark.slow
def test_samples_are_gray_and_labelled(run):
    path: Path = next(run.samples.glob("step_00000004/*ema*.npz"))
    with np.load(path) as stored:
        assert stored["images"].shape == (80, 8, 8, 1)
        assert stored["combination"].tolist() == ["train"] * 40 + ["not_kept"] * 40
        assert stored["prompt"].tolist() == [row["prompt"] for row in rows(BumpExam(TORUS, 0), 40)]
    certificate = json.loads((run.probe / "certificate.json").read_text())
    assert certificate["identity"]["world"]["kind"] == "bumps"
