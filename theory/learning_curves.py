"""Curves of obedience over training, as models of the identity mapping task have them.

What a word does to an output Wx is on the diagonal of W: told another value of concept k, the
output moves w_kk times as far as it ideally does. So the obedience e_k(t) of a denoiser stands
beside w_kk(t) of arXiv:2410.08309, whose networks all end at W = I, that is at e = 1:

    one layer (Theorem 4.1)     e = 1 − (1 − e(0)) exp(−a t)
    two layers, each alone      de/dt = 2 a e (1 − e)
    two layers, together        Eq. 4.3, from w_ij(0) = ρ √(w_ii(0) w_jj(0)) with one ρ for all

in the paper's printed clock. Parameters of s concepts are a row of numbers without bounds of their
own: ln a_k of each concept, then e_k(0) (one layer) or logit w_kk(0) of each, then logit ρ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.special import expit, logit

from theory.deep_linear import balanced_mode
from theory.integrator import integrate
from theory.symmetric import SymmetricFlow

STEPS_PER_RATE = 10  # of the integrator, in a time of 1/a; then lines between steps err by 5e-4
LOG_RATES = (-9.0, 3.0)  # of a, per the time of the fitted part
LOGITS = (-14.0, 3.0)
LEAST, MOST_FIRST, MOST_LAST = 0.005, 0.7, 0.9  # values of a curve from which guesses are made
RHO_LOGITS = (-8.0, 6.0)
RHO_GUESSES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class CurveModel:
    """Model of how s concepts are learned.

    Attributes:
        name: in tables and figures.
        curves: (parameters (draws, p), times from 0 on) → obedience (draws, concepts, times).
        as_start: what the second block of parameters makes e_k(0): itself, or the logistic of it.
        bounds: of the second block.
        together: concepts act on each other; p is 2s + 1 rather than 2s.
    """

    name: str
    curves: Callable[[ndarray, ndarray], ndarray]
    as_start: Callable[[ndarray], ndarray]
    bounds: tuple[float, float]
    together: bool = False

    def limits(self, concepts: int) -> Float[ndarray, "2 p"]:
        """Lowest and highest values of the parameters that a fit may try."""
        blocks = [LOG_RATES] * concepts + [self.bounds] * concepts + [RHO_LOGITS] * self.together
        return np.array(blocks).T

    def guesses(
        self, t: Float[ndarray, " times"], e: Float[ndarray, "concepts times"]
    ) -> Sequence[Float[ndarray, " p"]]:
        """Guesses of the parameters from the first and last values of rising curves."""
        first = np.clip(e[:, 0], LEAST, MOST_FIRST)
        last = np.maximum(np.clip(e[:, -1], LEAST, MOST_LAST), 1.2 * first)
        if self.as_start is expit:
            rates, start = (logit(last) - logit(first)) / 2, logit(first)
        else:
            rates, start = np.log((1 - first) / (1 - last)), e[:, 0]
        own = np.concatenate([np.log(rates / (t[-1] - t[0])), start])
        shared = [[logit(rho)] for rho in RHO_GUESSES] if self.together else [[]]
        low, high = self.limits(len(e))
        return [np.clip(np.concatenate([own, one]), low, high) for one in shared]


def one_layer_curves(
    parameters: Float[ndarray, "draws p"], t: Float[ndarray, " times"]
) -> Float[ndarray, "draws concepts times"]:
    """Diagonal of one layer, e = 1 − (1 − e(0)) exp(−a t)."""
    log_a, start = np.split(parameters, 2, axis=1)
    return 1 - (1 - start)[..., None] * np.exp(-np.exp(log_a)[..., None] * t)


def alone_curves(
    parameters: Float[ndarray, "draws p"], t: Float[ndarray, " times"]
) -> Float[ndarray, "draws concepts times"]:
    """Diagonal of two symmetric layers, each entry as if there were no others."""
    log_a, start = np.split(parameters, 2, axis=1)
    a, w = torch.from_numpy(np.exp(log_a)), torch.from_numpy(expit(start))
    return balanced_mode(w, a, a, torch.from_numpy(t)).numpy()


def together_curves(
    parameters: Float[ndarray, "draws p"], t: Float[ndarray, " times"]
) -> Float[ndarray, "draws concepts times"]:
    """Diagonal of two symmetric layers, whose entries act on each other.

    U(0) = D [√(1 − ρ) I, √ρ 1] with D² = diag(w_kk(0)) has U Uᵀ = W(0), so U is what is integrated.
    """
    log_a, start = np.split(parameters[:, :-1], 2, axis=1)
    rho = expit(parameters[:, -1])[:, None, None]
    apart = np.sqrt(1 - rho) * np.eye(log_a.shape[1])
    shared = np.broadcast_to(np.sqrt(rho), (*start.shape, 1))
    U_0 = np.sqrt(expit(start))[..., None] * np.concatenate([apart, shared], axis=2)
    flow = SymmetricFlow(torch.from_numpy(np.exp(log_a)).diag_embed())
    num_steps = 1 << int(np.ceil(np.log2(STEPS_PER_RATE * np.exp(log_a.max()) * t[-1] + 1)))
    step = float(t[-1]) / num_steps
    path = integrate(flow, torch.from_numpy(U_0), step=step, num_steps=num_steps)
    return _between(path.W.diagonal(dim1=-2, dim2=-1).numpy(), t / t[-1] * num_steps)


def _between(path: ndarray, places: ndarray) -> ndarray:
    """Values (draws, concepts, places) of a path (draws, steps, concepts), linear between steps."""
    before = np.minimum(places.astype(int), path.shape[1] - 2)
    part = (places - before)[:, None]
    return ((1 - part) * path[:, before] + part * path[:, before + 1]).swapaxes(1, 2)


ONE_LAYER = CurveModel("one layer", one_layer_curves, np.asarray, (-1.0, 0.95))
ALONE = CurveModel("two layers, alone", alone_curves, expit, LOGITS)
TOGETHER = CurveModel("two layers, together", together_curves, expit, LOGITS, together=True)
