"""The language of schedules."""

import pytest

from data_gen.endings import Mistake
from diffusion.train_config import TrainConfig, check_train, depends_on_max_steps, parse_schedule


@pytest.mark.parametrize(
    "text, max_steps, steps",
    [
        ("", 10, [0, 10]),
        ("pow2", 10, [0, 1, 2, 4, 8, 10]),
        ("pow2", 8, [0, 1, 2, 4, 8]),
        ("linear:4", 10, [0, 2, 5, 7, 10]),
        ("linear:2@6", 10, [0, 8, 10]),
        ("3, 7, 99", 10, [0, 3, 7, 10]),
        ("pow2, linear:2, 3", 8, [0, 1, 2, 3, 4, 8]),
    ],
)
def test_schedules(text, max_steps, steps):
    assert parse_schedule(text, max_steps, "key") == tuple(steps)


def test_sqrt_gives_the_published_checkpoints():
    """arXiv:2406.19370: 60 points equally far apart in √step, 500 to 20000; the 8th is 1331."""
    steps = parse_schedule("sqrt:60@500", 20000, "key")
    assert len(steps) == 61 and steps[1] == 500 and steps[8] == 1331 and steps[-1] == 20000


@pytest.mark.parametrize(
    "term", ["pow3", "linear", "linear:1", "sqrt", "1.5", "-3", "linear:x", "5@3", "linear8"]
)
def test_terms_that_cannot_be_read_are_named(term):
    with pytest.raises(Mistake, match=f"train.snapshots: cannot read '{term}'; allowed: a step"):
        parse_schedule(f"0, {term}", 10, "train.snapshots")


def test_only_some_schedules_depend_on_the_end():
    for moving in ("0, linear:8", "sqrt:60@500"):
        assert depends_on_max_steps(TrainConfig(snapshots=moving))
    assert not depends_on_max_steps(TrainConfig(snapshots="0, pow2, 1331"))
    decaying = TrainConfig(snapshots="0, pow2, 1331", learning_rate_decay="linear")
    assert depends_on_max_steps(decaying)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"max_steps": 0}, "train.max_steps: got 0"),
        ({"cond_dropout": 1.5}, "train.cond_dropout: got 1.5, allowed 0 to 1"),
        ({"snapshots": "linear"}, "train.snapshots: cannot read 'linear'"),
    ],
)
def test_numbers_out_of_range_are_refused(change, message):
    with pytest.raises(Mistake, match=message):
        check_train(TrainConfig(**change))
