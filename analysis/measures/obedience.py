"""Obedience and coordinates of a denoiser: how far its answer follows each word, and from ideal.

Arrays in, arrays out. With D what a network means by x_0, D* what the ideal denoiser means, and
u_k how far the ideal answer moves with concept k, scene by scene:

    response        ⟨D(x_t, p) − mean D(x_t, p with k changed), u_k⟩
    ideal response  ‖u_k‖²
    offset          ⟨D(x_t, p) − D*_p, u_k⟩
    products        ⟨u_j, u_k⟩

Sums run over scenes. `weights` redraw the scenes: one row of them is one sum.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray


def obedience(
    weights: Float[ndarray, "draws scenes"],
    response: Float[ndarray, " scenes"],
    ideal_response: Float[ndarray, " scenes"],
) -> Float[ndarray, " draws"]:
    """Obedience e_k: the response as a share of the ideal one. 1 if a word does what it ideally
    does, 0 if it does nothing, negative if it pulls the other way. Errors that are the same
    whatever the word is cancel."""
    return (weights @ response) / (weights @ ideal_response)


def coordinates(
    weights: Float[ndarray, "draws scenes"],
    offsets: Float[ndarray, "scenes concepts"],
    products: Float[ndarray, "scenes concepts concepts"],
) -> Float[ndarray, "draws concepts"]:
    """Coordinates c_k of the answer, by least squares of D − D*_p = −Σ_k (1 − c_k) u_k: 1 is the
    ideal answer, 0 that of the combination with concept k changed."""
    gram = np.einsum("ds,sjk->djk", weights, products)
    return 1 + _fitted(gram, weights @ offsets)


def error_along(
    offsets: Float[ndarray, "scenes concepts"],
    products: Float[ndarray, "scenes concepts concepts"],
) -> Float[ndarray, "scenes concepts"]:
    """Part of each scene's squared error that lies along u_k: ⟨D − D*_p, u_k⟩² / ‖u_k‖².

    Parts along two concepts overlap as far as their u are parallel.
    """
    squares = np.diagonal(products, axis1=1, axis2=2)
    return np.divide(offsets**2, squares, out=np.zeros_like(offsets), where=squares > 0)


def error_within(
    offsets: Float[ndarray, "scenes concepts"],
    products: Float[ndarray, "scenes concepts concepts"],
) -> Float[ndarray, " scenes"]:
    """Part of each scene's squared error that lies along any mixture of the u_k; the rest is beside
    all of them."""
    return (offsets * _fitted(products, offsets)).sum(-1)


def _fitted(
    gram: Float[ndarray, "n concepts concepts"], offsets: Float[ndarray, "n concepts"]
) -> Float[ndarray, "n concepts"]:
    """Coefficients of least squares; the smallest where concepts move the answer alike."""
    return (np.linalg.pinv(gram, hermitian=True) @ offsets[..., None])[..., 0]


def redrawn(
    groups: Int[ndarray, " scenes"], num_draws: int, *, rng: np.random.Generator
) -> Float[ndarray, "draws scenes"]:
    """Weights of a bootstrap: in each draw, every group's scenes are drawn anew, as many as it has.

    The same groups and generator give the same draws, so curves over scenes that are paired stay
    paired.
    """
    weights = np.empty((num_draws, len(groups)))
    for group in np.unique(groups):
        own = groups == group
        count = int(own.sum())
        weights[:, own] = rng.multinomial(count, np.full(count, 1 / count), size=num_draws)
    return weights
