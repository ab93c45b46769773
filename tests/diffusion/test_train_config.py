"""The language of schedules."""

from decimal import Decimal, localcontext

import pytest

from diffusion.train_config import TrainConfig, depends_on_max_steps, parse_schedule
from ground.endings import Mistake


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


@pytest.mark.parametrize("kind", ["sqrt", "linear"])
def test_every_term_contains_its_own_ends(kind):
    """Strides of `linear` come after the start; points of `sqrt` begin with it."""
    for start in range(1, 2000):
        steps = parse_schedule(f"{kind}:3@{start}", 20000, "key")
        assert len(steps) == 4 and steps[-1] == 20000
        assert steps[1] == start if kind == "sqrt" else steps[1] > start


def test_points_of_sqrt_are_truncated_from_what_they_are():
    """√2, 2√2 and 3√2 squared are whole; the others by decimals of 60 digits."""
    assert parse_schedule("sqrt:3@2", 18, "key") == (0, 2, 8, 18)
    with localcontext() as context:
        context.prec = 60
        for start, stop, count in ((3, 7000, 50), (500, 20000, 60), (48, 1323, 31), (5, 10**8, 99)):
            low, high = Decimal(start).sqrt(), Decimal(stop).sqrt()
            points = [(low + (high - low) * k / (count - 1)) ** 2 for k in range(count)]
            exact = {int(point + Decimal("1e-40")) for point in points}
            assert {0, stop, *exact} == {*parse_schedule(f"sqrt:{count}@{start}", stop, "key")}


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
        TrainConfig(**change)
