"""Sections of a study's report on how concepts are learned: a question each, answered first."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis.figures.over_seeds import distance_figure, emergence_figure, terminal_figure
from analysis.figures.style import short_count
from analysis.report.study import Section
from studies.findings.obedience_section import obedience_section
from studies.findings.seed_tables import SeedTables
from studies.findings.told import interval_text, share_text
from studies.findings.turning_section import MOST_ROWS, turning_section


def seed_sections_of(tables: SeedTables) -> Iterator[Section]:
    """Yield a section per question that the tables can answer."""
    yield obedience_section(tables)
    yield turning_section(tables)
    yield _distances(tables)
    if len(tables.emergence):
        yield _emergence(tables)
    yield _terminal(tables)


def _distances(tables: SeedTables) -> Section:
    differences = tables.distance_differences
    rows = [
        {
            "variant": row["variant"],
            "learned sooner": f"distance {row['nearer']} than {row['farther']}",
            "difference": interval_text(row, "difference", "low", "high", "+"),
            "seeds": str(row["seeds"]),
            "in each seed": row["each_seed"],
        }
        for row in differences.to_dict("records")
    ]
    caption = (
        "Joint accuracy by the distance of a combination from training: the least number of "
        "concepts in which it differs from one that trains."
    )
    notes = [
        "Difference of the mean joint accuracy over ln(images seen), run by run, with its 95 % "
        "interval over seeds and noise; of one seed over noise alone.",
        "In each seed: sooner if the interval over noise of every single seed lies above .02, not "
        "if below. That speaks of these seeds, not of others.",
    ]
    pairs = differences.groupby(["nearer", "farther"])["low"]
    told = [
        f"distance {nearer} before {farther} in {int((low > 0).sum())} of {len(low)} variants"
        for (nearer, farther), low in pairs
    ]
    answer = f"Shown (interval above 0): {', '.join(told)}."
    figure = distance_figure(tables.distances_over_seeds)
    title = "Is what lies near to training learned first?"
    return Section(title, [(caption, figure)], rows, notes, answer)


def _emergence(tables: SeedTables) -> Section:
    found = tables.emergence_over_seeds
    caption = (
        "Joint accuracy of each held-out combination at each snapshot, against the product and the "
        "minimum of the accuracies of its concepts. On the dashed line the rule is right."
    )
    rows = [_emergence_row(row, tables) for row in found.to_dict("records")]
    notes = [
        "Cells: held-out combinations at snapshots with a product from .1 to .9; a run needs ten. "
        "Alike: the mean difference is within ±.05 of 0. Better: the root mean square error of the "
        "product is below that of the minimum. In each seed, by the noise within it.",
        "Growth: (1 − (1 − p)^images)^n, the chance that all of n concepts are learned, each at a "
        "constant rate. Time: images until a share of 1 − 1/e of one concept is. Geometric means "
        "over seeds, with Student's intervals.",
    ]
    figure = emergence_figure(tables.cells, tables.study.variants)
    title = "Is a combination the product of its concepts?"
    return Section(title, [(caption, figure)], rows, notes, _product(found))


def _product(found: pd.DataFrame) -> str:
    judged = found[found["seeds"] > 0]
    if judged.empty:
        return "Not known: no run has ten cells with a product from .1 to .9."
    alike, better = ((judged[c] == "holds").sum() for c in ("alike_each", "product_each"))
    return (
        f"Joint accuracy is within .05 of the product in each seed of {alike} of {len(judged)} "
        f"variants, and nearer to it than to the minimum in each seed of {better}."
    )


def _emergence_row(row: Any, tables: SeedTables) -> dict[str, str]:
    growth = tables.growth_over_seeds
    own = growth[growth["variant"] == row["variant"]].to_dict("records")
    of = {f"n of {one['measure']}": _grown(one) for one in own}
    judged = {"seeds": f"{row['seeds']} of {row['of_seeds']}"}
    if not row["seeds"]:
        few = {"joint − product": "too few cells", "error: product, minimum": "–"}
        return {"variant": row["variant"], **judged, **few, "alike": "–", "better": "–", **of}
    return {
        **{"variant": row["variant"], **judged},
        "joint − product": interval_text(row, "excess", "low", "high", "+"),
        "error: product, minimum": f"{row['product_error']:.3f}, {row['minimum_error']:.3f}",
        **{"alike": row["alike_each"], "better": row["product_each"], **of},
    }


def _grown(row: Any) -> str:
    """Return n with its interval, and the time of one concept."""
    if not row["seeds"]:
        return str(row["refused"])
    ends = f" [{row['n_low']:.1f}, {row['n_high']:.1f}]" if row["seeds"] > 1 else " (one seed)"
    return f"{row['n']:.1f}{ends}, time {short_count(row['time'])}"


def _terminal(tables: SeedTables) -> Section:
    laws = tables.terminal_laws
    judged = laws[laws["judged"] > 0]
    title = "How does the rest decay?"
    notes = [
        "Rest: 1 − c, from the turn on (the end of the fall of a run that turns back, else the "
        "lowest place) until it is less than twice its standard error. Exponential: AIC of a power "
        "of time is more than 4 above that of an exponential in time; power: more than 4 below. "
        "Neither need be right: a coordinate that levels off below 1, as a mean probability may, "
        "looks like a power."
    ]
    if judged.empty:
        return Section(title, notes=notes, answer=f"No run can be judged: each {_why(laws)}.")
    rows = [
        {
            "variant": row["variant"],
            "concept": row["measure"],
            "instrument": row["instrument"],
            "exponential": share_text(row, "exponential", "judged"),
            "power": f"{row['power']} of {row['judged']}",
            "not judged": str(row["runs"] - row["judged"]),
            "most": row["verdict"]
            if row["judged"] == row["runs"]
            else f"of those judged: {row['verdict']}",
        }
        for row in judged.head(MOST_ROWS).to_dict("records")
    ]
    total, exponential, power = (int(judged[c].sum()) for c in ("judged", "exponential", "power"))
    answer = (
        f"Of {total} curves that can be judged, {exponential} decay exponentially and {power} as a "
        f"power of time; of the others it is undecided."
    )
    caption = "The rest of each curve that is judged, from its turn on. An exponential is straight."
    figure = terminal_figure(_rests(tables), tables.study.variants)
    return Section(title, [(caption, figure)], rows, notes, answer)


def _why(laws: pd.DataFrame) -> str:
    reasons = laws["refused"][laws["refused"] != ""]
    return str(reasons.iloc[0]) if len(reasons) else "has no coordinate"


def _rests(tables: SeedTables) -> pd.DataFrame:
    """What is left of each curve that is judged, from its turn on."""
    judged = tables.terminal[tables.terminal["refused"] == ""]
    keys = ["run", "instrument", "measure"]
    joined = tables.curves.merge(judged[[*keys, "turn"]], on=keys)
    rest = joined.assign(rest=1 - joined["coordinate"])
    return rest[(rest["images_seen"] >= rest["turn"]) & (rest["rest"] > 0) & rest["counts"]]
