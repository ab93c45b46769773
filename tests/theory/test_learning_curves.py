"""Curves are those of the networks that they stand for."""

import numpy as np
import pytest
import torch
from scipy.special import logit

from theory.closed_form import one_layer
from theory.growth import time_alone
from theory.learning_curves import ALONE, ONE_LAYER, TOGETHER
from theory.symmetric import SymmetricFlow, factor, reference

TIMES = np.array([0.0, 0.3, 1.0, 2.7, 6.0, 15.0])


def parameters(a, start, rho=None) -> np.ndarray:
    shared = [] if rho is None else [logit(rho)]
    return np.concatenate([np.log(a), start, shared])[None]


def test_one_layer_is_the_diagonal_of_the_theorem():
    a, start = torch.tensor([0.4, 1.3]).double(), torch.tensor([-0.05, 0.1]).double()
    W = one_layer(start.diag(), a.diag(), torch.from_numpy(TIMES))
    found = ONE_LAYER.curves(parameters(a.numpy(), start.numpy()), TIMES)
    np.testing.assert_allclose(found[0], W.diagonal(dim1=1, dim2=2).T.numpy(), atol=1e-12)


def test_a_concept_alone_passes_a_half_when_theory_says():
    half = time_alone(torch.tensor([0.01, 0.2]).double(), 0.7).numpy()
    found = ALONE.curves(parameters((0.7, 0.7), logit([0.01, 0.2])), half)
    np.testing.assert_allclose(np.diagonal(found[0]), 0.5, atol=1e-7)


@pytest.mark.parametrize("rho", [0.05, 0.8])
@pytest.mark.parametrize("a", [(0.5, 1.5), (0.3, 0.9, 2.0)])
def test_concepts_together_are_the_diagonal_of_the_symmetric_flow(a, rho):
    a, w = np.array(a), np.linspace(0.02, 0.1, len(a))
    W_0 = rho * np.sqrt(np.outer(w, w))
    np.fill_diagonal(W_0, w)
    flow = SymmetricFlow(torch.from_numpy(a).diag())
    W = reference(flow, factor(torch.from_numpy(W_0)), torch.from_numpy(TIMES))
    found = TOGETHER.curves(parameters(a, logit(w), rho), TIMES)
    np.testing.assert_allclose(found[0], W.diagonal(dim1=1, dim2=2).T.numpy(), atol=1e-3)


def test_without_off_diagonals_concepts_together_are_alone():
    a, w = np.array([0.5, 1.5]), np.array([0.02, 0.05])
    alone = ALONE.curves(parameters(a, logit(w)), TIMES)
    together = TOGETHER.curves(parameters(a, logit(w), 1e-6), TIMES)
    np.testing.assert_allclose(together, alone, atol=1e-3)


def test_draws_do_not_depend_on_what_is_beside_them():
    draws = np.concatenate([parameters((0.5, s), logit([0.1, 0.1]), 0.5) for s in (1.0, 3.0)])
    both = TOGETHER.curves(draws, TIMES)
    for one, own in zip(draws, both, strict=True):
        np.testing.assert_allclose(TOGETHER.curves(one[None], TIMES)[0], own, atol=1e-3)


@pytest.mark.parametrize("model", [ONE_LAYER, ALONE, TOGETHER])
def test_guesses_lie_within_the_limits_whatever_the_curves(model):
    low, high = model.limits(2)
    for e in ([[0.0, 0.3], [0.1, 0.1]], [[-0.4, -0.2], [0.99, 1.2]]):
        for guess in model.guesses(np.array([0.0, 1.0]), np.array(e)):
            assert (low <= guess).all() and (guess <= high).all()
