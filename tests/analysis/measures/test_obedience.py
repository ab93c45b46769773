"""Obedience and coordinates against planted answers."""

import numpy as np
import pytest

from analysis.measures.obedience import (
    coordinates,
    error_along,
    error_within,
    obedience,
    redrawn,
)

RNG = np.random.default_rng


def moves(scenes=40, concepts=3, numbers=12, seed=0):
    """u_k of every scene, not orthogonal: (concepts, scenes, numbers)."""
    return RNG(seed).normal(size=(concepts, scenes, numbers)) + RNG(seed + 1).normal(size=numbers)


def products(u):
    return np.einsum("knd,jnd->nkj", u, u)


def once(scenes=40):
    return np.ones((1, scenes))


def test_obedience_is_the_planted_share_whatever_all_prompts_share():
    u = moves()
    for share in (-0.5, 0.0, 0.3, 1.0, 6.0):
        response = (share * u[0] * u[0]).sum(-1)
        found = obedience(once(), response, (u[0] ** 2).sum(-1))
        assert found == pytest.approx([share])


def test_coordinates_are_planted_ones_though_concepts_are_not_orthogonal():
    u, planted = moves(), np.array([1.0, 0.0, -0.7])
    off = -np.einsum("k,knd->nd", 1 - planted, u)
    offsets = np.einsum("nd,knd->nk", off, u)
    assert coordinates(once(), offsets, products(u))[0] == pytest.approx(planted)
    along = error_along(offsets, products(u))
    assert (along <= (off**2).sum(-1)[:, None] + 1e-9).all()
    assert error_within(offsets, products(u)) == pytest.approx((off**2).sum(-1))


def test_an_error_beside_all_concepts_moves_no_coordinate():
    u = moves()
    projector = np.stack([np.linalg.svd(u[:, n])[2][3:] for n in range(40)])  # beside every u_k
    off = np.einsum("nid,ni->nd", projector, RNG(3).normal(size=(40, projector.shape[1])))
    offsets = np.einsum("nd,knd->nk", off, u)
    assert coordinates(once(), offsets, products(u))[0] == pytest.approx(np.ones(3))
    assert error_within(offsets, products(u)) == pytest.approx(np.zeros(40), abs=1e-9)


def test_concepts_that_move_the_answer_alike_share_the_error():
    u = moves(concepts=1).repeat(2, axis=0)
    offsets = np.einsum("nd,knd->nk", -u[0], u)  # the answer with both words changed, half of each
    assert coordinates(once(), offsets, products(u))[0] == pytest.approx([0.5, 0.5])


def test_a_scene_in_which_a_concept_moves_nothing_has_no_error_along_it():
    u = moves(scenes=2)
    u[1, 0] = 0
    offsets = np.einsum("nd,knd->nk", np.ones((2, 12)), u)
    along = error_along(offsets, products(u))
    assert along[0, 1] == 0 and (along[1] > 0).all()


def test_every_group_is_redrawn_by_itself_and_alike():
    groups = np.repeat([0, 1], [5, 30])
    first, second = (redrawn(groups, 200, rng=RNG(0)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first[:, :5].sum(1) == 5).all() and (first[:, 5:].sum(1) == 30).all()
    assert first.mean(0) == pytest.approx(np.ones(35), abs=0.25)


def test_intervals_over_scenes_cover_the_obedience():
    """48 scenes whose responses and moves vary together, as those of scenes do."""
    covered, share = 0, 0.4
    for seed in range(400):
        size = RNG(seed).gamma(3.0, size=48)
        response = share * size + 0.3 * np.sqrt(size) * RNG(seed + 1000).normal(size=48)
        weights = redrawn(np.zeros(48, int), 299, rng=RNG(0))
        low, high = np.quantile(obedience(weights, response, size), [0.025, 0.975])
        covered += low <= share <= high
    assert 0.91 < covered / 400 < 0.98
