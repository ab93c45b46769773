"""Where two runs part is found and named; runs that hold the same are said to."""

import json
import runpy
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from diffusion.snapshots import thin
from ground.endings import Mistake
from ground.files import hashes, read_json, read_rows, write_json
from studies import stages
from studies.experiment.config import Config, read_config
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.samples import save_samples
from studies.verify.compare import compare
from studies.verify.tensor_differences import tensor_differences
from studies.worlds.prompt_sets import PLAIN
from tests.harness.opened import opened

EMA = "unet/diffusion_pytorch_model.ema.safetensors"
SAMPLES = "samples/step_00000002/ema.npz"
SAME = (
    "the runs are identical in 4 rows, 3 snapshots, 2 states and the samples of both; "
    "scores are not compared"
)


@pytest.fixture(scope="module")
def config(root) -> Config:
    config = read_config(root / "configs" / "tiny.yaml")
    short = {"max_steps": 4, "batch_size": 8, "snapshots": "0, 2", "state_every": 2, "threads": 1}
    return replace(
        config,
        name="a",
        world=replace(config.world, num_images=64),
        train=replace(config.train, **short),
        evaluate=replace(config.evaluate, snapshots="0"),
    )


def train(config: Config, path: Path) -> RunDir:
    run = RunDir(path)
    stages.train_stage(Experiment(config, run), lambda line: None)
    return run


@pytest.fixture(scope="module")
def first(config, tmp_path_factory) -> RunDir:
    """4 steps: snapshots of steps 0, 2 and 4, states of steps 2 and 4, one file of samples."""
    run = train(config, tmp_path_factory.mktemp("runs") / "a")
    images = np.random.default_rng(0).integers(0, 256, (8, 2, 4, 4, 3), dtype=np.uint8)
    save_samples(
        run.path / SAMPLES,
        images,
        opened(config).exam.questions[PLAIN],
        None,
    )
    return run


@pytest.fixture
def second(first, tmp_path) -> RunDir:
    """A copy to be changed."""
    shutil.copytree(first.path, tmp_path / "b")
    return RunDir(tmp_path / "b")


def lines(first: RunDir, second: RunDir, *, part: bool) -> list[str]:
    """What is said of two runs, which are known to part or not."""
    found = compare(first.path, second.path)
    assert any(difference.parts for difference in found) == part, found
    return [difference.line for difference in found]


def change_rows(path: Path, step: int, change: Callable[[dict], object]) -> None:
    rows = read_rows(path)
    for row in rows[step - 1 :]:
        change(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def change_tensors(path: Path, change: Callable[[dict], object], directory: Path) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    manifest = read_json(directory / "manifest.json")
    write_json(directory / "manifest.json", {**manifest, "sha256": hashes(directory)})


def test_the_same_training_again_is_identical(first, config, tmp_path):
    again = train(replace(config, name="again"), tmp_path / "again")
    assert lines(first, again, part=False) == ["name: a → again", SAME]


def test_settings_are_told_but_do_not_part_runs(first, second):
    env = read_json(second.path / "env.json")
    write_json(second.path / "env.json", {**env, "world_size": 2, "threads": 3})
    text = second.config_file.read_text()
    second.config_file.write_text(text.replace("log_every: 1", "log_every: 2"))
    said = ["train.log_every: 1 → 2", "env.threads: 1 → 3", "env.world_size: 1 → 2", SAME]
    assert lines(first, second, part=False) == said


def test_another_seed_parts_from_the_first_step_on(first, config, tmp_path):
    other = train(replace(config, seed=1), tmp_path / "a")
    found = lines(first, other, part=True)
    assert found[0] == "seed: 0 → 1"
    assert found[1].startswith("metrics.jsonl: step 1 is the first to differ: loss ")
    assert found[2].startswith("ranks.jsonl: step 1, rank 0 is the first to differ: draw ")
    assert found[3].startswith("ranks.jsonl: step 1, rank 0 is the first to differ: loss ")
    assert found[4].startswith("snapshots/step_00000000: ") and " tensors differ, most" in found[4]
    assert found[5].startswith("state/step_00000002: ") and len(found) == 6


def test_the_first_row_to_differ_is_named_with_its_columns(first, second):
    loss = read_rows(first.path / "metrics.jsonl")[2]["loss"]
    change_rows(second.path / "metrics.jsonl", 3, lambda row: row.update(loss=row["loss"] * 1.25))
    change_rows(second.path / "metrics.jsonl", 3, lambda row: row.update(images_seen=30))
    what = "metrics.jsonl: step 3 is the first to differ: images_seen 24 → 30 (relative difference"
    assert lines(first, second, part=True) == [
        f"{what} 2.5e-01); loss {loss} → {loss * 1.25} (relative difference 2.5e-01)"
    ]


def test_a_run_that_ends_earlier_is_told(first, second):
    path = second.path / "metrics.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    shutil.rmtree(second.snapshots / "step_00000004")
    assert lines(first, second, part=True) == [
        f"metrics.jsonl: only {first.path} has rows of 1 step from 4 on",
        f"snapshots: only {first.path} has steps 4",
    ]


def test_the_first_process_to_differ_is_named(second, tmp_path):
    third = RunDir(shutil.copytree(second.path, tmp_path / "c"))
    for run, draw in ((second, "0123abcd"), (third, "dcba3210")):
        path = run.path / "ranks.jsonl"
        change_rows(path, 1, lambda row: row.update(draw=["0" * 8] * 2, loss=[0.5, 0.25]))
        change_rows(path, 2, lambda row, draw=draw: row.update(draw=["0" * 8, draw]))
    change_rows(third.path / "ranks.jsonl", 4, lambda row: row.update(loss=[0.5, 0.5]))
    where = "is the first to differ:"
    assert lines(second, third, part=True) == [
        f"ranks.jsonl: step 2, rank 1 {where} draw 0123abcd → dcba3210",
        f"ranks.jsonl: step 4, rank 1 {where} loss 0.25 → 0.5 (relative difference 1.0e+00)",
    ]


def test_ranks_of_other_worlds_cannot_be_compared(first, second):
    change_rows(second.path / "ranks.jsonl", 2, lambda row: row.update(draw=["0" * 8] * 2))
    change_rows(second.path / "ranks.jsonl", 2, lambda row: row.update(loss=[0.5, 0.25]))
    what = "ranks.jsonl: 1 and 2 processes at step 2: ranks cannot be compared"
    assert lines(first, second, part=False) == [what, SAME]
    (second.path / "ranks.jsonl").unlink()  # as in older runs
    assert lines(first, second, part=False) == [SAME]


def test_the_first_tensor_to_differ_is_named(first, second):
    directory = second.snapshots / "step_00000002"
    old = load_file(first.snapshots / "step_00000002" / EMA)["conv_in.bias"]
    new = old.clone()
    new[0] += 0.5
    change_tensors(directory / EMA, lambda t: t.update({"conv_in.bias": new}), directory)
    relative = ((new - old).double().norm() / old.double().norm()).item()
    assert lines(first, second, part=True) == [
        f"snapshots/step_00000002: 1 tensor differs, most of all conv_in.bias of {EMA} (ema), "
        f"max |a - b| 5.0e-01, ‖a - b‖/‖a‖ {relative:.1e}"
    ]


def test_of_several_tensors_that_which_differs_most_is_named(first, second):
    directory = second.states / "step_00000002"
    path = directory / "optimizer.safetensors"
    name = "unet.conv_in.bias/exp_avg"

    def change(tensors: dict) -> None:
        tensors[name] += 3
        tensors["unet.conv_in.weight/exp_avg"] += 0.01

    change_tensors(path, change, directory)
    (line,) = lines(first, second, part=True)
    what = f"state/step_00000002: 2 tensors differ, most of all {name} of optimizer.safetensors"
    assert line.startswith(f"{what} (optimizer), max |a - b| 3.0e+00")


def test_a_tensor_of_one_side_is_named(first, second):
    directory = second.states / "step_00000004"
    change_tensors(directory / "raw.safetensors", lambda t: t.pop("unet.conv_in.bias"), directory)
    file = first.states / "step_00000004" / "raw.safetensors"
    what = (
        f"1 tensor differs, most of all unet.conv_in.bias of raw.safetensors (raw), only in {file}"
    )
    assert lines(first, second, part=True) == [f"state/step_00000004: {what}"]


def test_other_files_of_a_snapshot_are_named(first, second):
    directory = second.snapshots / "step_00000000"
    (directory / "tokenizer" / "tokenizer.json").write_text("{}")
    change_tensors(directory / EMA, lambda tensors: None, directory)
    what = f"{EMA} differs, but none of its tensors; tokenizer/tokenizer.json differs"
    assert lines(first, second, part=True) == [f"snapshots/step_00000000: {what}"]


def test_differences_of_tensors(tmp_path):
    a = {name: torch.ones(2) for name in ("same", "shape", "nan")} | {"zero": torch.zeros(2)}
    b = {"same": torch.ones(2), "shape": torch.ones(3), "zero": torch.ones(2)}
    save_file(a, tmp_path / "a")
    save_file({**b, "nan": torch.full((2,), float("nan"))}, tmp_path / "b")
    found = {name: rest for name, *rest in tensor_differences(tmp_path / "a", tmp_path / "b")}
    infinite = float("inf")
    assert found == {
        "nan": [infinite, "max |a - b| nan, ‖a - b‖/‖a‖ nan"],
        "shape": [infinite, "float32 (2,) → float32 (3,)"],
        "zero": [2**0.5, "max |a - b| 1.0e+00, ‖a - b‖/‖a‖ inf"],
    }


def test_thinned_snapshots_are_compared_by_their_hashes(first, second, config, tmp_path):
    thin(second.snapshots, 2)
    noted = SAME.replace("3 snapshots", "3 snapshots (1 thinned out, by their manifests)")
    assert lines(first, second, part=False) == [noted]
    thinned = read_json(second.snapshots / "step_00000002" / "thinned.json")
    thinned["sha256"][EMA] = "another"
    write_json(second.snapshots / "step_00000002" / "thinned.json", thinned)
    assert lines(first, second, part=True) == [f"snapshots/step_00000002: {EMA} differs"]


def test_the_first_image_to_differ_is_named(first, second, config):
    with np.load(first.path / SAMPLES) as stored:
        images = stored["images"].reshape(8, 2, 4, 4, 3)
        prompt = stored["prompt"][5]
    images[2, 1, 0, 0, 0] ^= 1
    images[7, 0] = 0
    save_samples(
        second.path / SAMPLES,
        images,
        opened(config).exam.questions[PLAIN],
        None,
    )
    where = f"image 5 ('{prompt}', sample 1)"
    assert lines(first, second, part=True) == [
        f"samples: 1 of 1 common files differ; step_00000002/ema.npz: 2 of 16 images, "
        f"the first is {where}"
    ]


def test_images_of_the_memoriser_are_compared_too(first, second, config):
    captions = opened(config).exam.questions[PLAIN]
    images = np.zeros((8, 2, 4, 4, 3), dtype=np.uint8)
    save_samples(first.samples / "memoriser" / "ema.npz", images, captions, None)
    images[0, 1] = 9
    save_samples(second.samples / "memoriser" / "ema.npz", images, captions, None)
    try:
        (line,) = lines(first, second, part=True)
    finally:
        shutil.rmtree(first.samples / "memoriser")
    assert "samples: 1 of 2 common files differ; memoriser/ema.npz: 1 of 16 images" in line


def test_damage_is_no_difference(first, second, tmp_path):
    path = second.snapshots / "step_00000002" / EMA
    path.write_bytes(path.read_bytes()[:-1])
    message = f"step_00000002: {EMA} has changed; scripts/verify.py --run {second.path} names all"
    with pytest.raises(Mistake, match=message):
        compare(first.path, second.path)
    (second.path / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(
        Mistake, match="metrics.jsonl: row 1 has no step or no loss; scripts/verify"
    ):
        compare(first.path, second.path)
    with pytest.raises(Mistake, match="not a run directory"):
        compare(first.path, tmp_path)


def call(monkeypatch, root: Path, *arguments: Path) -> int | str | None:
    """Exit status of the script, in this process: its imports are what takes long."""
    monkeypatch.setattr(sys, "argv", ["compare.py", *map(str, arguments)])
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(root / "scripts" / "compare.py"), run_name="__main__")
    for number, handler in handlers.items():
        signal.signal(number, handler)
    return end.value.code


def test_the_exit_status_tells(first, second, root, monkeypatch, capsys, tmp_path):
    assert call(monkeypatch, root, first.path, second.path) == 0
    assert capsys.readouterr().out == f"{SAME}\n"
    change_rows(second.path / "metrics.jsonl", 1, lambda row: row.update(grad_norm=0.0))
    assert call(monkeypatch, root, first.path, second.path) == 1
    assert "step 1 is the first to differ: grad_norm" in capsys.readouterr().out
    assert call(monkeypatch, root, first.path, tmp_path) == 2
    assert "not a run directory" in capsys.readouterr().err
