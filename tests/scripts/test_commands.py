"""Command lines, started as a user starts them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from diffusion.batches import BatchStream

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
TINY = str(ROOT / "configs" / "tiny.yaml")
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc_per_node", "2")
SHORT = (
    *("--train.max-steps", "8", "--train.batch-size", "8", "--train.state-every", "4"),
    *("--train.threads", "1", "--world.num-images", "64"),
    *("--probe.steps", "40", "--probe.gate", "0.3", "--evaluate.num-inference-steps", "2"),
    *("--probe.certificate-images", "64"),
    *("--evaluate.final-images-per-combination", "8"),
)


def start(script: str, *arguments: str, **options) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, **options)


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def call(script: str, *arguments: str, **options) -> tuple[int, str, str]:
    return finish(start(script, *arguments, **options))


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder with one finished run, `tiny`."""
    folder = tmp_path_factory.mktemp("runs")
    status, out, err = call("run", "--config", TINY, "--runs", str(folder), *SHORT)
    assert status == 0, err
    assert "held_out" in out and "probe: trained" in out and "report:" in out
    return folder


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_help_answers_without_the_heavy_libraries(script):
    """Below a second is measured by hand; what costs seconds is importing these."""
    code = (
        "import runpy, sys; sys.argv = [sys.argv[1], '--help']\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'diffusers', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(script)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


def test_a_plan_is_printed_and_nothing_made(tmp_path):
    status, out, err = call("train", "--config", TINY, "--dry-run", "--runs", str(tmp_path))
    assert status == 0, err
    assert "parameters" in out and "disk: about" in out and "snapshots:" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "script, arguments, message",
    [
        ("run", ["--config", "nothing.yaml"], "nothing.yaml: no such config file"),
        ("run", [], "--config: missing; give an experiment's YAML file"),
        ("train", ["--config", "{broken}"], "broken.yaml, line 2: broken YAML"),
        ("train", ["--config", "{unknown}"], "train.bath_size: unknown key (did you mean 'batch"),
        ("run", ["--config", TINY, "--train.bath-size", "3"], "Unrecognized options"),
        ("run", ["--config", TINY, "--train.batch-size", "0"], "train.batch_size: got 0, allowed"),
        (
            "run",
            ["--config", TINY, "--world.held-out", "circle red large", "circle red small"]
            + ["circle blue large", "circle blue small"],
            "hides the shape 'circle' completely; leave at least one combination",
        ),
        ("generate", ["--prompt", "a", "--prompt", "b"], "--prompt: given twice; give it once"),
        ("evaluate", ["--evaluate.seed", "1"], "--run: missing; give a run directory"),
        ("evaluate", ["--run", "runs/none"], "not a run directory (no config.yaml); train one"),
        ("generate", ["--run", "runs/none", "--prompt", "a"], "not a run directory"),
        ("plot_trajectories", ["--run", "runs/none"], "not a run directory"),
    ],
)
def test_mistakes_give_status_2_and_say_what_to_change(script, arguments, message, tmp_path):
    (tmp_path / "broken.yaml").write_text("name: [\n")
    (tmp_path / "unknown.yaml").write_text("name: a\nworld: {}\ntrain: {bath_size: 3}\n")
    files = {key: str(tmp_path / f"{key}.yaml") for key in ("broken", "unknown")}
    arguments = [argument.format(**files) for argument in arguments]
    status, out, err = call(script, *arguments, cwd=tmp_path)
    assert status == 2, err
    assert message in " ".join(err.split()), err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "prompt, message",
    [
        ("a smal blue square", "unknown word 'smal' (did you mean 'small'?); known: a, blue"),
        ("a red blue square", "contradictory color: 'red' and 'blue'"),
        ("", "names no concept; use some of shape: circle, square"),
        ("a blue square AND NOT", "a term is empty, allowed such as 'a red circle:2 AND NOT"),
        ("a blue square AND NOT a smal square", "unknown word 'smal' (did you mean 'small'?)"),
        ("a blue square:x", "got weight 'x', allowed 0 to 1000"),
    ],
)
def test_prompts_that_cannot_be_drawn_give_status_2(runs, prompt, message, tmp_path):
    out = str(tmp_path / "grid.png")
    status, _, err = call("generate", "--run", str(runs / "tiny"), "--prompt", prompt, "--out", out)
    assert status == 2 and message in err and "Traceback" not in err
    assert not Path(out).exists()


def test_a_finished_run_is_found_finished(runs):
    before = {p: p.stat().st_mtime_ns for p in (runs / "tiny").rglob("*.safetensors")}
    status, out, _ = call("run", "--config", TINY, "--runs", str(runs), *SHORT)
    assert status == 0
    assert "probe: found" in out and "train: finished before" in out
    assert "evaluate: finished before" in out and "held_out" in out
    assert before == {p: p.stat().st_mtime_ns for p in (runs / "tiny").rglob("*.safetensors")}


def test_another_experiment_under_the_same_name_is_refused(runs):
    arguments = ("--config", TINY, "--runs", str(runs), *SHORT, "--seed", "5")
    status, _, err = call("run", *arguments)
    assert status == 2 and "holds another experiment (seed: 0 → 5)" in err


def test_the_report_follows_the_evaluation_it_is_asked_for(runs):
    """Not the newest file: back at the first settings, the first report."""
    command = ("run", "--config", TINY, "--runs", str(runs), *SHORT)
    report = runs / "tiny" / "report.html"
    first = report.read_text()
    status, _, err = call(*command, "--evaluate.guidance-scale", "3.0")
    assert status == 0 and report.read_text() != first, err
    assert call(*command)[0] == 0
    assert report.read_text() == first


def test_training_beyond_the_asked_end_is_refused(tmp_path):
    fixed = ("--train.snapshots", "0, 4", "--evaluate.snapshots", "0")
    arguments = ("--config", TINY, "--runs", str(tmp_path), *SHORT, *fixed)
    assert call("train", *arguments)[0] == 0
    status, _, err = call("train", *arguments, "--train.max-steps", "6")
    assert status == 2 and "is trained to step 8 already; allowed 8 or more" in err
    assert "max_steps: 8" in (tmp_path / "tiny" / "config.yaml").read_text()


def test_the_run_directory_holds_what_was_promised(runs):
    run = runs / "tiny"
    status = json.loads((run / "status.json").read_text())
    assert (status["train"]["state"], status["evaluate"]["state"]) == ("done", "done")
    assert json.loads((run / "env.json").read_text())["world_size"] == 1
    assert (run / "probe" / "certificate.json").is_file()
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 8
    for name in ("accuracy", "trajectories", "samples"):
        assert (run / "figures" / f"{name}.png").stat().st_size > 5000
    html = (run / "report.html").read_text()
    assert "Does everything work?" in html and "http" not in html.split("</style>")[1]
    scores = pd.read_parquet(run / "scores.parquet")
    assert {*scores["probe"]} > {"oracle"}
    scores = scores[scores["probe"] != "oracle"]
    generated = scores[(scores["run"] == "tiny") & (scores["guidance_scale"] == 1)]
    assert sorted(generated["step"].unique()) == [0, 2, 4, 6, 8]
    assert len(generated) == (4 * 8 + 8) * 8 * 3
    assert (scores["run"] == "render").sum() == 8 * 8 * 3
    assert set(generated["split"]) == {"train", "held_out"}


def test_prompts_are_drawn_and_read(runs, tmp_path):
    out = tmp_path / "grid.png"
    arguments = ("--prompt", "a blue square", "--num-images", "3", "--num-inference-steps", "2")
    status, printed, err = call(
        "generate", "--run", str(runs / "tiny"), *arguments, "--out", str(out), "--step", "4"
    )
    assert status == 0 and err == ""  # no progress bar where no terminal is
    assert printed.count("a blue square: shape ") == 3 and "step_00000004: " in printed
    assert Image.open(out).height > 72
    assert {path.name for path in tmp_path.iterdir()} == {"grid.png", "grid.json"}


def test_a_sweep_over_snapshots_is_a_film(runs, tmp_path):
    out = tmp_path / "grid.png"
    arguments = ("--prompt", "a square", "--and", "blue:2", "--not", "a small square:0.5")
    arguments += ("--num-images", "2", "--sampler", "heun", "--num-inference-steps", "2")
    status, printed, err = call(
        "generate", "--run", str(runs / "tiny"), *arguments, "--out", str(out), "--steps", "all"
    )
    assert status == 0 and err == ""
    steps = [int(path.name[-8:]) for path in sorted((runs / "tiny" / "snapshots").glob("step_*"))]
    assert (
        printed.count(" of 2 as asked") == len(steps) == Image.open(tmp_path / "grid.gif").n_frames
    )
    written = json.loads((tmp_path / "grid.json").read_text())
    assert [image["step"] for image in written["images"]] == [s for s in steps for _ in range(2)]
    first = written["images"][0]
    assert first["prompt"] == "a square AND blue:2 AND NOT a small square:0.5"
    assert [term["weight"] for term in first["terms"]] == [1.0, 2.0, -0.5]
    assert (first["sampler"], first["weights"], first["index"]) == ("heun", "ema", 0)
    assert first["readings"]["probe"]["concepts"]["color"]["value"] in ("red", "blue")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--steps", "0", "x"], "--steps: got 'x', allowed 'all', or steps such as 0 512 1024"),
        (["--steps", "0", "--step", "4"], "--steps: given with --step; give one of them"),
        (["--steps", "0", "99"], "the snapshot of step 99 is not in"),
        (["--and", "a", "--and", "b"], "--and: given twice; give it once"),
        (["--out", "grid.jpg"], "allowed a file name that ends in .png"),
    ],
)
def test_what_cannot_be_drawn_gives_status_2(runs, arguments, message, tmp_path):
    command = ("generate", "--run", str(runs / "tiny"), "--prompt", "a square", *arguments)
    status, _, err = call(*command, cwd=tmp_path)
    assert status == 2 and message in err and len(err.splitlines()) == 1, err
    assert not list(tmp_path.iterdir())


def test_figures_of_several_runs(runs, tmp_path):
    other = ("--config", TINY, "--runs", str(runs), *SHORT, "--seed", "1", "--name", "other")
    status, out, err = call("run", *other)
    assert status == 0, err
    assert "probe: found" in out  # of the same world, shared
    folders = [str(runs / name) for name in ("tiny", "other")]
    status, out, err = call("plot_trajectories", "--run", *folders, "--out", str(tmp_path))
    assert status == 0, err
    names = {path.name for path in tmp_path.glob("*.png")}
    assert names == {"accuracy.png", "trajectories.png", "samples-tiny.png", "samples-other.png"}


def test_a_later_evaluation_adds_to_the_scores(runs):
    run = runs / "tiny"
    before = {path.name for path in (run / "scores.parquet").glob("[!.]*")}
    arguments = ("--run", str(run), "--evaluate.guidance-scale", "2.0")
    status, out, err = call("evaluate", *arguments, "--evaluate.snapshots", "0")
    assert status == 0, err
    added = {path.name for path in (run / "scores.parquet").glob("[!.]*")} - before
    assert len(added) == 4 and all("-g2-" in name for name in added)
    assert "probe and oracle say the same, where neither is unsure: joint " in out
    status, out, _ = call("run", "--config", TINY, "--runs", str(runs), *SHORT)
    assert status == 0 and "evaluate: finished before" in out
    status, out, _ = call("evaluate", *arguments, "--evaluate.snapshots", "0")
    assert "finished before" in out


def test_a_run_asked_to_stop_goes_on_to_the_same_end(tmp_path):
    """Stopped in the middle of training, status 75; the same command ends as the straight run."""
    arguments = ("--config", TINY, "--runs", str(tmp_path), *SHORT)
    arguments += ("--train.max-steps", "4000", "--train.snapshots", "0")
    arguments += ("--evaluate.snapshots", "0")
    process = start("train", *arguments)
    metrics = tmp_path / "tiny" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    status, _, err = finish(process)
    assert status == 75 and "the same command goes on" in err, err
    state = json.loads((tmp_path / "tiny" / "status.json").read_text())["train"]
    assert state["state"] == "preempted" and "state saved" in state["why"]
    stopped_at = len(metrics.read_text().splitlines())
    end = ("--train.max-steps", str(stopped_at + 4))
    status, out, err = call("train", *arguments, *end)
    assert status == 0 and f"going on from the state of step {stopped_at}" in out, err
    straight = ("--config", TINY, "--runs", str(tmp_path), *SHORT, "--name", "straight")
    status, _, err = call(
        "train", *straight, "--train.snapshots", "0", "--evaluate.snapshots", "0", *end
    )
    assert status == 0, err
    assert metrics.read_bytes() == (tmp_path / "straight" / "metrics.jsonl").read_bytes()


def launch(folder: Path, launcher: list[str], name: str, *extra: str) -> list[dict]:
    """metrics.jsonl of a run of 20 steps under a launcher."""
    command = [sys.executable, "-m", *launcher, str(ROOT / "scripts" / "train.py")]
    command += ["--config", TINY, "--runs", str(folder), "--name", name, *SHORT]
    command += ["--train.max-steps", "20", *extra]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (folder / name / "metrics.jsonl").open()]


def test_two_processes_are_the_same_run_as_one(tmp_path):
    """World size asserted, the first 20 losses equal to 1e-5, snapshots written once."""
    one = launch(tmp_path, ["accelerate.commands.launch", "--cpu"], "one")
    two = launch(tmp_path, [*TORCHRUN], "two")
    worlds = [json.loads((tmp_path / n / "env.json").read_text()) for n in ("one", "two")]
    assert [world["world_size"] for world in worlds] == [1, 2]
    assert [row["step"] for row in two] == list(range(1, 21))
    assert [r["loss"] for r in two] == pytest.approx([r["loss"] for r in one], rel=1e-5)
    assert len(list((tmp_path / "two" / "snapshots").iterdir())) == 5
    assert draws(tmp_path / "one") == expected_draws(1)
    assert draws(tmp_path / "two") == expected_draws(2)


def draws(run: Path) -> list[list[str]]:
    """Per step, the checksum of each process's images, timesteps, noise and dropped captions."""
    return [json.loads(line)["draw"] for line in (run / "ranks.jsonl").open()]


def expected_draws(world_size: int) -> list[list[str]]:
    """Of equal slices of one batch, a function of seed and step alone."""
    stream = BatchStream(0, 64, 8, num_timesteps=1000, cond_dropout=0.1, shape=(3, 16, 16))
    return [
        [f"{stream.draw(step, rank, world_size).checksum():08x}" for rank in range(world_size)]
        for step in range(20)
    ]


def test_a_batch_that_does_not_divide_is_refused_under_a_launcher(tmp_path):
    command = [sys.executable, "-m", *TORCHRUN]
    command += [str(ROOT / "scripts" / "train.py"), "--config", TINY, "--runs", str(tmp_path)]
    command += [*SHORT, "--train.batch-size", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1  # the launcher's, whatever ours was
    message = "train.batch_size: 7 does not divide among 2 processes"
    assert message in done.stderr
    status = json.loads((tmp_path / "tiny" / "status.json").read_text())["train"]
    assert status["state"] == "failed" and message in status["why"]
