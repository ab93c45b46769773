"""A config from a few words: what is read, and that what is written is an experiment."""

import pytest
import yaml

from ground.endings import Mistake
from ground.reading import read_as, read_yaml
from studies.experiment.config import Config
from studies.experiment.few_words import LONG, SHORT, Wanted, config_text, read_wanted


def written(text: str) -> tuple[str, Config]:
    told = config_text(read_wanted(text), "mine", "python scripts/run.py", "12 MiB")
    return told, read_as(Config, yaml.safe_load(told), "")


@pytest.mark.parametrize(
    "text, concepts, held_out",
    [
        (
            "star, cross x orange, purple, hold out star purple",
            {"shape": ("star", "cross"), "color": ("orange", "purple")},
            ("star purple",),
        ),
        (
            "Star cross × Orange and purple; holding out star purple, cross orange.",
            {"shape": ("star", "cross"), "color": ("orange", "purple")},
            ("star purple", "cross orange"),
        ),
        ("left, right", {"x": ("left", "right")}, ()),
        (
            "violet, red x small, large x dark, light hold out small violet and dark red",
            {
                "color": ("violet", "red"),
                "size": ("small", "large"),
                "background": ("dark", "light"),
            },
            ("small violet", "dark red"),
        ),
    ],
)
def test_words_are_read(text, concepts, held_out):
    assert read_wanted(text.rstrip(".")) == Wanted(concepts, held_out)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "words: got '', allowed such as 'star, cross x orange, purple, hold out star purple'"),
        ("star x , hold out star", "words: got .*, allowed such as"),
        ("star hold out a hold out b", "words: got .*, allowed such as"),
        ("star, orange", "'star, orange' are values of shape and color; write x between"),
        ("star, cross x upright, tilted", "(?s)unknown value 'upright'.*'tilted'"),
        ("star x cross", "shape is there twice"),
        ("str, cros x flob", "(?s)'str' .did you mean 'star'.*\n.*'cros'.*\n.*'flob'; known are"),
    ],
)
def test_what_cannot_be_read_is_refused(text, message):
    with pytest.raises(Mistake, match=message):
        read_wanted(text)


def test_what_is_written_is_complete_and_says_what_it_asks():
    text, config = written("star, cross x orange, violet, hold out star violet")
    lines = text.splitlines()
    assert (
        lines[0]
        == "# Question: does a small model compose star violet, which it never saw together?"
    )
    assert lines[1] == "# Command:  python scripts/run.py   |   12 MiB"
    assert config.question == "Does a small model compose star violet, which it never saw together?"
    assert config.world.concepts["color"].spans == {"violet": (0.8, 0.51, 0.8)}
    assert config.world.concepts["color"].jitter == 0.04
    assert config.terms.terms.split.held_out == (("star", "violet"),)
    assert (config.probe.steps, config.probe.width) == (300, 16)


@pytest.mark.parametrize(
    "text",
    [
        "teal, navy x medium, large",
        "black, white x small, medium, large x star, circle, cross, ring",
        "filled, outlined x top, bottom x left, center, right, hold out filled top",
        "dark, light",
    ],
)
def test_whatever_is_written_is_an_experiment(text):
    _, config = written(text)
    count = len(config.terms.terms.space)
    assert config.world.num_images == (4096 if count <= 8 else 16384)
    assert config.train.max_steps == (1000 if count <= 8 else 2000)


def test_a_file_is_refused_for_what_its_world_cannot_be():
    with pytest.raises(Mistake, match="world.held_out: hides the shape 'star' completely"):
        written("star, cross x orange, purple, hold out star")
    with pytest.raises(Mistake, match="world.held_out: unknown value 'purpel' .did you mean 'pur"):
        written("star, cross x orange, purple, hold out star purpel")


def test_training_is_that_of_the_demo(root):
    """Whose times and accuracies are known; with few combinations for fewer steps."""
    demo = read_yaml(root / "configs" / "quickstart.yaml")
    long, short = yaml.safe_load(LONG), yaml.safe_load(SHORT)
    for section in ("model", "train", "evaluate"):
        assert long[section].items() <= demo[section].items()
    own = {"max_steps", "snapshots", "final_images_per_combination"}
    for section in ("model", "train", "evaluate"):
        changed = {key for key, value in short[section].items() if long[section][key] != value}
        assert changed <= own and short[section].keys() == long[section].keys()
