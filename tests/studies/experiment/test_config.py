"""Configs: what is read, what makes another experiment, and every mistake's message."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from diffusion.model import build_unet
from diffusion.train_config import InitFrom
from ground.endings import Mistake
from ground.reading import read_as, read_yaml
from studies.experiment.config import (
    MOST_IMAGES,
    Config,
    read_config,
    scored_steps,
    snapshot_steps,
    to_dict,
    to_yaml,
)
from studies.experiment.identity import differences, identity
from studies.run.directory import RunDir

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))


@pytest.fixture
def config(root) -> Config:
    return read_config(root / "configs" / "tiny.yaml")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_says_what_it_asks_and_survives_a_round_trip(path):
    config = read_config(path)
    assert read_as(Config, yaml.safe_load(to_yaml(config)), "") == config
    header = path.read_text().splitlines()[:2]
    assert header[0].startswith("# Question:") and header[1].startswith("# Command:")
    assert config.name == path.stem and config.question


def edited(config: Config, **changes) -> dict:
    data = to_dict(config)
    for key, value in changes.items():
        *path, last = key.split("__")
        section = data
        for name in path:
            section = section[name]
        section[last] = value
    return data


SMALL = {
    "channels": [16, 16],
    "layers_per_block": 1,
    "attention_levels": [1],
    "attention_heads": 2,
}


def custom(**changes) -> dict:
    return {"model__size": "custom", "model__custom": {**SMALL, **changes}}


COUNTED = ("shape", "color", "size")


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"train__batchsize": 3},
            r"train.batchsize: unknown key .did you mean 'batch_size'..; all",
        ),
        ({"train__batch_size": "many"}, "train.batch_size: got 'many', allowed a whole number"),
        ({"train__batch_size": 2.5}, "train.batch_size: got 2.5, allowed a whole number"),
        ({"train__learning_rate": True}, "train.learning_rate: got True, allowed a number"),
        ({"model__size": "nanno"}, "model.size: got 'nanno' .did you mean 'nano'.*allowed"),
        ({"world__held_out": 3}, "world.held_out: got 3, allowed a list"),
        ({"world__held_out": "circle"}, "world.held_out: hides the shape 'circle' completely"),
        ({"world__concepts": 3}, "world.concepts: got 3, allowed a mapping"),
        ({"world__concepts__color__signl": 3}, "world.concepts.color.signl: unknown key"),
        ({"name": "a b"}, "name: got 'a b', allowed letters, digits"),
        ({"name": "render"}, "name: got 'render', allowed .* but not render or memoriser"),
        ({"seed": -1}, "seed: got -1, allowed 0 to"),
        ({"evaluate__seed": -1}, "evaluate.seed: got -1, allowed 0 to"),
        ({"probe__width": 12}, "probe.width: got 12, allowed multiples of 8"),
        ({"probe__gate": 7}, "probe.gate: got 7.0, allowed 0 to 1"),
        ({"objective__num_timesteps": 0}, "objective.num_timesteps: got 0"),
        (
            {"objective__kind": "variational", "objective__prediction": "sample"},
            "objective.prediction: got 'sample', allowed for variational: epsilon",
        ),
        ({"model__custom": {**SMALL}}, "model.custom: is read with model.size: custom alone"),
        (custom(channels=[20]), "model.custom.channels: got .20., allowed multiples of 8"),
        (custom(attention_levels=[2]), "attention_levels: got .2., allowed some of .0, 1."),
        (custom(attention_heads=5), "attention_heads: 5 heads do not divide 16 channels"),
        (
            {**custom(channels=[16, 24, 32], attention_heads=1), "model__conditioning": "one_hot"},
            "attention_heads: 1 heads at 32 channels are 32 wide, .* one_hot .*, also 24",
        ),
        (
            {**custom(attention_heads=5), "model__conditioning": "one_hot"},
            "attention_heads: 5 heads do not divide 16 channels",
        ),
        (custom(text_width=33), "model.custom.text_width: got 33, allowed multiples of 2"),
        (custom(layers_per_block=0), "model.custom.layers_per_block: got 0, allowed 1 or more"),
        (custom(channels=[8] * 6), "model.size: custom halves images 5 times; .* multiple of 32"),
        ({"evaluate__guidance_scale": -1}, "evaluate.guidance_scale: got -1.0, allowed 0 to 1000"),
        ({"model__dropout": 1.0}, "model.dropout: got 1.0, allowed 0 up to below 1"),
        ({"model__conditioning": "pretrained"}, "model.text_encoder.name: must be given with"),
        ({"model__text_encoder__name": "clip"}, "model.text_encoder.name: must be given with"),
        (
            {"train__learning_rate_decay": "linear", "train__warmup_steps": 700},
            "train.warmup_steps: got 700, allowed below train.max_steps = 700",
        ),
        ({"evaluate__num_inference_steps": 7}, "got 7, allowed for ddim: divisors of 1000, 1, 2"),
        ({"world__concepts__color": {"signal": 0.7}}, "concepts.color.values: missing"),
        ({"train": [1, 2]}, "train: got .1, 2., allowed a mapping"),
        ({"evaluate__snapshots": "7"}, "evaluate.snapshots: step 7 is no snapshot of training"),
        ({"evaluate__num_inference_steps": 0}, "num_inference_steps: got 0, allowed 1 to"),
        ({"evaluate__images_per_combination": 0}, "images_per_combination: got 0, allowed 1"),
        (
            {"evaluate__final_images_per_combination": MOST_IMAGES + 1},
            "evaluate.final_images_per_combination: got 1048577, allowed 1 to 1048576",
        ),
        (
            {f"world__concepts__{n}__values": [f"{n}{i}" for i in range(17)] for n in COUNTED},
            "world.concepts: make 4913 combinations, allowed up to 4096",
        ),
    ],
)
def test_mistakes_name_the_key_and_what_is_allowed(config, change, message):
    with pytest.raises(Mistake, match=message):
        read_as(Config, edited(config, **change), "")


def test_custom_sizes_are_read(config):
    read = read_as(Config, edited(config, **custom()), "")
    assert read.model.widths.channels == (16, 16) and read.model.widths.text_layers == 2


def test_sizes_that_are_allowed_can_be_built_and_run(config):
    """Of two levels that attend: heads of one width for numbers, a number of heads for captions."""
    levels = {"channels": [16, 24, 32], "attention_levels": [1, 2], "attention_heads": 4}
    x, t = torch.zeros(1, 3, 16, 16), torch.zeros(1)
    for conditioning, tokens in (("one_hot", None), ("captions", 6), ("pretrained", 6)):
        model = {"model__conditioning": conditioning, **custom(**levels)}
        if conditioning == "pretrained":  # whose width is not ours
            model |= {"model__text_encoder__name": "clip", **custom(text_width=33, **levels)}
        read = read_as(Config, edited(config, **model), "")
        unet = build_unet(read.model, (3, 16, 16), tokens)
        told = {"class_labels": torch.zeros(1, tokens or 64)}
        if tokens:
            told["encoder_hidden_states"] = torch.zeros(1, 2, tokens)
        with torch.no_grad():
            assert unet(x, t, **told).sample.shape == x.shape


def test_numbers_may_be_spelled_as_yaml_reads_them(config):
    data = edited(config, train__learning_rate="1e-3", world__num_images="2e2")
    read = read_as(Config, data, "")
    assert read.train.learning_rate == 1e-3 and read.world.num_images == 200


@pytest.mark.parametrize(
    "text, message",
    [
        ("name: [", r"c.yaml, line 2: broken YAML"),
        ("name: a\nname: b", r"c.yaml, line 2: broken YAML: the key 'name' is given twice"),
        ("- a", "must hold 'key: value' lines, got list"),
        ("name: a", "world: missing"),
        ("1: a", "the key 1 is no text"),
    ],
)
def test_broken_files_are_named(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text + "\n")
    with pytest.raises(Mistake, match=message):
        read_config(tmp_path / "c.yaml")
    with pytest.raises(Mistake, match="nothing.yaml: no such config file"):
        read_yaml(tmp_path / "nothing.yaml")


MINE = """
name: mine
world:
  concepts: {shape: [circle, star], color: [orange, purple], size: [small, large]}
  held_out: star purple
train: {max_steps: 80, snapshots: "linear:4"}
"""


def read_mine(folder: Path, text: str) -> Config:
    (folder / "mine.yaml").write_text(text)
    return read_config(folder / "mine.yaml")


def test_what_a_first_file_leaves_out_fits_what_it_says(tmp_path):
    config = read_mine(tmp_path, MINE)
    held_out = config.terms.terms.split.held_out
    assert held_out == (("star", "purple", "small"), ("star", "purple", "large"))
    assert scored_steps(config) == snapshot_steps(config) == (0, 20, 40, 60, 80)
    assert (config.probe.steps, config.probe.width) == (300, 16)
    assert config.world.concepts["color"].signal == 0.7
    assert read_as(Config, yaml.safe_load(to_yaml(config)), "") == config


def test_only_what_is_left_out_is_fitted(tmp_path):
    config = read_mine(tmp_path, MINE + "probe: {steps: 500}\nevaluate: {snapshots: '40'}\n")
    assert (config.probe.steps, config.probe.width) == (500, 16)
    assert scored_steps(config) == (0, 40, 80)
    large = read_mine(tmp_path, MINE.replace("world:", "world:\n  image_size_px: 32"))
    assert (large.probe.steps, large.probe.width) == (600, 32)
    colors = MINE.replace("[orange, purple]", "[red, green, blue, yellow, cyan, orange, purple]")
    assert read_mine(tmp_path, colors).probe.width == 32  # 28 combinations
    five = MINE.replace("[orange, purple]", "[red, green, blue, yellow, purple]")
    assert read_mine(tmp_path, five).probe.width == 32  # 20, but of five colors


def test_the_usual_steps_are_scored_where_training_keeps_them(tmp_path):
    usual = (0, 64, 128, 250, 375, 500, 625, 750, 1000, 1250, 1500, 1750, 2000)
    assert scored_steps(read_mine(tmp_path, MINE.partition("train:")[0])) == usual
    longer = read_mine(tmp_path, MINE.partition("train:")[0] + "train: {max_steps: 3000}")
    assert scored_steps(longer) == snapshot_steps(longer)


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path):
    text = """
world:
  concepts: {shape: [circle, strar], color: [orange, violet], rotation: [upright, tilted]}
  held_out: star violet
model: {size: nanno}
train: {max_steps: many, bath_size: 3}
evaluate: {images_per_combination: 0}
"""
    with pytest.raises(Mistake) as raised:
        read_mine(tmp_path, text)
    assert [line.partition(":")[0] for line in raised.value.lines] == [
        "name",
        "model.size",
        "train.bath_size",
        "train.max_steps",
        "evaluate.images_per_combination",
        "world.concepts.shape",
        "world.concepts.color",
        "world.concepts.rotation.signal",
    ]


def test_sections_that_are_read_are_checked_together(tmp_path):
    changes = "seed: -1\nmodel: {dropout: 2}\nevaluate: {snapshots: '7', sampler: unipcc}\n"
    with pytest.raises(Mistake) as raised:
        read_mine(tmp_path, MINE.replace("star purple", "star pruple") + changes)
    keys = [line.partition(":")[0] for line in raised.value.lines]
    assert keys[:1] == ["evaluate.sampler"] and "world.held_out" in keys
    fixed = changes.replace(", sampler: unipcc", "")
    with pytest.raises(Mistake) as raised:
        read_mine(tmp_path, MINE.replace("star purple", "star pruple") + fixed)
    keys = [line.partition(":")[0] for line in raised.value.lines]
    assert keys == ["seed", "model.dropout", "evaluate.snapshots", "world.held_out"]


def test_scored_steps_are_snapshots(config):
    assert set(scored_steps(config)) <= set(snapshot_steps(config))


def test_what_makes_another_experiment(config):
    in_order = replace(
        config, train=replace(config.train, reduction="in_order", micro_batch_size=8)
    )
    same = [
        replace(config, name="other"),
        replace(config, train=replace(config.train, log_every=5, state_every=3, threads=7)),
        replace(config, train=replace(config.train, micro_batch_size=8, tracker="tensorboard")),
        replace(config, probe=replace(config.probe, steps=3)),
        replace(config, evaluate=replace(config.evaluate, guidance_scale=2.0)),
    ]
    other = [
        replace(config, seed=1),
        replace(config, world=replace(config.world, seed=1)),
        replace(config, train=replace(config.train, learning_rate=0.1)),
        replace(config, train=replace(config.train, precision="bf16")),
        replace(config, train=replace(config.train, compile=True)),
        replace(config, train=replace(config.train, init_from=InitFrom("runs/other", 8))),
        in_order,
        replace(in_order, train=replace(in_order.train, micro_batch_size=16)),
        replace(config, model=replace(config.model, conditioning="captions_contextual")),
    ]
    assert all(identity(c) == identity(config) for c in same)
    assert all(identity(c) != identity(config) for c in other)
    assert identity(other[-1]) != identity(in_order)  # there the micro-batch fixes the bits


def test_more_steps_are_the_same_experiment_only_if_no_snapshot_moves(config):
    config = replace(config, evaluate=replace(config.evaluate, snapshots="0"))
    fixed = replace(config, train=replace(config.train, snapshots="0, pow2"))
    longer = replace(fixed, train=replace(fixed.train, max_steps=2000))
    assert identity(fixed) == identity(longer)
    moving = replace(config, train=replace(config.train, snapshots="0, linear:4"))
    assert identity(moving) != identity(
        replace(moving, train=replace(moving.train, max_steps=2000))
    )


def test_differences_are_listed_by_key():
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}) == ["a.c: 2 → 3"]


def test_a_directory_belongs_to_one_experiment(config, tmp_path):
    run = RunDir(tmp_path / "run")
    run.claim(config)
    run.claim(replace(config, probe=replace(config.probe, steps=3)))
    assert run.read_config().probe.steps == 3
    run.claim(replace(config, seed=2))  # nothing was made yet: a mistake does not take the name
    run.claim(config)
    run.snapshots.mkdir()
    with pytest.raises(Mistake, match=r"holds another experiment \(seed: 0 → 1\); choose another"):
        run.claim(replace(config, seed=1))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    with pytest.raises(Mistake, match="is not empty and no run"):
        RunDir(tmp_path / "full").claim(config)
    with pytest.raises(Mistake, match=r"not a run directory \(no config.yaml\)"):
        RunDir(tmp_path / "full").read_config()


def test_one_writer_at_a_time_and_its_status(config, tmp_path):
    from ground.files import read_json

    run = RunDir(tmp_path / "run")
    with run.writing("train"):
        assert read_json(run.path / "status.json")["train"]["state"] == "running"
        with pytest.raises(Mistake, match="another process is at its train stage"):
            RunDir(tmp_path / "run").writing("train").__enter__()
        with run.writing("evaluate"):
            pass
    with pytest.raises(RuntimeError), run.writing("train"):
        raise RuntimeError("why")
    status = read_json(run.path / "status.json")
    assert (status["train"]["state"], status["train"]["why"]) == ("failed", "why")
    assert status["evaluate"]["state"] == "done"
