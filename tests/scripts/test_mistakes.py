"""Help, plans and the mistakes of a user: before any work."""

import subprocess
import sys

import pytest

from tests.harness.commands import ROOT, TINY, call

SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))


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


def test_all_mistakes_of_a_file_stand_on_lines_of_their_own(tmp_path):
    (tmp_path / "mine.yaml").write_text("name: a b\nworld: {}\ntrain: {bath_size: 3, seed: 1}\n")
    for script in ("run", "train"):
        status, out, err = call(script, "--config", "mine.yaml", cwd=tmp_path)
        assert status == 2 and not out
        assert [line.partition(": ")[2].partition(":")[0] for line in err.splitlines()] == [
            "train.bath_size",
            "train.seed",
            "world.concepts",
        ]
        assert all(line.startswith("error: ") for line in err.splitlines())


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
        (
            "train",
            ["--config", TINY, "--train.cond-dropout", "0", "--evaluate.guidance-scale", "2"],
            "evaluate.guidance_scale: got 2, allowed 1 with train.cond_dropout: 0",
        ),
        ("generate", ["--prompt", "a", "--prompt", "b"], "--prompt: given twice; give it once"),
        ("evaluate", ["--evaluate.seed", "1"], "--run: missing; give a run directory"),
        ("evaluate", ["--run", "runs/none"], "not a run directory (no config.yaml); train one"),
        ("generate", ["--run", "runs/none", "--prompt", "a"], "not a run directory"),
        ("plot_trajectories", ["--run", "runs/none"], "not a run directory"),
        ("sim", [], "--config, --fit: give one of them"),
        ("sim", ["--fit", "runs/none"], "runs/none: not a run directory"),
        ("sim", ["--fit", "runs/none", "--pilot", "16"], "--pilot: is not read with --fit"),
        ("sim", ["--config", "c.yaml", "--level", "0.1"], "--level: is not read with --config"),
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
