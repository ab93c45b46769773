"""Training on worlds of Gaussian bumps: what is learned, what is never shown, what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from data_gen.bumps.config import BumpsConfig, HeldOut
from data_gen.bumps.world import EXAMPLES, SPLITS, BumpWorld
from diffusion.model_config import ModelConfig
from diffusion.pipeline import ConceptPipeline
from diffusion.prompts import CoordinatePrompts
from diffusion.snapshots import complete_steps
from diffusion.train_config import TrainConfig
from ground.endings import Mistake
from ground.reading import read_as
from studies import stages
from studies.drawing.generate import chosen_steps, draw
from studies.dry_run import describe_plan
from studies.experiment.config import (
    Config,
    EvaluateConfig,
    read_config,
    scored_steps,
    to_dict,
    to_yaml,
)
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.verify.compare import compare
from studies.verify.verify import verify
from studies.worlds.bumps.images import bump_task
from studies.worlds.model_inputs import bump_conditioning
from studies.worlds.prompt_sets import PLAIN
from tests.harness.commands import call
from tests.harness.opened import opened

pytestmark = pytest.mark.usefixtures("tiles_of_eight")

ROOT = Path(__file__).parents[3]
CONFIGS = sorted(p for f in ("", "worlds") for p in (ROOT / "configs" / f).glob("bumps_*.yaml"))
PLANE = BumpsConfig(
    image_size_px=8,
    image="stripes",
    examples="both",
    margin=4.0,
    held_out=HeldOut("bands", 3.0, 4.0),
)
CONFIG = Config(
    "bumps",
    PLANE,
    model=ModelConfig(size="tiny", conditioning="coordinates"),
    train=TrainConfig(
        max_steps=4, batch_size=8, snapshots="0, 2", state_every=2, warmup_steps=2, threads=1
    ),
    evaluate=EvaluateConfig(num_inference_steps=2, snapshots="0, 2"),
)


def quiet(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def run(tmp_path_factory, said) -> RunDir:
    run = RunDir(tmp_path_factory.mktemp("runs") / "bumps")
    stages.train_stage(Experiment(CONFIG, run), said.append)
    return run


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_world_of_bumps_can_be_trained_on(path, tmp_path):
    config = read_config(path)
    assert read_as(Config, to_dict(config), "") == config and config.name == path.stem
    script = "run" if path.parent.name == "configs" else "train"
    assert f"scripts/{script}.py --config {path.relative_to(ROOT)}" in path.read_text()
    plan = describe_plan(Experiment(config, RunDir(tmp_path / "run"))).removeprefix(to_yaml(config))
    world = BumpWorld(config.world)
    assert f"world: labels train {len(world.select('train'))}" in plan
    for line in ("M parameters", f"train: {config.train.max_steps} steps", "disk: about"):
        assert line in plan
    last, others = config.evaluate.final_images_per_combination, len(scored_steps(config)) - 1
    images = (last + others * config.evaluate.images_per_combination) * len(
        opened(config).exam.questions[PLAIN]
    )
    assert f"{config.evaluate.weights} weights; {images} images" in plan


def test_the_papers_worlds_share_one_training():
    configs = [read_config(path) for path in CONFIGS if path.parent.name == "worlds"]
    assert len(configs) == 9
    assert len({str((c.model, c.objective, c.train, c.evaluate, c.seed)) for c in configs}) == 1
    widths = configs[0].model.widths
    assert len(widths.channels) == len(widths.attention_levels) == 3


@pytest.mark.parametrize("examples", ["2d", "1d", "both"])
@pytest.mark.parametrize("region", ["none", "bands", "interior", "exterior", "lesion"])
def test_held_out_labels_never_train_and_all_others_do(examples, region):
    config = replace(PLANE, examples=examples, held_out=HeldOut(region, 3.0, 4.0))
    world = BumpWorld(config)
    data, lines = bump_task(world).load()
    told = data.inputs[data.row]
    assert not world.contains(told).any()
    assert torch.equal(told, world.labels[world.split == 0])
    assert "leak check: 0 of" in lines[0]


def test_a_label_that_slipped_in_is_a_leak():
    world = BumpWorld(PLANE)
    world.split[world.split == SPLITS.index("intersection")] = SPLITS.index("train")
    with pytest.raises(Mistake, match="leak: training label .* held-out region 'intersection'"):
        bump_task(world).load()


def test_every_image_is_under_its_own_label():
    """A crossing is bright at the pixel of its centre; the null row belongs to no image."""
    data, _ = bump_task(BumpWorld(PLANE)).load()
    assert data.images.shape[1:] == (1, 8, 8) and data.images.dtype == torch.uint8
    assert data.inputs[-1].isnan().all() and data.row.max() == len(data.inputs) - 2
    kinds = [EXAMPLES[i] for i in data.combination.tolist()]
    assert set(kinds) == set(EXAMPLES) == set(data.combinations)
    for image, (x, y), kind in zip(data.images, data.inputs[data.row].tolist(), kinds, strict=True):
        columns, rows = image[0].float().mean(0), image[0].float().mean(1)
        if kind in ("2d", "1d_x"):
            assert abs(int(columns.argmax()) + 0.5 - x) <= 0.5
        if kind in ("2d", "1d_y"):
            assert abs(int(rows.argmax()) + 0.5 - y) <= 0.5
        assert bool(image.any()) == (kind != "blank")


def test_all_labels_outside_the_frame_are_one_null():
    conditioner = bump_conditioning(PLANE).build(16)
    h = conditioner(torch.tensor([[3.0, -4.0], [3.0, 11.0], [3.0, -8.0], [3.0, 7.9]])).h
    assert torch.equal(h[0], h[1]) and torch.equal(h[0], h[2])
    assert not torch.allclose(h[0], h[3])


def test_the_ends_of_a_torus_are_one_place():
    torus = replace(PLANE, examples="2d", periodic=True)
    h = bump_conditioning(torus).build(16)(torch.tensor([[0.0, 3.0], [8.0, 3.0], [4.0, 3.0]])).h
    assert torch.allclose(h[0], h[1], atol=1e-5) and not torch.allclose(h[0], h[2], atol=1e-2)
    ends = bump_conditioning(PLANE).build(16)(torch.tensor([[0.0, 3.0], [8.0, 3.0]])).h
    assert not torch.allclose(ends[0], ends[1], atol=1e-2)


def test_training_leaves_snapshots_and_losses_by_kind_of_example(run, said):
    assert complete_steps(run.snapshots) == [0, 2, 4]
    assert "leak check: 0 of" in said[0] and "2d 36, 1d_x" in said[1]
    rows = [json.loads(line) for line in (run.path / "metrics.jsonl").open()]
    labels = {key for row in rows for key in row if key.startswith("loss/")}
    kinds = {label for label in labels if "quartile" not in label}
    assert "loss/2d" in kinds and kinds <= {f"loss/{name}" for name in EXAMPLES}


def test_the_null_of_a_coordinate_learns(run):
    file = "conditioner/diffusion_pytorch_model.safetensors"
    first, last = (
        load_file(run.snapshots / f"step_{step:08d}" / file)["layers.0.null"] for step in (0, 4)
    )
    assert first.shape == (2, 12) and ((first != last).any(dim=1)).all()


def test_a_snapshot_draws_from_numbers_alone(run):
    pipeline = ConceptPipeline.from_run(run.path, step=2, weights="raw")
    assert pipeline.prompts == CoordinatePrompts([[0.0, 8.0]] * 2, [False] * 2)
    prompts = ["2.5 3", "2.5 -", "2.5 3", ""]
    images = pipeline(prompts, torch.zeros(4, 1, 8, 8), num_inference_steps=2)
    assert images.shape == (4, 8, 8, 1) and images.dtype == torch.uint8
    assert torch.equal(images[0], images[2]) and not torch.equal(images[0], images[1])
    with pytest.raises(Mistake, match="prompt '9 3': got '9', allowed 0 to 8, or - for none"):
        pipeline(["9 3"])


def test_the_words_of_a_world_of_shapes_are_still_words(root):
    config = read_config(root / "configs" / "swingby_2x2.yaml")
    model = replace(config.model, size="tiny")
    small = opened(replace(config, model=model))
    parts = small.new_model(), small.task.conditioning.prompts
    assert ConceptPipeline.of(*parts).prompts.words.keys() >= {"red", "small"}


def two_steps(run: RunDir) -> Experiment:
    """A run, drawn from with two steps of DDIM."""
    return Experiment(
        replace(CONFIG, evaluate=replace(CONFIG.evaluate, num_inference_steps=2)), run
    )


def test_images_are_drawn_in_gray_without_a_probe(run):
    options = dict(steps=[0, 4], num_images=3)
    first, last = draw(two_steps(run), ["2 3", "- 3"], **options)
    assert (first.step, last.step) == (0, 4)
    assert last.images.shape == (2, 3, 8, 8, 1) and last.readings == []
    assert [seen.keys() for seen in last.oracle] == [{"centre_px"}] * 6
    assert not np.array_equal(first.images, last.images)


def test_an_image_is_the_same_beside_other_prompts_and_snapshots(run):
    prompts = ["2 3", "2 3:2 AND NOT - 3:0.5"]
    both = draw(two_steps(run), prompts, steps=[2, 4], num_images=3)[1].images
    alone = draw(two_steps(run), prompts[1:], steps=[4], num_images=2)[0].images
    assert np.array_equal(alone[0], both[1, :2]) and not np.array_equal(both[0], both[1])


def test_steps_are_chosen_among_the_snapshots(run):
    assert chosen_steps(run, None) == [4]
    assert chosen_steps(run, "all") == [0, 2, 4]
    assert chosen_steps(run, [4, 0, 4]) == [0, 4]
    with pytest.raises(Mistake, match="the snapshot of step 3 is not in .*; there are 0, 2, 4"):
        chosen_steps(run, [0, 3])


def test_the_command_draws(run, tmp_path):
    out = tmp_path / "grid.png"
    arguments = ("--num-images", "2", "--out", str(out))
    prompts = ("--prompt", "2 3", "- 3", "--not", "4 4:0.5")
    status, printed, err = call("generate", "--run", str(run.path), *prompts, *arguments)
    assert status == 0, err
    assert f"step_00000004: no probe has read them; wrote {out}, " in printed
    images = json.loads(out.with_suffix(".json").read_text())["images"]
    assert [image["prompt"] for image in images[1:3]] == [
        "2 3 AND NOT 4 4:0.5",
        "- 3 AND NOT 4 4:0.5",
    ]
    assert [image["index"] for image in images] == [0, 1, 0, 1]
    assert images[0]["readings"].keys() == {"oracle"} and not out.with_suffix(".gif").exists()
    status, _, err = call("generate", "--run", str(run.path), "--prompt", "2 x", *arguments)
    assert status == 2 and "error: prompt '2 x': got 'x', allowed 0 to 8, or - for none" in err


def test_flags_reach_the_world(tmp_path):
    config = str(ROOT / "configs" / "bumps_torus_small.yaml")
    flags = ["--world.sigma-x", "2", "--world.no-periodic", "--world.held-out.region", "lesion"]
    flags += ["--world.held-out.low", "3", "--world.held-out.high", "5", "--dry-run"]
    status, out, err = call("train", "--config", config, *flags, "--runs", str(tmp_path))
    assert status == 0, err
    assert "sigma_x: 2.0" in out and "region: lesion" in out and "periodic: false" in out
    status, _, err = call("train", "--config", config, "--world.sigma-x", "nan", "--dry-run")
    assert status == 2 and "world.sigma_x: got nan, allowed a number" in err


def test_a_finished_run_is_found_finished_and_keeps_its_name(run):
    said: list[str] = []
    stages.train_stage(Experiment(CONFIG, run), said.append)
    assert "finished before" in said[0]
    other = replace(CONFIG, world=replace(PLANE, seed=1))
    with pytest.raises(Mistake, match=r"holds another experiment \(world.seed: 0 → 1\)"):
        stages.train_stage(Experiment(other, run), quiet)


def test_a_run_is_verified_and_compared_as_far_as_it_goes(run, tmp_path):
    assert [finding.line() for finding in verify(run)] == [f"note: {run.probe}: to come"]
    same = RunDir(tmp_path / "same")
    stages.train_stage(Experiment(CONFIG, same), quiet)
    lines = [difference.line for difference in compare(run.path, same.path)]
    assert "the runs are identical in 4 rows, 3 snapshots, 2 states" in lines[-1]
    (run_file,) = (same.snapshots / "step_00000002").glob("conditioner/*model.safetensors")
    run_file.write_bytes(b"")
    assert [f.level for f in verify(same)] == ["damaged", "note"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"model": {}}, "model.conditioning: got 'captions', allowed coordinates: the labels"),
        ({"captions": {"template": "a {x}"}}, "captions: worlds of bumps have none; leave the"),
        (
            {"world": {"kind": "bump"}},
            "world.kind: got 'bump' .did you mean 'bumps'",
        ),
        ({"world": {"kind": "bumps", "concepts": {}}}, "world.concepts: unknown key"),
        ({"world": {"kind": "bumps", "sigma_x": 0}}, "world.sigma_x: got 0.0, allowed above 0"),
        ({"world": {"kind": "bumps", "seed": -1}}, "seed: got -1, allowed 0 to"),
        ({"world": {"kind": "bumps", "image_size_px": 9}}, "image_size_px = 9 is no multiple of 4"),
        ({"evaluate": {"snapshots": "often"}}, "evaluate.snapshots: cannot read 'often'"),
    ],
)
def test_mistakes_name_the_key_and_what_is_allowed(change, message):
    with pytest.raises(Mistake, match=message):
        read_as(Config, {**to_dict(CONFIG), **change}, "")


def test_a_world_with_nothing_to_train_on_is_refused_before_training(tmp_path):
    empty = replace(CONFIG, world=replace(PLANE, held_out=HeldOut("interior", 0.0, 8.0)))
    with pytest.raises(Mistake, match="world.held_out: .* leaves no 2d example to train on"):
        stages.train_stage(Experiment(empty, RunDir(tmp_path / "run")), quiet)
    assert not (tmp_path / "run" / "snapshots").exists()
