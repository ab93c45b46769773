"""scripts/generate.py on a finished run."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.harness.commands import call


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


def test_prompts_are_understood_as_people_type_them(runs, tmp_path):
    """From the same noise: the same pictures, and the words that the model was told."""
    prompts = ("A SQUARE AND NOT A RED SQUARE:0.5.", "a square AND NOT a red square:0.5")
    arguments = ("--num-images", "2", "--num-inference-steps", "2", "--step", "4")
    for name, prompt in zip(("typed", "plain"), prompts, strict=True):
        out = ("--out", str(tmp_path / f"{name}.png"))
        done = call("generate", "--run", str(runs / "tiny"), "--prompt", prompt, *arguments, *out)
        assert done[0] == 0, done
    typed, plain = ((tmp_path / f"{name}.json").read_text() for name in ("typed", "plain"))
    assert typed == plain and prompts[1] in plain
    assert (tmp_path / "typed.png").read_bytes() == (tmp_path / "plain.png").read_bytes()


@pytest.mark.slow
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
