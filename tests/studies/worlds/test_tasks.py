"""Runs of every kind, end to end and small: conditionings, precision, the papers' settings."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from classifiers.certificate import probe_name
from data_gen.dataset import training_set
from diffusion.model_config import ModelConfig, TextEncoderConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.pipeline import ConceptPipeline
from diffusion.prompts import build_tokenizer
from diffusion.snapshots import step_directory
from diffusion.train_config import TrainConfig
from ground.endings import Mistake
from ground.files import hashes
from studies import stages
from studies.dry_run import describe_plan
from studies.experiment.config import Config, EvaluateConfig, read_config
from studies.findings.run_findings import Findings
from studies.forecast import Weights
from studies.run import auto_precision as precision
from studies.run.certificate import read_certificate
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import memorised_file
from studies.run.samples import load_samples
from studies.scoring.evaluate import Evaluator
from tests.harness.opened import opened

pytestmark = pytest.mark.usefixtures("tiles_of_eight")

SMALL = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))
PAPERS = sorted((Path(__file__).parents[3] / "configs" / "worlds").glob("p[123]_*.yaml"))
TRAIN = TrainConfig(
    max_steps=4, batch_size=4, snapshots="0, 2", state_every=2, warmup_steps=2, threads=1
)
EVALUATE = EvaluateConfig(
    oracle=False,
    num_inference_steps=10,
    images_per_combination=1,
    final_images_per_combination=3,
    snapshots="0",
    sampler="ddpm",
)


def quiet(line: str) -> None:
    pass


@pytest.fixture
def config(root) -> Config:
    config = read_config(root / "configs" / "tiny.yaml")
    world = replace(config.world, num_images=64)
    probe = replace(config.probe, steps=2, gate=0.0, certificate_images=64)
    return replace(config, world=world, probe=probe, train=TRAIN, evaluate=EVALUATE)


def save_encoder(path: Path, kind: str) -> None:
    tokenizer = build_tokenizer(("a", "blue", "circle", "large", "red", "small", "square"), 4)
    tokenizer.save_pretrained(path)
    torch.manual_seed(0)
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    ids["vocab_size"] = len(tokenizer)
    if kind == "clip":
        sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
        encoder = CLIPTextModel(CLIPTextConfig(num_attention_heads=2, **sizes, **ids))
    else:
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
        encoder = T5EncoderModel(T5Config(**sizes, **ids))
    encoder.save_pretrained(path)


def changed_evaluation(config: Config, **changes) -> Config:
    return replace(config, evaluate=replace(config.evaluate, **changes))


def pretrained(config: Config, name: Path, frozen: bool) -> Config:
    encoder = TextEncoderConfig(str(name), frozen)
    return replace(
        config, model=ModelConfig("tiny", conditioning="pretrained", text_encoder=encoder)
    )


@pytest.mark.parametrize("kind", ["clip", "t5"])
def test_a_frozen_encoder_is_stored_once_and_left_alone(config, tmp_path, kind):
    save_encoder(tmp_path / "encoder", kind)
    config, run = pretrained(config, tmp_path / "encoder", True), RunDir(tmp_path / "runs" / "a")
    stages.train_stage(Experiment(config, run), quiet)
    files = [step_directory(run.snapshots, s) / "text_encoder/model.safetensors" for s in (0, 4)]
    assert len({os.stat(file).st_ino for file in files}) == 1
    before = load_file(tmp_path / "encoder" / "model.safetensors")
    assert all(torch.equal(w, before[name]) for name, w in load_file(files[1]).items())
    state = load_file(step_directory(run.states, 4) / "raw.safetensors")
    assert state and not any("text_encoder" in name for name in state)
    weights = Weights(
        sum(w.numel() for w in state.values()), sum(w.numel() for w in before.values())
    )
    assert Weights.of(opened(config).new_model()) == weights
    pipeline = ConceptPipeline.from_run(run.path, weights="ema")
    assert pipeline(["a small red square"] * 2, num_inference_steps=2).shape == (2, 16, 16, 3)


@pytest.mark.slow
def test_a_frozen_encoder_stays_the_one_the_run_began_with(config, tmp_path):
    """Its source changes between two parts of a run: no weight of the run does."""
    save_encoder(tmp_path / "encoder", "clip")
    config = pretrained(config, tmp_path / "encoder", True)
    straight, stopped = (RunDir(tmp_path / "runs" / name) for name in ("a", "b"))
    stages.train_stage(Experiment(config, straight), quiet)
    stages.train_stage(
        Experiment(replace(config, train=replace(TRAIN, max_steps=2)), stopped), quiet
    )
    encoder = CLIPTextModel.from_pretrained(tmp_path / "encoder")
    with torch.no_grad():
        encoder.get_input_embeddings().weight.add_(1)
    encoder.save_pretrained(tmp_path / "encoder")
    stages.train_stage(Experiment(config, stopped), quiet)
    names = [step_directory(run.states, 4) for run in (straight, stopped)]
    assert hashes(names[0]) == hashes(names[1])
    longer = replace(config, train=replace(TRAIN, max_steps=6))
    save_encoder(tmp_path / "encoder", "t5")
    with pytest.raises(Mistake, match="the text_encoder that the config names is another one"):
        stages.train_stage(Experiment(longer, stopped), quiet)
    save_encoder(tmp_path / "encoder", "clip")
    (stopped.snapshots / "frozen" / "text_encoder" / "config.json").write_text("{}")
    with pytest.raises(Mistake, match="frozen/text_encoder: config.json has changed, and the run"):
        stages.train_stage(Experiment(longer, stopped), quiet)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clip", "t5"])
def test_an_encoder_that_is_not_frozen_learns_and_continues_bit_for_bit(config, tmp_path, kind):
    save_encoder(tmp_path / "encoder", kind)
    config = pretrained(config, tmp_path / "encoder", False)
    straight, stopped = (RunDir(tmp_path / "runs" / name) for name in ("a", "b"))
    stages.train_stage(Experiment(config, straight), quiet)
    half = replace(config, train=replace(TRAIN, max_steps=2))
    stages.train_stage(Experiment(half, stopped), quiet)
    stages.train_stage(Experiment(config, stopped), quiet)
    names = [step_directory(run.states, 4) for run in (straight, stopped)]
    assert hashes(names[0]) == hashes(names[1])
    weights = "text_encoder/model.safetensors"
    first, last = (load_file(step_directory(straight.snapshots, s) / weights) for s in (0, 4))
    assert any(not torch.equal(first[name], last[name]) for name in first)


def test_an_encoder_that_is_not_there_is_refused_before_the_probe_is_trained(config, tmp_path):
    config, run = pretrained(config, tmp_path / "none", True), RunDir(tmp_path / "runs" / "a")
    with pytest.raises(Mistake, match="model.text_encoder.name: cannot load .*none"):
        stages.run_experiment(Experiment(config, run), quiet)
    assert not run.probe.exists()


def test_numbers_that_cannot_tell_a_concept_are_refused(config):
    config = replace(config, model=ModelConfig("tiny", conditioning="coordinates"))
    with pytest.raises(Mistake, match="coordinates has no number for the concept shape; allowed"):
        _ = opened(config).task


def blank(images: range, check) -> torch.Tensor:
    return torch.zeros(len(images), 16, 16, 3, dtype=torch.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["ddpm", "variational"])
def test_the_memoriser_is_scored_beside_the_model(config, tmp_path, objective, monkeypatch):
    """It draws training images, of a neighbouring combination if the asked one is held out. What
    the model draws is not looked at, and takes no time here."""
    config = replace(
        config,
        model=ModelConfig("tiny", conditioning="vector"),
        objective=ObjectiveConfig(kind=objective),
        evaluate=replace(EVALUATE, num_inference_steps=20, snapshots="0"),
        train=replace(TRAIN, max_steps=1, snapshots="0"),
    )
    run, world = RunDir(tmp_path / "runs" / "a"), config.terms.terms
    monkeypatch.setattr(Evaluator, "_generator", lambda evaluator, plan: blank)
    stages.run_experiment(Experiment(config, run), quiet)
    data = training_set(world)
    images = data.images.permute(0, 2, 3, 1).float()
    drawn = load_samples(memorised_file(run, config))
    for combination, samples in zip(world.space.combinations, drawn, strict=True):
        for image in torch.from_numpy(samples).float():
            distance = (images - image).square().mean((1, 2, 3)).sqrt()
            shown = world.space.combinations[int(data.combination[distance.argmin()])]
            differing = sum(a != b for a, b in zip(shown, combination, strict=True))
            assert differing == (combination in world.split.held_out)
            assert distance.min() < 12  # grey levels: what the last step of a sampler leaves
    scores = Experiment(config, run).planned_scores(probe_name(read_certificate(run)))
    rows = scores[scores["run"] == "memoriser"]
    assert len(rows) == 8 * 3 * 3 and set(rows["sampler"]) == {"ddpm"}
    assert set(rows["step"]) == {1 if objective == "variational" else -1}  # whose schedule it is
    stages.evaluate_stage(
        Experiment(changed_evaluation(config, guidance_scale=2.0, weights="raw"), run), quiet
    )
    assert len(list(run.scores.glob("memoriser*"))) == 1  # it knows neither
    assert Findings([Experiment(config, run)]).floor().startswith("train ")


def test_auto_is_decided_once_and_recorded(config, tmp_path, monkeypatch):
    asked = []

    def choose(step):
        asked.append(step("float32"))
        return "bf16", {"float32": 2.0, "bf16": 1.0}

    monkeypatch.setattr(precision, "choose_precision", choose)
    config = replace(config, train=replace(TRAIN, precision="auto", max_steps=2))
    run = RunDir(tmp_path / "runs" / "a")
    stages.train_stage(Experiment(config, run), quiet)
    assert run.read_config().train.precision == "bf16"
    assert json.loads((run.path / "precision.json").read_text())["bf16"] == 1.0
    stages.train_stage(
        Experiment(replace(config, train=replace(config.train, max_steps=4)), run), quiet
    )
    assert len(asked) == 1 and run.read_config().train.precision == "bf16"
    plain = RunDir(tmp_path / "runs" / "b")
    stages.train_stage(
        Experiment(replace(config, train=replace(config.train, precision="bf16")), plain), quiet
    )
    names = [step_directory(r.states, 2) / "raw.safetensors" for r in (run, plain)]
    assert names[0].read_bytes() == names[1].read_bytes()  # measuring leaves no trace


@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.stem)
def test_every_small_config_has_a_plan(path, tmp_path):
    config = read_config(path)
    plan = describe_plan(Experiment(config, RunDir(tmp_path / config.name)))
    assert "parameters" in plan and "disk: about" in plan and "snapshots:" in plan
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)
def test_the_papers_runs_have_a_plan(path, tmp_path):
    config = read_config(path)
    plan = describe_plan(Experiment(config, RunDir(tmp_path / config.name)))
    steps, snapshots = {"p1": (20000, 61), "p2": (20000, 61), "p3": (7900, 34)}[path.stem[:2]]
    assert f"train: {steps} steps of 64 images" in plan
    assert f"snapshots: {snapshots} at steps 0, " in plan
    assert path.stem[1] == "3" or "500, " in plan and " 1331, " in plan  # the eighth of sixty


def test_paper_size_has_the_parameters_it_says(root):
    config = read_config(root / "configs" / "worlds" / "p2_2x2.yaml")
    model = opened(config).new_model()
    unet = sum(p.numel() for p in model.unet.parameters())
    assert unet == pytest.approx(14.4e6, rel=0.005)
    assert [p.shape for p in model.objective.parameters()] == [torch.Size([])] * 2
