"""How far other prompts than the captions reach: sets of prompts side by side, from one noise."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.tables.trajectory import SPLITS, accuracy_curves, joint_differences

PLAIN = "none"  # the `intervention` of the captions as they are
_SNAPSHOT = ["run", "step", "images_seen", "split"]
_BOUNDS = {"low": "difference_low", "high": "difference_high"}


def prompt_curves(scores: pd.DataFrame) -> pd.DataFrame:
    """Joint accuracy of every set of prompts, and how much it differs from that of the captions.

    scores: of one run, in which `intervention` names the sets, the captions PLAIN.

    Returns prompts (the set, "captions" among them), run, step, images_seen, split, accuracy, low,
    high, and difference, difference_low, difference_high (see `joint_differences`), which are NaN
    of the captions and of partial prompts, whose like no caption asks. Sets keep the order in which
    `scores` first has them.
    """
    captions, tables = scores[scores["intervention"] == PLAIN], []
    for name, own in scores.groupby("intervention", sort=False):
        curves = accuracy_curves(own)
        joint = curves[curves["measure"] == "joint"].drop(columns="measure")
        if name != PLAIN and "partial" not in set(own["split"]):
            differences = joint_differences(own, captions)
            joint = joint.merge(differences.rename(columns=_BOUNDS), on=_SNAPSHOT)
        tables.append(joint.assign(prompts="captions" if name == PLAIN else name))
    columns = ["prompts", *_SNAPSHOT, "accuracy", "low", "high", "difference"]
    return pd.concat(tables, ignore_index=True).reindex(columns=[*columns, *_BOUNDS.values()])


def prompt_rows(curves: pd.DataFrame, templates: Mapping[str, str]) -> list[dict[str, str]]:
    """The last snapshot of `prompt_curves` as text, by column, a row per set and split.

    templates: how each set is written.
    """
    last = curves[curves["step"] == curves["step"].max()]
    order = last["split"].map({split: i for i, split in enumerate(SPLITS)})
    sets = pd.Categorical(last["prompts"], categories=last["prompts"].unique(), ordered=True)
    last = last.assign(order=order, prompts=sets).sort_values(["prompts", "order"])
    return [
        {
            "prompts": row["prompts"],
            "split": row["split"],
            "joint": f"{row['accuracy']:.3f} [{row['low']:.3f}, {row['high']:.3f}]",
            "minus captions": _difference(row),
            "written": templates[row["prompts"]],
        }
        for row in last.to_dict("records")
    ]


def _difference(row: Mapping[str, float]) -> str:
    if np.isnan(row["difference"]):
        return "-"
    return f"{row['difference']:+.3f} [{row['difference_low']:+.3f}, {row['difference_high']:+.3f}]"
