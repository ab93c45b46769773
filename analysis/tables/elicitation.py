"""Elicited before prompted, and decided when: the scores table in, smaller tables out.

Rows are of held-out combinations and of one run, instrument and way of drawing. Image k of a
combination starts from the same noise at every snapshot and under every intervention.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.elicitation import Elicitation, elicited_before_prompted
from analysis.measures.intervals import binomial_bounds
from analysis.tables.other_prompts import PLAIN
from analysis.tables.trajectory import BASELINES

DRAWS = 1 << 14  # seed of the bootstrap
ALL = "all of them"  # every way of eliciting, whatever its kind
IMAGE = ["combination", "sample"]


def elicitations(
    scores: pd.DataFrame, kinds: Mapping[str, str], threshold: float = 0.8
) -> dict[str, Elicitation]:
    """Whether every kind of intervention shows all concepts as asked before plain prompts do, and
    of several kinds whether the best of all does, by kind: `elicited_before_prompted` in images
    seen, whose halves are even and odd samples.

    kinds: of every intervention that is to elicit. Images are those that all snapshots have; a
    snapshot before training has no time and is left out. Empty if nothing is held out, there are
    fewer than two snapshots, or one sample alone.
    """
    held_out = scores[(scores["split"] == "held_out") & ~scores["run"].isin(BASELINES)]
    trained = held_out[held_out["images_seen"] > 0]
    if trained.empty:
        return {}
    right = _right_images(trained[trained["intervention"].isin([PLAIN, *kinds])])
    samples = right.columns.get_level_values("sample").to_numpy()
    if len(right.index.unique("images_seen")) < 2 or len({*(samples % 2)}) < 2:
        return {}
    there = [name for name in kinds if name in right.index.unique("intervention")]
    groups = {kind: [name for name in there if kinds[name] == kind] for kind in kinds.values()}
    ways = {kind: names for kind, names in groups.items() if names}
    if len(ways) > 1:
        ways[ALL] = there
    return {kind: _compared(right, names, samples % 2, threshold) for kind, names in ways.items()}


def _right_images(rows: pd.DataFrame) -> pd.DataFrame:
    """Whether all concepts of an image are read as asked: bool, (intervention, images seen) ×
    image, of the images that are everywhere."""
    read, asked = (rows[column].astype("string") for column in ("predicted", "target"))
    right = rows.assign(right=read.eq(asked).fillna(False).astype(np.float64))
    joint = right.groupby(["intervention", "images_seen", *IMAGE], sort=True)["right"].min()
    return joint.unstack(IMAGE).dropna(axis=1).astype(bool)


def _compared(
    right: pd.DataFrame, names: Sequence[str], half: np.ndarray, threshold: float
) -> Elicitation:
    plain = right.loc[PLAIN]
    return elicited_before_prompted(
        plain.index.to_numpy(np.float64),
        plain.to_numpy(),
        np.stack([right.loc[name].to_numpy() for name in names]),
        half,
        rng=np.random.default_rng(DRAWS),
        threshold=threshold,
    )


def elicitation_curves(found: Mapping[str, Elicitation]) -> pd.DataFrame:
    """Curves of `elicitations`: kind, images_seen, prompted and elicited (joint accuracies)."""
    tables = [
        pd.DataFrame(
            {
                "kind": kind,
                "images_seen": one.t,
                "prompted": one.prompted_accuracy,
                "elicited": one.elicited_accuracy,
            }
        )
        for kind, one in found.items()
    ]
    return pd.concat(tables, ignore_index=True)


def elicitation_table(found: Mapping[str, Elicitation]) -> pd.DataFrame:
    """When each kind elicits what prompts ask for, a row per kind, in images seen.

    Returns kind; prompted and elicited (NaN where censored), each with _after and _by, the bracket
    (infinite after the last snapshot, 0 before the first); ratio of the two times, ratio_low,
    ratio_high, their difference gap, gap_low, gap_high (95 %, over noise; see `Elicitation`), and
    before: whether the ratio's interval lies above 1, null if neither is learned.
    """
    rows = [{"kind": kind, **_row(one)} for kind, one in found.items()]
    return pd.DataFrame(rows)


def _row(one: Elicitation) -> dict[str, Any]:
    times = {
        f"{name}{end}": float(value)
        for name, crossed in (("prompted", one.prompted), ("elicited", one.elicited))
        for end, value in zip(("", "_after", "_by"), crossed, strict=True)
    }
    ratio = {"ratio": one.ratio, "ratio_low": one.ratio_interval.low}
    gap = {"gap": one.gap, "gap_low": one.gap_interval.low, "gap_high": one.gap_interval.high}
    return {**times, **ratio, "ratio_high": one.ratio_interval.high, **gap, "before": one.before}


def switch_shares(scores: pd.DataFrame, switches: Mapping[str, tuple[str, float]]) -> pd.DataFrame:
    """What images show of a concept whose value was another in the first steps of sampling.

    switches: of every intervention that is a switch, the concept and the share of the steps that
    the other value was asked for. Plain captions are a switch at 0.

    Returns run, step, images_seen, concept, at, shown (the share of images that show the asked
    value), low, high (95 %, Clopper and Pearson's, over noise), other (that show another value),
    unsure (of which the instrument is unsure; these three make 1) and images.
    """
    own = scores[~scores["run"].isin(BASELINES) & (scores["split"] == "held_out")]
    whole = dict.fromkeys(concept for concept, _ in switches.values())
    plain = [(PLAIN, concept, 0.0) for concept in whole if (concept, 0.0) not in switches.values()]
    every = plain + [(name, concept, at) for name, (concept, at) in switches.items()]
    tables = [
        own[(own["intervention"] == name) & (own["concept"] == concept)].assign(at=at)
        for name, concept, at in every
    ]
    rows = pd.concat(tables, ignore_index=True)
    read, asked = (rows[column].astype("string") for column in ("predicted", "target"))
    unsure, right = read.isna(), read.eq(asked).fillna(False).astype(bool)
    keys = ["run", "step", "images_seen", "concept", "at"]
    counted = rows.assign(right=right, unsure=unsure).groupby(keys, sort=True)
    counts = counted[["right", "unsure"]].sum().assign(images=counted.size()).reset_index()
    low, high = binomial_bounds(*counts[["right", "images"]].to_numpy(np.float64).T)
    shown, unsure_share = (counts[name] / counts["images"] for name in ("right", "unsure"))
    shares = counts[keys].assign(shown=shown, low=low, high=high, other=1 - shown - unsure_share)
    return shares.assign(unsure=unsure_share, images=counts["images"])
