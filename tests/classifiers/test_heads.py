"""A coordinate as shares of places: there and back, around a circle, and where there is none."""

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classifiers.heads import Coordinate

HEADS = [Coordinate(16, *flags) for flags in product((False, True), repeat=2)]
PX = st.lists(st.floats(0, 16), min_size=1, max_size=20).map(lambda px: torch.tensor(px).double())


@pytest.mark.parametrize("head", HEADS)
@given(PX)
def test_shares_are_probabilities_that_read_as_their_coordinate(head, px):
    shares = head.shares(px)
    assert shares.shape == (len(px), len(head)) and (shares >= 0).all()
    assert torch.allclose(shares.sum(1), torch.ones(len(px)).double())
    assert ((shares > 0).sum(1) <= 2).all()
    assert head.offset(head.read(shares), px).abs().max() < 0.01  # a mean direction is no mean
    assert torch.allclose(head.outcomes(shares, px)[:, 0], torch.ones(len(px)).double())


@given(PX, st.floats(-40, 40))
def test_a_circle_has_no_end(px, turn):
    head = Coordinate(16, periodic=True)
    moved = px + turn
    assert torch.allclose(head.shares(moved + 16), head.shares(moved), atol=1e-9)
    distance = (moved - px).abs().remainder(16)
    shorter = torch.minimum(distance, 16 - distance)
    assert torch.allclose(head.offset(moved, px).abs(), shorter, atol=1e-9)
    assert torch.allclose(head.read(head.shares(moved)), moved.remainder(16), atol=0.01) or (
        head.offset(head.read(head.shares(moved)), moved).abs().max() < 0.01
    )


def test_the_ends_of_a_line_are_two_places():
    line, circle = Coordinate(16), Coordinate(16, periodic=True)
    ends = torch.tensor([0.0, 16.0])
    assert line.shares(ends).argmax(1).tolist() == [0, 16]
    assert circle.shares(ends).argmax(1).tolist() == [0, 0]
    assert (len(line), len(circle), len(Coordinate(16, nullable=True))) == (17, 16, 18)


@pytest.mark.parametrize("periodic", [False, True])
def test_none_is_a_place_of_its_own(periodic):
    head, px = Coordinate(16, periodic, nullable=True), torch.tensor([3.25, torch.nan])
    shares = head.shares(px)
    assert shares[1].argmax() == len(head) - 1 and shares[1].sum() == 1
    read = head.read(shares)
    assert read[0] == pytest.approx(3.25, abs=0.01) and read[1].isnan()
    assert head.read(torch.lerp(shares[:1], shares[1:], 0.6)).isnan()
    assert head.read(torch.lerp(shares[:1], shares[1:], 0.4)).item() == pytest.approx(
        3.25, abs=0.01
    )


def test_right_is_within_a_pixel_or_rightly_none():
    head, nan = Coordinate(16, periodic=True, nullable=True), torch.nan
    read = torch.tensor([0.5, 1.01, 15.5, nan, nan, 4.0])
    asked = torch.tensor([1.5, 0.0, 0.25, nan, 4.0, nan])
    assert head.is_right(read, asked).tolist() == [True, False, True, True, False, False]


def test_outcomes_share_out_all_probability():
    head = Coordinate(4, nullable=True)  # places 0 to 4, and none
    p = torch.tensor([[0.1, 0.2, 0.3, 0.05, 0.05, 0.3]] * 3)
    outcomes = head.outcomes(p, torch.tensor([1.0, 1.5, torch.nan]))
    expected = [[0.6, 0.1, 0.3], [0.5, 0.2, 0.3], [0.0, 0.7, 0.3]]
    assert torch.allclose(outcomes, torch.tensor(expected).double())
