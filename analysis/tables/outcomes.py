"""Does a model of centres compose, and does it interpolate? Scores in, three shares of images out.

    trained       what training shows is drawn right, all that is asked for
    composes      of what it never shows: the coordinate is right whose value it shows, beside one
                  whose value it does not; where it shows both values, though never together, both
    interpolates  the coordinate is right whose value no two-dimensional example shows

Where both values are new, as at the intersection of two bands, an image counts for neither.

A coordinate is right where what is read lies within 1 px of what was asked for, also in images of
which the probe is unsure: a model that draws one stripe right and no other draws no true image of
its world, and yet places one coordinate. The share of unsure images stands beside.

    yes        the 95 % interval lies above the bar: .8 to compose, .5 to interpolate
    no         it lies below
    undecided  it holds the bar
    gate       less than .9 of what training shows is right: nothing is said of the rest
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.hierarchical import mean_over_seeds_and_noise
from analysis.measures.intervals import Interval, binomial_bounds, clopper_pearson
from analysis.measures.verdicts import more
from analysis.tables.trajectory import BASELINES

WITHIN_PX = 1.0  # what counts as right in `scores`
GATE = 0.9  # of "trained"
BARS = {"composes": 0.8, "interpolates": 0.5}
GATED = "trained"  # the question that must be passed
QUESTIONS = (GATED, *BARS)
SHOWN = "train"  # begins the name of every section that training shows
WORDS = {"holds": "yes", "fails": "no", "undecided": "undecided"}
DRAWS = 1 << 13  # seed of the bootstrap
OUTCOME = ["question", "right", "images", "accuracy", "low", "high", "unsure", "word"]

_IMAGE = ["combination", "prompt", "sample"]


def outcome_table(scores: pd.DataFrame, is_new: Callable[[np.ndarray], np.ndarray]) -> pd.DataFrame:
    """The three shares at the last snapshot of one run, with what they say.

    scores: of one run, one probe and one way of drawing; two concepts, both coordinates in px; the
        combination is a section. is_new: whether no two-dimensional example of training shows
        coordinates of these values, float64 (n,) → bool (n,).

    Returns run, question (of QUESTIONS; those that no image asks are left out), right (how many),
    images, accuracy, low, high (Clopper–Pearson), unsure (share of images) and word: as above; of
    "trained" yes, or gate.
    """
    generated = scores[~scores["run"].isin(BASELINES)]
    last = generated[generated["step"] == generated["step"].max()]
    right, asked, unsure = (_by_image(last, value) for value in (_right(last), *_asked(last)))
    shown = asked.index.get_level_values("combination").str.startswith(SHOWN)
    counted = _counted(right.to_numpy(), asked.to_numpy(), shown, is_new)
    blind: np.ndarray = np.asarray(unsure.to_numpy().any(axis=1))
    rows = [
        {"question": question, **_share(values, blind)}
        for question, values in zip(QUESTIONS, counted, strict=True)
        if np.isfinite(values).any()
    ]
    table = pd.DataFrame(rows).assign(word=_words(rows))
    table.insert(0, "run", str(last["run"].iloc[0]))
    return table


def _right(last: pd.DataFrame) -> pd.Series:
    """Whether each coordinate is read within 1 px, or as absent where it is."""
    asked, read = last["target_value"], last["predicted_value"]
    return ((read - asked).abs() <= WITHIN_PX) | (read.isna() & asked.isna())


def _asked(last: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """What was asked for, in px, and whether the probe is unsure."""
    return last["target_value"], last["predicted"].isna()


def _by_image(last: pd.DataFrame, values: pd.Series) -> pd.DataFrame:
    """Images × both coordinates. Raises ValueError for an image twice."""
    return last.assign(value=values).pivot(index=_IMAGE, columns="concept", values="value")


def _counted(
    right: np.ndarray, asked: np.ndarray, shown: np.ndarray, is_new: Callable
) -> list[np.ndarray]:
    """For each of QUESTIONS, 1 where an image is right, 0 where it is not, NaN where it is not
    asked. right, asked: (images, 2)."""
    new = is_new(asked) & np.isfinite(asked)
    blank, both = np.isnan(asked).all(1), np.isfinite(asked).all(1)
    one = ~shown & both & (new.sum(1) == 1)
    none = ~shown & both & ~new.any(1)
    whole, place = right.all(1), np.arange(len(right))
    first = new.argmax(1)  # of an image with one new value, which it is
    composed = np.where(one, right[place, 1 - first], whole)
    return [
        np.where(shown & ~blank, whole, np.nan),
        np.where(one | none, composed, np.nan),
        np.where(one, right[place, first], np.nan),
    ]


def _share(values: np.ndarray, blind: np.ndarray) -> dict[str, Any]:
    asked = np.isfinite(values)
    right, images = int(values[asked].sum()), int(asked.sum())
    low, high = clopper_pearson(right, images)
    unsure = float(blind[asked].mean())
    ends = {"accuracy": right / images, "low": low, "high": high}
    return {"right": right, "images": images, **ends, "unsure": unsure}


def _words(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What each row says; nothing but "gate" where "trained" falls short."""
    passed = all(row["accuracy"] >= GATE for row in rows if row["question"] == GATED)
    return [_word(row) if passed else "gate" for row in rows]


def _word(row: dict[str, Any]) -> str:
    if row["question"] not in BARS:
        return "yes"
    interval = Interval(row["low"], row["high"])
    return WORDS[more(BARS[row["question"]], row["accuracy"], interval).word]


def outcomes_over_seeds(outcomes: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """The mean share over the seeds of each variant, and what it says.

    outcomes: as `outcome_table` returns them, of any runs. about: as in
    `analysis/tables/variants.py`.

    Returns variant, question, accuracy, low, high (95 %, over seeds and noise), unsure, seeds, word
    (of the interval over seeds; "gate" if a seed has it) and each: the word of every single seed,
    if all have the same, else "undecided".
    """
    variants = about[["run", "variant"]].drop_duplicates()
    joined = outcomes[["run", *OUTCOME]].merge(variants, on="run")
    rows = [
        {"variant": variant, **_over_seeds(own)}
        for (variant, _), own in joined.groupby(["variant", "question"], sort=False)
    ]
    return pd.DataFrame(rows)


def _over_seeds(own: pd.DataFrame) -> dict[str, Any]:
    m, n = (own[c].to_numpy(np.float64)[:, None] for c in ("accuracy", "images"))
    noise = binomial_bounds((m * n).sum(0), n.sum(0))
    rng = np.random.default_rng(DRAWS)
    ends = mean_over_seeds_and_noise(m, m * (1 - m) / n, noise, rng=rng)
    low, high = (float(end[0].clip(0, 1)) for end in ends)
    row = {"question": own["question"].iloc[0], "accuracy": float(m.mean())}
    row |= {"low": low, "high": high, "unsure": float(own["unsure"].mean()), "seeds": len(own)}
    words = [*own["word"].unique()]
    word = "gate" if "gate" in words else _word(row)
    return {**row, "word": word, "each": words[0] if len(words) == 1 else "undecided"}
