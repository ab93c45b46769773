"""How far centres that are read lie from those asked for: the scores table in, distances out."""

import pandas as pd

from analysis.tables.trajectory import BASELINES


def median_distances(scores: pd.DataFrame) -> pd.Series:
    """Median distance in px of read centres from those asked for, per split, at the last step of
    each run.

    Counts the images in which all that was asked for is there, and of which the probe is sure.
    """
    asked = last_asked(scores)
    off = (asked["predicted_value"] - asked["target_value"]).where(asked["predicted"].notna())
    images = [asked[key] for key in ("split", "run", "combination", "sample")]
    squares = (off**2).groupby(images, sort=False).sum(min_count=1)
    whole = off.notna().groupby(images, sort=False).min()
    return (squares[whole] ** 0.5).groupby("split", sort=False).median()


def last_asked(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows that ask for a place, of the last step of each run."""
    asked = scores[~scores["run"].isin(BASELINES) & scores["target_value"].notna()]
    return asked[asked["step"] == asked.groupby("run")["step"].transform("max")]
