"""Codes of all snapshots of a run in one basis: the first principal components of every feature's
part of the code, at the last step.

A basis of the whole code would mix features of about the same variance, which have no order.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.measures.subspaces import held_share, leading_directions
from studies.worlds.condition_grid import ConditionGrid

COMPONENTS = 2  # of each feature: a circle takes as many

Basis = Mapping[str, np.ndarray]  # directions (d, COMPONENTS) by feature


def feature_part(codes: np.ndarray, grid: ConditionGrid, i: int) -> np.ndarray:
    """Return float64 (seeds, values, d): the mean over all other features, around its mean."""
    shaped = codes.reshape(len(codes), *grid.shape, codes.shape[-1])
    others = tuple(1 + j for j in range(len(grid.shape)) if j != i)
    part = shaped.mean(others, dtype=np.float64)
    return np.asarray(part - part.mean(1, keepdims=True))


def basis_of(codes: np.ndarray, grid: ConditionGrid) -> Basis:
    """Return the basis of a snapshot, from its mean code."""
    return {
        feature.name: leading_directions(feature_part(codes, grid, i).mean(0), COMPONENTS)
        for i, feature in enumerate(grid.features)
    }


def projection_rows(codes: np.ndarray, basis: Basis, grid: ConditionGrid) -> list[dict[str, Any]]:
    """Return a row per condition: its place along every component, in units of the activation,
    around the mean of the code."""
    mean = codes.mean(0, dtype=np.float64)
    mean = mean - mean.mean(0)
    places = {name: mean @ directions for name, directions in basis.items()}
    found = []
    for row, condition in enumerate(grid.conditions):
        own = {f"{n}_{j + 1}": xy[row, j] for n, xy in places.items() for j in range(COMPONENTS)}
        found.append({**condition, **own})
    return found


def held_rows(codes: np.ndarray, basis: Basis, grid: ConditionGrid) -> list[dict[str, Any]]:
    """Return a row per feature: which share of its part's variance the basis holds."""
    parts = {feature.name: feature_part(codes, grid, i) for i, feature in enumerate(grid.features)}
    return [{"feature": n, "held": held_share(part, basis[n])} for n, part in parts.items()]
