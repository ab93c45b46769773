"""scripts/new.py: a checked file from a few words, with its picture and its cost."""

import pytest
from PIL import Image

from studies.experiment.config import read_config
from tests.harness.commands import call

WORDS = ("star, cross x orange, purple, hold out star purple",)


def test_a_file_is_written_with_a_picture_and_its_cost(tmp_path):
    status, out, err = call("new", *WORDS, "--folder", str(tmp_path), "--name", "stars")
    assert status == 0 and not err, err
    config = read_config(tmp_path / "stars.yaml")
    assert config.name == "stars" and config.terms.terms.split.held_out == (("star", "purple"),)
    assert Image.open(tmp_path / "stars.png").height > 4 * 72
    assert "held out: 1 of 4 combinations: star purple" in out
    assert (
        "minutes on one core" in out and f"next: python scripts/run.py --config {tmp_path}" in out
    )
    header = (tmp_path / "stars.yaml").read_text().splitlines()[1]
    assert "32000 training images" in header and "network evaluations" in header
    status, plan, err = call("run", "--config", str(tmp_path / "stars.yaml"), "--dry-run")
    assert status == 0 and "32000 images in all" in plan


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["strar x orange"], "words: unknown value 'strar' (did you mean 'star'?)"),
        ([*WORDS, "--name", "a b"], "name: got 'a b', allowed letters, digits"),
        ([*WORDS, "--name", "there"], "--name: there.yaml is there already; choose another"),
        (["star, cross x orange, hold out star"], "world.held_out: hides the shape 'star' compl"),
        ([], "words: got '', allowed such as 'star, cross x orange, purple"),
    ],
)
def test_mistakes_write_nothing(tmp_path, arguments, message):
    (tmp_path / "there.yaml").write_text("name: mine\n")
    status, out, err = call("new", *arguments, cwd=tmp_path)
    assert status == 2 and message in err and not out, err
    assert (tmp_path / "there.yaml").read_text() == "name: mine\n"
    assert [*tmp_path.iterdir()] == [tmp_path / "there.yaml"]
