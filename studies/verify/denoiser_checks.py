"""Checks of the readable parts of denoiser.parquet: is every scene measured once, and nothing
silently left out?"""

import re
from pathlib import Path

import pandas as pd

from studies.run.directory import RunDir
from studies.run.measured import DENOISER
from studies.run.tables import read_part_rows
from studies.scoring.measurements.denoiser import KEY
from studies.verify.remarks import Remarks, damaged, readable
from studies.worlds.intervention_config import file_part
from studies.worlds.prompt_sets import PLAIN

NAME = re.compile(
    r"step_(\d+)-(ema|raw)-seed(\d+)-(?:(.+)-)?"
    r"scenes(\d+)_(\d+)-renders\d+-levels([\d.e_-]+)-"
)
NUMBERS = ("response", "ideal_response", "offset", "error", "products")


def denoiser_parts(run: RunDir) -> list[Path]:
    return sorted(run.table(DENOISER).glob("[!.]*.parquet"))


def wrong_denoiser_parts(run: RunDir) -> Remarks:
    """Yield remarks on parts of `denoiser` that cannot be read, or hold what they must not."""
    for path in denoiser_parts(run):
        rows = yield from readable(path, read_part_rows)
        if rows is not None:
            yield from damaged(path, wrong_denoiser_part(path.name, rows))


def wrong_denoiser_part(name: str, rows: pd.DataFrame) -> str:
    """Return what is wrong with one part, on one line, or nothing."""
    if "intervention" not in rows:  # of older versions
        rows = rows.assign(intervention=PLAIN)
    said = NAME.match(name)
    absent = [column for column in (*KEY, *NUMBERS, "refused") if column not in rows]
    if said is None or absent or rows.empty:
        return f"has no {absent[0]}" if absent else "has no rows, or no name of a part of denoiser"
    return _misnamed(said, rows) or _incomplete(said, rows) or _half_refused(rows)


def _misnamed(said: re.Match[str], rows: pd.DataFrame) -> str:
    what = rows[["step", "weights", "eval_seed", "intervention"]].drop_duplicates().astype(str)
    own = what.assign(intervention=what["intervention"].map(file_part)).to_numpy().tolist()
    named = [str(int(said[1])), said[2], said[3], said[4] or PLAIN]
    if own != [named]:
        return (
            f"holds rows of step, weights, seed and intervention {own[0]}, named {named}: doubled, "
            f"or mixed up"
        )
    return ""


def _incomplete(said: re.Match[str], rows: pd.DataFrame) -> str:
    if rows.duplicated([*KEY]).any():
        return f"{rows.duplicated([*KEY]).sum()} rows are doubled"
    levels, concepts = len(said[7].split("_")), rows["concept"].nunique()
    splits = rows.groupby("split")["combination"].nunique()
    scenes = {"held_out": int(said[5]), "train": int(said[6])}
    expected = sum(count * scenes[str(split)] for split, count in splits.items())
    expected *= levels * concepts
    return "" if len(rows) == expected else f"has {len(rows)} rows, expected {expected}"


def _half_refused(rows: pd.DataFrame) -> str:
    """Return where a number and its refusal stand together, or neither does."""
    there = rows[[*NUMBERS]].notna()
    wrong = (there.nunique(axis=1) > 1) | (there.iloc[:, 0] == rows["refused"].notna())
    if wrong.any():
        return f"row {int(wrong.to_numpy().argmax())} is neither measured nor refused, or both"
    return ""
