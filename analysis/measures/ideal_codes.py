"""Ideal codes of two features x and y, whose geometry is known: what measured codes stand beside.

A code is an array float64 (x, y, d). All have mean squared norm 1 around their mean. Angles of a
circle go once around; those of an arc, for features with ends, half around.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

SHARPNESS = 4.0  # of von Mises tuning curves, exp(SHARPNESS · (cos(angle − preferred) − 1))


def angles(count: int, periodic: bool = True) -> Float[ndarray, " count"]:
    """Return even angles around a circle, or from end to end of a half circle."""
    return np.linspace(0, 2 * np.pi, count, endpoint=False) if periodic else _half(count)


def _half(count: int) -> Float[ndarray, " count"]:
    return np.linspace(0, np.pi, count)


def solid_torus(
    x: Float[ndarray, " x"], y: Float[ndarray, " y"], ratio: float = 0.5
) -> Float[ndarray, "x y 3"]:
    """Return the torus in three dimensions, of radii 1 (along x) and `ratio` (along y), at given
    angles: coupled, since y bends in a plane that x turns."""
    turn, bend = x[:, None], y[None]
    reach = 1 + ratio * np.cos(bend)
    lift = ratio * np.sin(bend) + 0 * turn
    return _scaled(np.stack([reach * np.cos(turn), reach * np.sin(turn), lift], axis=-1))


def clifford_torus(x: Float[ndarray, " x"], y: Float[ndarray, " y"]) -> Float[ndarray, "x y 4"]:
    """Return the torus in four dimensions: a circle for x and one for y, in orthogonal planes."""
    return _side_by_side(_circle(x), _circle(y))


def shared_plane(x: Float[ndarray, " x"], y: Float[ndarray, " y"]) -> Float[ndarray, "x y 2"]:
    """Return circles of x and y that are added in one plane: additive, but shared."""
    return _scaled(_circle(x)[:, None] + _circle(y)[None])


def populations(
    x: Float[ndarray, " x"],
    y: Float[ndarray, " y"],
    neurons: int = 32,
    sharpness: float = SHARPNESS,
) -> Float[ndarray, "x y d"]:
    """Return von Mises tuning curves of x beside those of y: hyper-factorized, since each feature
    takes many harmonics."""
    return _side_by_side(_tuned(x, neurons, sharpness), _tuned(y, neurons, sharpness))


def conjunctive(
    x: Float[ndarray, " x"], y: Float[ndarray, " y"], neurons: int = 12, sharpness: float = 2.0
) -> Float[ndarray, "x y d"]:
    """Return neurons each tuned to a pair (x, y): coupled."""
    of_x, of_y = _tuned(x, neurons, sharpness), _tuned(y, neurons, sharpness)
    pairs = np.einsum("xi,yj->xyij", of_x, of_y)
    return _scaled(pairs.reshape(len(x), len(y), -1))


def one_hot(x: Float[ndarray, " x"], y: Float[ndarray, " y"]) -> Float[ndarray, "x y d"]:
    """Return one direction for every value of x and for every value of y."""
    return _side_by_side(np.eye(len(x)), np.eye(len(y)))


IDEALS: dict[str, Callable[..., ndarray]] = {
    "3-D torus": solid_torus,
    "Clifford torus": clifford_torus,
    "one-hot": one_hot,
}


def with_noise(
    code: Float[ndarray, "x y k"], seeds: int, width: int, norm: float, *, rng: np.random.Generator
) -> Float[ndarray, "seeds x y width"]:
    """Return a code turned at random in `width` dimensions, read `seeds` times with independent
    noise. norm: root mean squared norm of a reading's noise; that of the code is 1.

    Raises ValueError if the code needs more dimensions.
    """
    if width < code.shape[-1]:
        raise ValueError(f"width: got {width}, allowed from {code.shape[-1]}, those of the code")
    frame = np.linalg.qr(rng.normal(size=(width, code.shape[-1])))[0]
    noise = rng.normal(size=(seeds, *code.shape[:2], width)) * norm / np.sqrt(width)
    return code @ frame.T + noise


def _circle(angle: Float[ndarray, " n"]) -> Float[ndarray, "n 2"]:
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _tuned(angle: Float[ndarray, " n"], neurons: int, sharpness: float) -> Float[ndarray, "n k"]:
    return np.exp(sharpness * (np.cos(angle[:, None] - angles(neurons)) - 1))


def _side_by_side(of_x: Float[ndarray, "x j"], of_y: Float[ndarray, "y k"]) -> ndarray:
    """Return both codes in dimensions of their own, each with half of the mean squared norm."""
    shape = (len(of_x), len(of_y), -1)
    parts = [_scaled(of_x)[:, None], _scaled(of_y)[None]]
    wide = [np.broadcast_to(part, (*shape[:2], part.shape[-1])) for part in parts]
    return np.concatenate(wide, axis=-1) / np.sqrt(2)


def _scaled(code: ndarray) -> ndarray:
    """Return a code whose mean squared norm around its mean is 1."""
    cells = tuple(range(code.ndim - 1))
    spread = ((code - code.mean(cells)) ** 2).sum(-1).mean()
    return code / np.sqrt(spread)
