"""Elicited before prompted: a planted gap is found, and chance alone finds none."""

import numpy as np
import pytest

from analysis.measures.elicitation import cross_fitted, elicited_before_prompted

T = np.geomspace(1e3, 1e5, 19)
IMAGES, WAYS = 32, 6
HALF = np.arange(IMAGES) % 2


def rising(middle: float, steep: float = 4.0) -> np.ndarray:
    """Accuracy that crosses .8 where ln t is ln(middle) + ln(4)/steep."""
    return 1 / (1 + (T / middle) ** -steep)


def drawn(rng: np.random.Generator, accuracy: np.ndarray, *shape: int) -> np.ndarray:
    """Images that are right from their own moment on: (…, times, images)."""
    return rng.random((*shape, 1, IMAGES)) < accuracy[:, None]


def compare(rng, prompted, elicited, **options):
    return elicited_before_prompted(T, prompted, elicited, HALF, rng=rng, **options)


def test_a_planted_gap_is_found():
    """One way of six crosses .8 twice as soon; the others never do."""
    rng = np.random.default_rng(0)
    covered, found = 0, 0
    for _ in range(20):
        elicited = drawn(rng, np.full_like(T, 0.3), WAYS)
        elicited[2] = drawn(rng, rising(8e3))
        one = compare(rng, drawn(rng, rising(16e3)), elicited, num_draws=99)
        low, high = one.ratio_interval
        covered += low <= 2 <= high
        found += bool(one.before)
        assert one.elicited.time < one.prompted.time and one.gap > 0
    assert covered >= 16 and found >= 18


def test_equal_ways_are_not_called_sooner():
    """All ways and the prompts have one curve: the best of six by chance is no capability."""
    rng = np.random.default_rng(1)
    found = [
        compare(rng, drawn(rng, rising(16e3)), drawn(rng, rising(16e3), WAYS), num_draws=99)
        for _ in range(60)
    ]
    alarms = sum(bool(one.before) for one in found)
    assert alarms <= 5  # 1.5 are expected of an interval of 95 % with two sides


def test_images_that_guess_elicit_nothing():
    """Control: nothing is learned, and every image is right by chance, anew at each snapshot."""
    rng = np.random.default_rng(2)
    for chance in (0.0, 0.25, 0.5):
        prompted = rng.random((len(T), IMAGES)) < chance
        elicited = rng.random((WAYS, len(T), IMAGES)) < chance
        one = compare(rng, prompted, elicited, num_draws=99)
        assert one.before is None and np.isnan([one.ratio, one.gap, *one.ratio_interval]).all()
        assert np.isinf([one.prompted.high, one.elicited.high]).all()


def test_picking_by_one_half_and_reading_off_the_other_is_not_flattered():
    """Of 64 ways that guess, the best on its own images looks good; cross-fitted it does not."""
    rng = np.random.default_rng(3)
    right = rng.random((64, 200, IMAGES)) < 0.5
    halves = [np.flatnonzero(HALF == side) for side in (0, 1)]
    accuracy = cross_fitted(right, halves, np.ones((1, IMAGES)))
    assert right.mean(2).max(0).mean() > 0.7
    assert accuracy.mean() == pytest.approx(0.5, abs=3 * np.sqrt(0.25 / (200 * IMAGES)))


def test_a_time_after_the_last_snapshot_counts_as_that():
    rng = np.random.default_rng(4)
    one = compare(rng, drawn(rng, np.full_like(T, 0.1)), drawn(rng, rising(8e3), 1))
    assert np.isnan(one.prompted.time) and (one.prompted.low, one.prompted.high) == (T[-1], np.inf)
    assert one.ratio == pytest.approx(T[-1] / one.elicited.time) and one.before
    other = compare(rng, drawn(rng, rising(8e3)), drawn(rng, np.full_like(T, 0.1), 1))
    assert other.ratio < 1 and other.ratio_interval.high < 1 and other.before is False


def test_what_is_there_at_the_first_snapshot_counts_as_that():
    rng = np.random.default_rng(5)
    one = compare(rng, drawn(rng, rising(8e3)), drawn(rng, np.ones_like(T), 2))
    assert (one.elicited.low, one.elicited.high) == (0, T[0])
    assert one.ratio == pytest.approx(one.prompted.time / T[0])


def test_the_same_images_differ_by_nothing():
    right = drawn(np.random.default_rng(6), rising(8e3))
    one = compare(np.random.default_rng(0), right, right[None])
    assert one.ratio == 1 and one.gap == 0 and one.ratio_interval == (1, 1) and not one.before
    assert (one.elicited_accuracy == one.prompted_accuracy).all()


def test_a_half_without_images_is_refused():
    right = drawn(np.random.default_rng(7), rising(8e3))
    with pytest.raises(ValueError, match="two halves with images"):
        elicited_before_prompted(
            T, right, right[None], np.zeros(IMAGES, int), rng=np.random.default_rng(0)
        )
