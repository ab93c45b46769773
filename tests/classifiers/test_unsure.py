"""What is near to known scenes and what is not: distances, limits, and what survives the disk."""

import pytest
import torch

from classifiers.unsure import Familiarity
from ground.endings import Mistake


def drawn(count: int, width: int, seed: int) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def of_kinds(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three Gaussians in six dimensions, of one covariance far from the identity."""
    kind = torch.arange(count) % 3
    spread = torch.diag(torch.tensor([0.5, 1.0, 1.0, 1.0, 2.0, 4.0]))
    spread[0, 5] = 3.0
    means = 50 * drawn(3, 6, seed=99)
    return means[kind] + drawn(count, 6, seed) @ spread, kind


@pytest.fixture
def fitted() -> Familiarity:
    familiarity = Familiarity(3, 6)
    familiarity.fit(*of_kinds(30_000, seed=0))
    return familiarity


def test_distances_of_gaussians_are_distributed_as_chi(fitted):
    """E d² = 6 for six dimensions; less the little that the nearest kind is another one."""
    squared = fitted.distance(of_kinds(20_000, seed=1)[0]) ** 2
    assert squared.mean().item() == pytest.approx(6, rel=0.03)
    assert squared.var().item() == pytest.approx(12, rel=0.1)


def test_the_limit_is_passed_at_the_stated_rate(fitted):
    fitted.set_limit(of_kinds(20_000, seed=1)[0], 0.05)
    share = fitted.is_unfamiliar(of_kinds(20_000, seed=2)[0]).float().mean().item()
    assert share == pytest.approx(0.05, abs=0.006)
    assert fitted.is_unfamiliar(500 * drawn(100, 6, seed=3)).all()
    assert fitted.is_unfamiliar(torch.full((1, 6), torch.nan)).all()


def test_of_few_scenes_no_more_than_the_stated_share_is_unfamiliar(fitted):
    """Each of 21 left out in turn: one of them, whatever they are like."""
    features = of_kinds(21, seed=8)[0]

    def is_beyond(i: int) -> bool:
        fitted.set_limit(torch.cat((features[:i], features[i + 1 :])), 0.05)
        return fitted.is_unfamiliar(features[i : i + 1]).item()

    assert sum(map(is_beyond, range(21))) == 1


def test_before_it_is_fitted_nothing_is_unfamiliar():
    assert not Familiarity(2, 4).is_unfamiliar(1e6 * drawn(5, 4, seed=0)).any()


def test_dead_features_do_no_harm():
    features, kind = of_kinds(300, seed=4)
    features[:, 2] = 0
    familiarity = Familiarity(3, 6)
    familiarity.fit(features, kind)
    assert familiarity.distance(features).isfinite().all()


def test_a_kind_that_is_not_there_is_refused():
    features, _ = of_kinds(300, seed=5)
    with pytest.raises(Mistake, match="1 of 3 combinations .* raise probe.certificate_images"):
        Familiarity(3, 6).fit(features, torch.arange(300) % 2)


def test_it_is_saved_with_what_holds_it(fitted):
    fitted.set_limit(of_kinds(1000, seed=1)[0], 0.01)
    again = Familiarity(3, 6)
    again.load_state_dict(fitted.state_dict())
    x = of_kinds(50, seed=6)[0]
    assert torch.equal(again.distance(x), fitted.distance(x))
    assert torch.equal(again.limit, fitted.limit)
