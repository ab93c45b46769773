"""How the rest decays once a concept is being learned: exponentially, or as a power of time?

The rest is 1 − c. It is followed from the turn: the end of the largest fall, of a coordinate that
turns back; else its lowest place. It ends before the first snapshot at which it is less than twice
its standard error, where noise alone would be fitted.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.measures.decay import ENOUGH, power_law_penalty, terminal_rate
from analysis.measures.verdicts import share
from analysis.tables.coordinates import AXIS, Coordinate

DECIDED = 4.0  # of AIC, beyond which one law is the better
ABOVE_NOISE = 2.0  # standard errors


def terminal_table(coordinates: Sequence[Coordinate], swings: pd.DataFrame) -> pd.DataFrame:
    """Which law the rest of each coordinate of one run follows after the turn.

    swings: as `coordinates.swing_table` returns it of the same coordinates.

    Returns run, instrument, measure, turn (images seen), snapshots (from there until noise),
    penalty (AIC of the power law minus that of the exponential), law ("exponential" above 4,
    "power" below −4, else "undecided"; "" if refused), decay (images seen in which the exponential
    falls by e, from .9 to .1 of the rest; NaN where it does not get there) and refused: why there
    is no number, or "".
    """
    by_axis = swings.set_index(AXIS)
    rows = [
        {**one.names, **_terminal(one, by_axis.loc[(one.instrument, one.measure)])}
        for one in coordinates
    ]
    columns = ["run", *AXIS, "turn", "snapshots", "penalty", "law", "decay", "refused"]
    return pd.DataFrame(rows, columns=columns)


def _terminal(one: Coordinate, swing: Any) -> dict[str, Any]:
    if not one.counting.any():
        return _refused(np.nan, 0)
    lowest = one.images_seen[one.counting][one.values[one.counting].argmin()]
    turn = swing["end"] if pd.notna(swing["swings"]) and swing["swings"] else lowest
    rest, seen = 1 - one.values, one.images_seen
    after = one.counting & (seen >= turn) & (seen > 0)
    noisy = after & (rest < ABOVE_NOISE * one.errors)
    used = after & (seen < (seen[noisy][0] if noisy.any() else np.inf))
    if used.sum() < ENOUGH:
        return _refused(turn, int(used.sum()))
    penalty = float(power_law_penalty(seen, rest[None], used[None])[0])
    rate = float(terminal_rate(seen[after], np.maximum(rest[after], 1e-9)[None])[0])
    return {
        **{"turn": turn, "snapshots": int(used.sum()), "penalty": penalty, "law": _law(penalty)},
        **{"decay": 1 / rate if rate > 0 else np.nan, "refused": ""},
    }


def _law(penalty: float) -> str:
    if abs(penalty) <= DECIDED:
        return "undecided"
    return "exponential" if penalty > 0 else "power"


def _refused(turn: float, snapshots: int) -> dict[str, Any]:
    why = f"needs {ENOUGH} snapshots after the turn and above noise, has {snapshots}"
    nothing = {"penalty": np.nan, "law": "", "decay": np.nan}
    return {"turn": turn, "snapshots": snapshots, **nothing, "refused": why}


def terminal_laws(terminal: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """Count the runs of each variant whose rest decays exponentially.

    terminal: as `terminal_table` returns it, of any runs. about: as in
    `analysis/tables/variants.py`.

    Returns variant, instrument, measure, exponential, power, judged (runs that are not refused),
    runs, share (of those judged), low, high (Clopper–Pearson), verdict (whether most decay
    exponentially), decay (geometric mean of those known) and refused: why one is, or "".
    """
    joined = terminal.merge(about[["run", "variant"]], on="run")
    rows = [
        {**dict(zip(["variant", *AXIS], key, strict=True)), **_counted(own)}
        for key, own in joined.groupby(["variant", *AXIS], sort=False)
    ]
    columns = [
        *("variant", *AXIS, "exponential", "power", "judged", "runs", "share", "low", "high"),
        *("verdict", "decay", "refused"),
    ]
    return pd.DataFrame(rows, columns=columns)


def _counted(own: pd.DataFrame) -> Mapping[str, Any]:
    counts = {law: int((own["law"] == law).sum()) for law in ("exponential", "power")}
    judged = int((own["law"] != "").sum())
    refused = own["refused"][own["refused"] != ""]
    found = share("MOST", counts["exponential"], judged)
    return {
        **counts,
        **{"judged": judged, "runs": len(own), "share": found.effect},
        **{"low": found.interval.low, "high": found.interval.high, "verdict": found.word},
        "decay": float(np.exp(np.log(own["decay"]).mean())),
        "refused": refused.iloc[0] if len(refused) else "",
    }
