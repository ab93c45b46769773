"""A limit is passed at its rate by values that were not there, however few it was learned from."""

import pytest
import torch

from classifiers.degradation import limit_at
from classifiers.limits import expected_rate, least, limit_of

COUNTS_AND_RATES = [
    (20, 0.05, 1),
    (20, 0.01, 1),  # too few: as rarely as 20 values allow
    (20, 0.1, 2),
    (99, 0.01, 1),
    (199, 0.01, 2),
    (512, 0.01, 5),
    (1, 0.5, 1),
]


def drawn(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed)).exp()


@pytest.mark.parametrize("count, rate, beyond", COUNTS_AND_RATES)
def test_of_any_values_each_left_out_in_turn_the_stated_number_is_beyond(count, rate, beyond):
    values = drawn(count + 1)
    turns = range(count + 1)
    rest = [torch.cat((values[:i], values[i + 1 :])) for i in turns]
    assert sum(bool(values[i] > limit_of(rest[i], rate)) for i in turns) == beyond
    assert expected_rate(count, rate) == beyond / (count + 1)


def test_the_rate_is_kept_from_the_least_number_of_values_on():
    for rate in (0.5, 0.05, 0.01, 0.003):
        assert expected_rate(least(rate), rate) <= rate < expected_rate(least(rate) - 1, rate)


def test_the_oracles_limit_is_one_too():
    images = torch.arange(21, dtype=torch.uint8).view(21, 1, 1, 1)

    def beyond(i: int) -> bool:
        rest = torch.cat((images[:i], images[i + 1 :]))
        limit = limit_at(lambda x: x.double().flatten(), rest, 0.05, 0, noise=0.0)
        return images[i].item() > limit

    assert sum(map(beyond, range(21))) == 1
