"""Training: the same bytes again, exact continuation, and what snapshots hold."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import DDPMScheduler, DiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file
from transformers import AutoTokenizer, CLIPTextModel

from data_gen.dataset import training_set
from data_gen.world import World
from diffusion import pipeline as pipeline_module
from diffusion.conditioning import TextConditioner
from diffusion.model import build_model
from diffusion.model_config import ModelConfig
from diffusion.objective_config import ObjectiveConfig
from diffusion.pipeline import ConceptPipeline
from diffusion.processes import Processes, build_accelerator
from diffusion.records import ImageLosses, Step, mean_by_label
from diffusion.snapshots import complete_steps, find_snapshot, steps_in
from diffusion.train import Diverged, Trainer
from diffusion.train_config import TrainConfig
from diffusion.training_data import image_losses
from ground.endings import DamageWarning, Mistake, Preempted
from ground.files import hashes, is_complete
from studies.worlds.captioned_images import training_data
from studies.worlds.model_inputs import make_conditioning
from tests.harness.rounding import assert_same_sums

CONFIG = TrainConfig(
    max_steps=12, batch_size=8, warmup_steps=4, snapshots="0, 4, 8", state_every=5, threads=1
)


PIPELINE = str(pipeline_module.__file__)
TINY, PLAIN = ModelConfig(size="tiny"), ObjectiveConfig()


def trainer(
    world: World,
    directory: Path,
    config: TrainConfig = CONFIG,
    seed: int = 0,
    model: ModelConfig = TINY,
    objective: ObjectiveConfig = PLAIN,
    **options,
) -> Trainer:
    directory.mkdir(exist_ok=True)
    conditioning = make_conditioning(world, model)
    return Trainer(
        training_data(world, training_set(world), conditioning),
        build_model(model, objective, conditioning.build, (3, 16, 16), seed),
        conditioning.prompts,
        config,
        seed=seed,
        directory=directory,
        processes=Processes(build_accelerator(config)),
        **options,
    )


def rows(directory: Path) -> list[dict]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def straight(tmp_path_factory, tiny_world) -> Path:
    directory = tmp_path_factory.mktemp("straight")
    trainer(tiny_world, directory).run()
    return directory


def same_run(a: Path, b: Path) -> None:
    assert (a / "metrics.jsonl").read_bytes() == (b / "metrics.jsonl").read_bytes()
    assert steps_in(a / "snapshots") == steps_in(b / "snapshots")
    for step in steps_in(a / "snapshots"):
        first, second = (hashes(find_snapshot(d / "snapshots", step)) for d in (a, b))
        assert first == second, step


def test_two_runs_of_one_config_are_identical(straight, tiny_world, tmp_path):
    trainer(tiny_world, tmp_path / "again").run()
    same_run(straight, tmp_path / "again")


@pytest.mark.parametrize("seed", [1, 1 << 32])  # the second one's low bits are those of 0
def test_another_seed_is_another_run(straight, tiny_world, tmp_path, seed):
    trainer(tiny_world, tmp_path / "other", replace(CONFIG, max_steps=1), seed=seed).run()
    assert rows(tmp_path / "other")[0]["loss"] != rows(straight)[0]["loss"]
    first, second = (
        load_file(find_snapshot(d / "snapshots", 0) / "unet/diffusion_pytorch_model.safetensors")
        for d in (straight, tmp_path / "other")
    )
    assert not torch.equal(first["conv_in.weight"], second["conv_in.weight"])


@pytest.mark.parametrize(
    "stop_after",
    [1, pytest.param(5, marks=pytest.mark.slow), 7, pytest.param(11, marks=pytest.mark.slow)],
)
def test_a_stopped_and_continued_run_equals_the_straight_one(
    straight, tiny_world, tmp_path, stop_after
):
    calls = iter(range(1, 100))
    with pytest.raises(Preempted, match=f"stopped after step {stop_after}"):
        trainer(
            tiny_world, tmp_path / "stopped", should_stop=lambda: next(calls) == stop_after
        ).run()
    continued = trainer(tiny_world, tmp_path / "stopped")
    assert continued.step == stop_after
    continued.run()
    same_run(straight, tmp_path / "stopped")


def test_rows_beyond_the_last_state_are_written_again(straight, tiny_world, tmp_path):
    """As after a kill: rows and snapshots go on to step 12, the last whole state is of step 10."""
    trainer(tiny_world, tmp_path / "killed").run()
    (tmp_path / "killed" / "state" / "step_00000012" / "manifest.json").unlink()
    with pytest.warns(DamageWarning, match="step_00000012: manifest.json is missing; not used"):
        continued = trainer(tiny_world, tmp_path / "killed")
    assert continued.step == 10
    continued.run()
    same_run(straight, tmp_path / "killed")


def test_rows_lost_since_a_state_was_saved_lead_to_the_state_before(straight, tiny_world, tmp_path):
    shutil.copytree(straight, tmp_path / "run")
    metrics = tmp_path / "run" / "metrics.jsonl"
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:11]))
    with pytest.warns(DamageWarning, match="step_00000012: .*metrics.jsonl lost or changed rows"):
        continued = trainer(tiny_world, tmp_path / "run")
    assert continued.step == 10
    continued.run()
    same_run(straight, tmp_path / "run")


@pytest.mark.parametrize("name", ["raw", "ema", "optimizer"])
def test_a_damaged_state_is_named_and_stepped_over(straight, tiny_world, tmp_path, name):
    shutil.copytree(straight, tmp_path / "run")
    file = tmp_path / "run" / "state" / "step_00000012" / f"{name}.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.warns(DamageWarning, match=f"step_00000012: {name}.safetensors has changed"):
        continued = trainer(tiny_world, tmp_path / "run")
    assert continued.step == 10
    continued.run()
    same_run(straight, tmp_path / "run")
    kept = [path.name for path in (tmp_path / "run" / "state").iterdir()]
    assert "step_00000012.broken-0" in kept  # moved aside, not deleted


def test_a_snapshot_of_a_training_that_was_abandoned_is_replaced(straight, tiny_world, tmp_path):
    """Killed after step 12 was saved, gone on from 10 with another order of additions."""
    run = shutil.copytree(straight, tmp_path / "run")
    shutil.rmtree(run / "state" / "step_00000012")
    trainer(tiny_world, run, replace(CONFIG, micro_batch_size=2)).run()
    raw = load_file(run / "state" / "step_00000012" / "raw.safetensors")["unet.conv_in.weight"]
    new, old = (run / "snapshots" / f"step_00000012{end}" for end in ("", ".broken-0"))
    name = "unet/diffusion_pytorch_model.safetensors"
    assert torch.equal(load_file(new / name)["conv_in.weight"], raw)
    assert not torch.equal(load_file(old / name)["conv_in.weight"], raw)


def test_changed_rows_that_no_state_knows_are_refused(straight, tiny_world, tmp_path):
    shutil.copytree(straight, tmp_path / "run")
    metrics = tmp_path / "run" / "metrics.jsonl"
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:7]))
    with (
        pytest.warns(DamageWarning),
        pytest.raises(
            ValueError, match="state: holds no state that can be used; restore one, or move"
        ),
    ):
        trainer(tiny_world, tmp_path / "run")


def test_snapshots_are_those_of_the_schedule(straight):
    assert complete_steps(straight / "snapshots") == [0, 4, 8, 12]
    assert complete_steps(straight / "state") == [10, 12]


def test_every_part_loads_with_its_own_library(straight):
    directory = find_snapshot(straight / "snapshots", None)
    unet = UNet2DConditionModel.from_pretrained(directory, subfolder="unet")
    averaged = UNet2DConditionModel.from_pretrained(directory, subfolder="unet", variant="ema")
    pairs = list(zip(unet.parameters(), averaged.parameters(), strict=True))
    assert not all(torch.equal(raw, ema) for raw, ema in pairs)
    CLIPTextModel.from_pretrained(directory / "text_encoder", variant="ema")
    DDPMScheduler.from_pretrained(directory, subfolder="scheduler")
    tokenizer = AutoTokenizer.from_pretrained(directory / "tokenizer")
    assert tokenizer.convert_ids_to_tokens(tokenizer("a red square").input_ids)[1:3] == ["a", "red"]


def test_pipelines_draw_the_same_images_from_a_run_and_from_a_directory(straight):
    first = ConceptPipeline.from_run(straight, step=12)
    first.set_progress_bar_config(disable=True)
    second = ConceptPipeline.from_pretrained(
        find_snapshot(straight / "snapshots", 12), variant="ema"
    )
    options = dict(seed=1, num_inference_steps=2)
    images = first(["a red square", "blue"], **options)
    assert images.shape == (2, 16, 16, 3) and images.dtype == torch.uint8
    assert torch.equal(images, second(["a red square", "blue"], **options))
    raw = ConceptPipeline.from_run(straight, step=12, weights="raw")
    assert not torch.equal(images, raw(["a red square", "blue"], **options))
    with pytest.raises(ValueError, match="unknown word 'bleu' .did you mean 'blue'"):
        first(["a bleu square"])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_pipelines_draw_with_weights_of_less_precision(straight, dtype):
    """Samplers stay in float32: of the image the network's roundings are felt alone, which are of
    2⁻⁹ of numbers around 1, .25 levels; 16 of them are allowed."""
    directory = find_snapshot(straight / "snapshots", 12)
    plain = ConceptPipeline.from_pretrained(directory)
    small = ConceptPipeline.from_pretrained(directory, torch_dtype=dtype)
    assert small.unet.dtype == small.text_encoder.dtype == dtype
    prompts = ["a red square", "blue", "red AND NOT small"]
    images, rounded = (p(prompts, num_inference_steps=2).int() for p in (plain, small))
    assert 0 < (images - rounded).abs().float().mean() < 4


def test_a_snapshot_loads_with_diffusers_alone(straight, tmp_path, monkeypatch):
    """It copies the file that it is told of into a cache of its own."""
    monkeypatch.setattr("diffusers.utils.dynamic_modules_utils.HF_MODULES_CACHE", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    directory = find_snapshot(straight / "snapshots", 12)
    loaded = DiffusionPipeline.from_pretrained(
        directory, custom_pipeline=PIPELINE, trust_remote_code=True, variant="ema"
    )
    ours = ConceptPipeline.from_pretrained(directory, weights="ema")
    images = ours(["a red square"], num_inference_steps=2)
    assert torch.equal(loaded(["a red square"], num_inference_steps=2), images)


def test_weights_are_raw_or_averaged_and_nothing_else(straight):
    snapshot = find_snapshot(straight / "snapshots", 12)
    raw, ema = (ConceptPipeline.from_pretrained(snapshot, weights) for weights in ("raw", "ema"))
    assert not torch.equal(raw.unet.conv_in.weight, ema.unet.conv_in.weight)
    same = ConceptPipeline.from_run(straight, 12).unet.conv_in.weight
    assert torch.equal(same.cpu(), ema.unet.conv_in.weight)
    for wrong in ("EMA", "best"):
        with pytest.raises(Mistake, match=f"weights: got '{wrong}', allowed ema, raw"):
            ConceptPipeline.from_run(straight, 12, wrong)


def test_a_missing_or_broken_snapshot_is_refused(straight, tiny_world, tmp_path):
    with pytest.raises(ValueError, match="snapshot of step 3 is not in .*; there are 0, 4, 8, 12"):
        ConceptPipeline.from_run(straight, step=3)
    trainer(tiny_world, tmp_path / "broken").run()
    weights = tmp_path / "broken/snapshots/step_00000012/unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.warns(DamageWarning, match="safetensors has changed; not used"):
        with pytest.raises(ValueError, match="no complete snapshot of step 12"):
            ConceptPipeline.from_run(tmp_path / "broken", step=12)
        last = find_snapshot(tmp_path / "broken" / "snapshots", None)
    assert last.name == "step_00000008"


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["all_reduce", "in_order"])
def test_micro_batches_add_up_to_the_batch(straight, tiny_world, tmp_path, reduction):
    """Two images at a time: the same draws and rates, losses equal up to the order of additions:
    160 roundings of float32 are allowed, for a dozen steps to add theirs up."""
    config = replace(CONFIG, micro_batch_size=2, reduction=reduction)
    run = trainer(tiny_world, tmp_path / "run", config)
    assert [len(draw.image) for draw in run._own_draws()] == [2, 2, 2, 2]
    run.run()
    for whole, summed in zip(rows(straight), rows(tmp_path / "run"), strict=True):
        assert summed["learning_rate"] == whole["learning_rate"]
        assert summed["loss"] == pytest.approx(whole["loss"], rel=1e-5)


def test_channels_side_by_side_are_the_same_training(straight, tiny_world, tmp_path):
    """Up to rounding, as above. Weights are saved in the usual order, and a stopped run goes on bit
    for bit."""
    config = replace(CONFIG, channels_last=True)
    run = trainer(tiny_world, tmp_path / "run", config)
    kernel = run.raw.unet.conv_in.weight
    assert kernel.stride() == (27, 1, 9, 3) and kernel.grad.stride() == kernel.stride()
    run.run()
    for usual, own in zip(rows(straight), rows(tmp_path / "run"), strict=True):
        assert own["loss"] == pytest.approx(usual["loss"], rel=1e-5)
    calls = iter(range(1, 100))
    stopped = dict(directory=tmp_path / "stopped", config=config)
    with pytest.raises(Preempted):
        trainer(tiny_world, **stopped, should_stop=lambda: next(calls) == 7).run()
    trainer(tiny_world, **stopped).run()
    same_run(tmp_path / "run", tmp_path / "stopped")


def test_sums_of_micro_batches_have_a_fixed_order(tiny_world, tmp_path):
    """By hand: g = ((g_0 + g_1) + g_2) + g_3 of the four shares of the loss."""
    config = replace(CONFIG, micro_batch_size=2, reduction="in_order")
    run = trainer(tiny_world, tmp_path / "run", config)
    parameters = list(run.raw.parameters())
    total = [torch.zeros_like(p) for p in parameters]
    for draw in run._own_draws():
        loss = image_losses(run.raw, run.data, draw, "float32").mean() / 4
        parts = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        total = [t + g for t, g in zip(total, parts, strict=True)]
    for draw in run._own_draws():
        run._add_gradient(draw, run.step)
        run.gradients.collect()
    run.gradients.reduce()
    assert all(torch.equal(p.grad, t) for p, t in zip(parameters, total, strict=True))


def test_ranks_say_what_each_drew_and_lost(straight):
    table = [json.loads(line) for line in (straight / "ranks.jsonl").read_text().splitlines()]
    assert [row["step"] for row in table] == list(range(1, 13))
    assert [row["loss"][0] for row in table] == pytest.approx([r["loss"] for r in rows(straight)])
    assert len({row["draw"][0] for row in table}) == 12


def test_timings_say_what_saving_took(straight):
    table = [json.loads(line) for line in (straight / "timings.jsonl").read_text().splitlines()]
    assert [row["step"] for row in table] == [4, 5, 8, 10, 12]
    assert all(0 < row["saving_seconds"] < row["seconds"] for row in table)


def test_bf16_is_near_float32_but_not_the_same(straight, tiny_world, tmp_path):
    trainer(tiny_world, tmp_path / "run", replace(CONFIG, precision="bf16", max_steps=4)).run()
    first, second = rows(straight)[0]["loss"], rows(tmp_path / "run")[0]["loss"]
    assert first != second and second == pytest.approx(first, rel=1e-2)


def test_rows_say_what_happened(straight):
    table = rows(straight)
    assert [row["step"] for row in table] == list(range(1, 13))
    assert [row["images_seen"] for row in table] == [8 * k for k in range(1, 13)]
    rates = [row["learning_rate"] for row in table]
    assert rates[:5] == pytest.approx([2.5e-4, 5e-4, 7.5e-4, 1e-3, 1e-3])  # no step lost at 0


@pytest.mark.parametrize("kind, end", [("ddpm", 1000), ("variational", 1)])
def test_rows_say_what_each_time_and_combination_lost(tiny_world, tmp_path, kind, end):
    """Of the first step, by hand: means of the losses of the images that were drawn."""
    config = replace(CONFIG, max_steps=1, batch_size=16, micro_batch_size=4)
    run = trainer(tiny_world, tmp_path, config, objective=ObjectiveConfig(kind=kind))
    names, losses = [tiny_world.space.name(c) for c in tiny_world.space.combinations], {}
    for draw in run._own_draws():
        loss = image_losses(run.raw, run.data, draw, "float32").tolist()
        for image, t, lost in zip(draw.image.tolist(), draw.t.tolist(), loss, strict=True):
            quartile = next(q for q in (1, 2, 3, 4) if t < q * end / 4)
            combination = names[int(run.data.combination[image])]
            for label in (f"loss/quartile {quartile}", f"loss/{combination}"):
                losses.setdefault(label, []).append(lost)
    run.run()
    (row,) = rows(tmp_path)
    expected = {label: sum(lost) / len(lost) for label, lost in losses.items()}
    assert len({round(mean, 9) for mean in expected.values()}) >= 8  # mixed up, they would differ
    logged = {key: value for key, value in row.items() if key.startswith("loss/")}
    assert logged == pytest.approx(expected, rel=1e-5)


def test_the_mean_of_a_label_does_not_depend_on_the_order_of_images():
    images = [("loss/quartile 1", "loss/red", x) for x in (1e16, 1.0, -1e16)]
    assert (
        mean_by_label(images)
        == mean_by_label(images[::-1])
        == {
            "loss/quartile 1": 1 / 3,
            "loss/red": 1 / 3,
        }
    )


def test_a_decaying_rate_falls_on_a_line_to_nothing(tiny_world, tmp_path):
    config = replace(CONFIG, learning_rate_decay="linear")
    trainer(tiny_world, tmp_path / "run", config).run()
    rates = [row["learning_rate"] for row in rows(tmp_path / "run")]
    assert rates[:4] == pytest.approx([2.5e-4, 5e-4, 7.5e-4, 1e-3])
    assert rates[4:] == pytest.approx([1e-3 * k / 8 for k in range(8, 0, -1)])


VARIANTS = {
    "variational": (TINY, ObjectiveConfig(kind="variational")),
    "v": (ModelConfig("tiny", conditioning="vector"), ObjectiveConfig(prediction="v_prediction")),
    "dropout": (ModelConfig("tiny", dropout=0.3, conditioning="embeddings"), PLAIN),
    "one_hot": (ModelConfig("tiny", conditioning="one_hot"), ObjectiveConfig(prediction="sample")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_every_kind_of_run_continues_bit_for_bit(tiny_world, tmp_path, name):
    """Stopped after step 7, and in two parts: the learned noise schedule and dropout go on too."""
    model, objective = VARIANTS[name]
    options = {"model": model, "objective": objective}
    config = replace(CONFIG, micro_batch_size=4)
    trainer(tiny_world, tmp_path / "straight", config, **options).run()
    stops = iter([False] * 6 + [True])
    with pytest.raises(Preempted):
        run = trainer(
            tiny_world, tmp_path / "run", config, should_stop=lambda: next(stops), **options
        )
        run.run()
    torch.rand(3)  # whatever else has drawn from the global generator since
    trainer(tiny_world, tmp_path / "run", config, **options).run()
    straight, stopped = (hashes(tmp_path / d / "state/step_00000012") for d in ("straight", "run"))
    assert straight == stopped
    assert rows(tmp_path / "straight") == rows(tmp_path / "run")


@pytest.mark.slow
def test_dropout_is_the_same_however_the_batch_is_divided(tiny_world, tmp_path):
    model, objective = VARIANTS["dropout"]
    for size in (None, 2):
        config = replace(CONFIG, micro_batch_size=size)
        trainer(tiny_world, tmp_path / str(size), config, model=model, objective=objective).run()
    whole, summed = ([r["loss"] for r in rows(tmp_path / name)] for name in ("None", "2"))
    assert summed == pytest.approx(whole, rel=1e-5)


def test_dropout_drops(tiny_world, tmp_path):
    model, objective = VARIANTS["dropout"]
    config = replace(CONFIG, max_steps=2)
    for name, rate in (("with", 0.3), ("without", 0.0)):
        changed = replace(model, dropout=rate)
        trainer(tiny_world, tmp_path / name, config, model=changed, objective=objective).run()
    assert rows(tmp_path / "with")[0]["loss"] != rows(tmp_path / "without")[0]["loss"]


def test_snapshots_know_the_noise_schedule_that_was_learned(tiny_world, tmp_path):
    config = replace(CONFIG, learning_rate=0.1, warmup_steps=0)
    objective = ObjectiveConfig(kind="variational", num_timesteps=100)
    run = trainer(tiny_world, tmp_path / "run", config, objective=objective)
    run.run()
    ends = []
    for step in (0, 12):
        schedule = ConceptPipeline.from_run(tmp_path / "run", step).scheduler
        snr = schedule.alphas_cumprod / (1 - schedule.alphas_cumprod)
        ends.append(-snr.log()[-1].item())
    assert ends[0] == pytest.approx(10, abs=1e-3)
    objective = run.raw.objective
    learned = objective.gamma(torch.ones(1)).item()
    assert ends[1] == pytest.approx(learned, abs=1e-3) and abs(learned - 10) > 0.1


def test_the_noise_schedule_is_not_decayed(tiny_world, tmp_path):
    config = replace(CONFIG, weight_decay=0.5)
    for kind, decays in (("variational", [0.5, 0.0]), ("ddpm", [0.5])):
        run = trainer(tiny_world, tmp_path / kind, config, objective=ObjectiveConfig(kind=kind))
        groups = run.optimizer.param_groups
        assert [group["weight_decay"] for group in groups] == decays
        assert sum(len(group["params"]) for group in groups) == len(run.trained)


def test_number_runs_draw_from_prompts_alone(tiny_world, tmp_path):
    model, objective = VARIANTS["v"]
    trainer(
        tiny_world, tmp_path / "run", replace(CONFIG, max_steps=4), model=model, objective=objective
    ).run()
    pipeline = ConceptPipeline.from_run(tmp_path / "run", weights="ema")
    images = pipeline(["a small blue square", "a large blue square"], num_inference_steps=4)
    assert images.shape == (2, 16, 16, 3) and not torch.equal(images[0], images[1])
    raw = ConceptPipeline.from_pretrained(find_snapshot(tmp_path / "run" / "snapshots", 4))
    first, averaged = (p.conditioner.layers[0].weight for p in (raw, pipeline))
    assert not torch.equal(first, averaged)
    with pytest.raises(Mistake, match="unknown word 'bleu'.*blue"):
        pipeline(["a bleu square"])
    for none in ("a blue square", []):
        with pytest.raises(Mistake, match="prompts: got .*, allowed a list of one prompt or more"):
            pipeline(none)


def test_averaged_weights_follow_their_formula(tiny_world, tmp_path):
    """θ_ema ← d·θ_ema + (1 − d)·θ with d = min(.99, (1 + t) / (10 + t)), by hand for 3 steps."""
    run = trainer(tiny_world, tmp_path / "run")
    name, raw = next(iter(run.raw.named_parameters()))
    expected = raw.detach().clone()
    for t in range(3):
        run._train_step()
        decay = min(0.99, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * raw.detach()
    assert_same_sums(dict(run.ema.named_parameters())[name], expected, terms=3 * 3)


def test_the_state_holds_everything(straight):
    directory = straight / "state" / "step_00000012"
    raw, ema = (load_file(directory / f"{name}.safetensors") for name in ("raw", "ema"))
    optimizer = load_file(directory / "optimizer.safetensors")
    assert raw.keys() == ema.keys()
    assert len(optimizer) == 3 * len([name for name in raw if f"{name}/step" in optimizer])
    assert {float(v) for k, v in optimizer.items() if k.endswith("/step")} == {12.0}


def test_a_loss_that_is_not_finite_stops_the_run(tiny_world, tmp_path):
    """Weights spoiled after step 0 is saved: the loss of step 1 tells, step 4 is never saved."""
    run = trainer(tiny_world, tmp_path / "wild")
    run._keep_snapshot()
    with torch.no_grad():
        next(run.raw.parameters()).fill_(float("inf"))
    run.snapshots = (4, 8, 12)
    with pytest.raises(Diverged, match="train: loss is nan at step 1 .* snapshot is step 0; lower"):
        run.run()
    assert complete_steps(tmp_path / "wild" / "snapshots") == [0]


def test_weights_that_are_not_finite_are_never_saved(tiny_world, tmp_path):
    run = trainer(tiny_world, tmp_path / "wild")
    with torch.no_grad():
        next(run.raw.parameters()).fill_(float("nan"))
    with pytest.raises(Diverged, match="train: weight .* is not finite after step 0"):
        run.run()
    assert steps_in(tmp_path / "wild" / "snapshots") == []


def test_divergence_names_step_rate_and_last_good_snapshot(tiny_world, tmp_path):
    run = trainer(tiny_world, tmp_path / "run")
    run._keep_snapshot()
    run._train_step()
    nan, one = torch.tensor(float("nan")), torch.tensor(1.0)
    none = ImageLosses(torch.empty(0), torch.empty(0).long(), torch.empty(0).long())
    run.records.pending = [Step(7, 1e-3, nan, one, own_loss=nan, draws=[], images=none)]
    message = r"loss is nan at step 7 \(learning rate 0.001\); the last good snapshot is step 0"
    with pytest.raises(Diverged, match=message):
        run.records.flush(run._check_finite)
    assert is_complete(tmp_path / "run" / "snapshots" / "step_00000000")


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_global_generator_is_left_alone(tiny_world, tmp_path, dropout):
    before = torch.random.get_rng_state()
    model = ModelConfig("tiny", dropout=dropout)
    trainer(tiny_world, tmp_path / "run", replace(CONFIG, max_steps=1), model=model).run()
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("frozen", [False, True])
def test_a_trained_encoder_drops_though_it_was_loaded_in_eval_mode(tiny_world, tmp_path, frozen):
    """A frozen one never does, nor does what averages the weights."""
    before = trainer(tiny_world, tmp_path)
    encoder = before.raw.conditioner.text_encoder
    encoder.encoder.layers[0].self_attn.dropout = 0.5
    before.raw.conditioner = TextConditioner(encoder, frozen)
    run = Trainer(
        before.data,
        before.raw.eval(),
        before.prompts,
        CONFIG,
        seed=0,
        directory=tmp_path,
        processes=before.processes,
    )
    assert run.raw.unet.training and encoder.training == (not frozen)
    assert not any(module.training for module in run.ema.modules())
    (draw,) = run._own_draws()
    losses = [run._add_gradient(draw, run.step) for _ in range(2)]
    assert torch.equal(*losses)  # what is dropped is a function of the step
    encoder.eval()
    assert torch.equal(run._add_gradient(draw, run.step), losses[0]) == frozen


def test_what_a_killed_writer_left_is_removed(tiny_world, tmp_path):
    left = [tmp_path / name / ".a.1.tmp" for name in ("snapshots", "snapshots/frozen", "state")]
    for path in left:
        path.mkdir(parents=True)
    trainer(tiny_world, tmp_path)
    assert not any(path.exists() for path in left)
