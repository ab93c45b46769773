"""Maps of codes by UMAP: a picture only, since distances and holes in it mean nothing."""

from typing import Any

import numpy as np

from ground.endings import Mistake
from studies.worlds.condition_grid import ConditionGrid

SEED = 0


def umap_class() -> Any:
    """Return umap-learn's UMAP. Raises Mistake where it is not installed."""
    try:
        from umap import UMAP
    except ImportError:
        raise Mistake(
            "--umap: needs umap-learn, which is not installed; pip install -e '.[umap]'"
        ) from None
    return UMAP


def map_rows(codes: np.ndarray, grid: ConditionGrid) -> list[dict[str, Any]]:
    """Return a row per condition: its place on a map in two dimensions of the mean code."""
    places = umap_class()(n_components=2, random_state=SEED).fit_transform(codes.mean(0))
    pairs = zip(grid.conditions, np.asarray(places).tolist(), strict=True)
    return [{**condition, "map_1": first, "map_2": second} for condition, (first, second) in pairs]
