"""Scores tables whose right answers are known, because the test says which images are right."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

Make = Callable[..., pd.DataFrame]
NAN = float("nan")


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


@pytest.fixture
def denoiser_rows() -> Make:
    return make_denoiser_rows


@pytest.fixture
def centre_scores() -> pd.DataFrame:
    """Images of two splits at the last step of a run, whose centres are read more or less well."""
    rows = [
        ("train", 0, (1.0, 2.0), (4.0, 6.0)),  # 5 px off
        ("train", 1, (1.0, 2.0), (1.0, 3.0)),  # 1
        ("train", 2, (1.0, 2.0), (1.0, 8.0)),  # 6
        ("train", 3, (1.0, 2.0), (NAN, 2.0)),  # no x: not counted
        ("band", 0, (1.0, 2.0), None),  # unsure: not counted
        ("band", 1, (3.0, NAN), (3.5, NAN)),  # a stripe alone: half a pixel
    ]
    others = [("train", 0, (0.0, 0.0), (9.0, 9.0))]
    tables = [_centre_scores(rows), _centre_scores(others, step=4)]
    return pd.concat([*tables, _centre_scores(others, run="render")])


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
            "target_value": NAN,
            "predicted_value": NAN,
        }
        for (step, combination, sample, concept), value in np.ndenumerate(right)
    ]
    return pd.DataFrame(rows)


def _centre_scores(rows: list[tuple], run: str = "a", step: int = 8) -> pd.DataFrame:
    """A row per image: split, sample, asked x and y, read x and y; None for unsure."""
    records = []
    for split, sample, asked, read in rows:
        for i, concept in enumerate("xy"):
            unsure = read is None
            value = 0.0 if unsure else read[i]
            records.append(
                dict(
                    **dict(run=run, step=step, split=split, combination=split, sample=sample),
                    concept=concept,
                    predicted=None if unsure else "none" if np.isnan(value) else "elsewhere",
                    target_value=asked[i],
                    predicted_value=value,
                )
            )
    return pd.DataFrame(records)


def make_denoiser_rows(
    obeyed: np.ndarray,
    *,
    noise: float = 0.0,
    scenes: int = 20,
    combinations: Sequence[tuple[str, str]] = (("blue small", "held_out"), ("red big", "train")),
    level: float = 0.1,
    run: str = "a",
    images_per_step: int = 100,
) -> pd.DataFrame:
    """Rows of the table `denoiser`. obeyed: (steps, concepts), the planted obedience, which is the
    coordinate too; `noise` is that of each scene's response."""
    steps, count = obeyed.shape
    rng, rows = np.random.default_rng(0), []
    for name, split in combinations:
        moves = rng.normal(size=(scenes, count, 6))  # the same at every step
        for step in range(steps):
            rows += [
                _denoiser_row(moves[i], obeyed[step], k, noise * rng.normal())
                | {"run": run, "step": step, "images_seen": step * images_per_step}
                | {"combination": name, "split": split, "level": level, "scene": i}
                for i in range(scenes)
                for k in range(count)
            ]
    settings = {"train_seed": 0, "weights": "raw", "eval_seed": 0, "answer_error": 0.0}
    return pd.DataFrame(rows).assign(**settings)


def _denoiser_row(moves: np.ndarray, obeyed: np.ndarray, k: int, noise: float) -> dict:
    """Of one scene and concept. moves: (concepts, numbers), the u_k."""
    products, off = moves @ moves.T, -(1 - obeyed) @ moves
    ideal = products[k, k]
    return {
        "concept": ("color", "size", "shape")[k],
        "response": ideal * (obeyed[k] + noise),
        "ideal_response": ideal,
        "offset": float(off @ moves[k]),
        "error": float(off @ off) + 1.0,  # and an error beside all concepts
        "least_error": 0.5,
        "move_error": 0.0,
        "effective_renders": 100.0,
        "products": products[k].tolist(),
        "refused": None,
    }
