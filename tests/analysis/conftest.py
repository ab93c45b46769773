"""Scores tables whose right answers are known, because the test says which images are right."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

Make = Callable[..., pd.DataFrame]


@pytest.fixture
def make_scores() -> Make:
    return _make_scores


@pytest.fixture
def prompt_scores() -> pd.DataFrame:
    """Two snapshots of captions, of a set that is right where they are wrong, and of a partial."""
    right = np.random.default_rng(1).random((2, 3, 24, 2)) < 0.8
    splits = ("train", "train", "held_out")
    captions = _make_scores(right, splits=splits)
    pairs = _make_scores(~right, splits=splits).assign(intervention="pairs", prompt="a AND b")
    partial = _make_scores(right[:, :1, :, :1], splits=("partial",)).assign(intervention="shapes")
    return pd.concat([captions, pairs, partial], ignore_index=True)


def _make_scores(
    right: np.ndarray,
    *,
    concepts: Sequence[str] = ("shape", "color", "size"),
    run: str = "seed0",
    splits: Sequence[str] = (),
    images_per_step: int = 100,
) -> pd.DataFrame:
    """right: bool (steps, combinations, samples, concepts). A wrong answer is "other".

    p_target is 0.75 where right and 0.25 where wrong. Combinations are "c0 …", "c1 …", all
    "train" unless `splits` names one for each.
    """
    settings = {
        **{"run": run, "train_seed": 0, "weights": "ema", "intervention": "none"},
        **{"sampler": "ddim", "num_inference_steps": 10, "guidance_scale": 1.0},
        **{"eval_seed": 0, "probe": "cnn"},
    }
    rows = [
        {
            **settings,
            "step": step,
            "images_seen": step * images_per_step,
            "combination": f"c{combination}",
            "split": splits[combination] if splits else "train",
            "prompt": f"a c{combination}",
            "sample": sample,
            "concept": concepts[concept],
            "target": "asked",
            "predicted": "asked" if value else "other",
            "p_target": 0.75 if value else 0.25,
        }
        for (step, combination, sample, concept), value in np.ndenumerate(right)
    ]
    return pd.DataFrame(rows)
