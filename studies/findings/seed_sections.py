"""Sections of a study's report on how concepts are learned: a question each, answered first."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.dynamics import dynamics_figure
from analysis.figures.over_seeds import (
    distance_figure,
    emergence_figure,
    obedience_over_seeds_figure,
    swing_figure,
    terminal_figure,
)
from analysis.figures.style import short_count
from analysis.measures.cross_fitted import SWING
from analysis.report.study import Section
from analysis.tables.coordinates import DENOISER
from analysis.tables.swing_counts import ALL
from studies.findings.seed_tables import SeedTables
from studies.findings.study_sections import time_text

MOST_ROWS = 40  # of a table on the page; all are in the CSV
MOST_TOLD = 4  # variants that a sentence names
FOLDER = "tables"


def seed_sections_of(tables: SeedTables) -> Iterator[Section]:
    """Yield a section per question that the tables can answer."""
    yield _obedience(tables)
    yield _turns(tables)
    yield _distances(tables)
    if len(tables.emergence):
        yield _emergence(tables)
    yield _terminal(tables)


def lead_section(tables: SeedTables) -> Section | None:
    """Return what a reader sees first: obedience and paths by variant; None where words were not
    measured, or one concept alone."""
    level = middle_level(tables)
    if level is None or tables.obedience["concept"].nunique() < 2:
        return None
    first = {
        row["variant"]: f"{row['first'] if row['share'] > 0.5 else row['then']} crosses ½ first"
        for row in _orders_at(tables, level).to_dict("records")
        if row["share"] != 0.5
    }
    figure = dynamics_figure(tables.obedience, tables.curves, tables.study.variants, level, first)
    caption = (
        f"Above: how far each word is obeyed on held-out combinations, at level {level:g}, mean "
        f"over seeds with its 95 % interval. Below: the mean path of held-out combinations, "
        f"from the first snapshot to the last, by three instruments. A cross is what was asked for."
    )
    return Section("How are concepts learned?", [(caption, figure)], answer=_first_obeyed(tables))


def middle_level(tables: SeedTables) -> float | None:
    """Return the level in the middle of those that are not refused."""
    levels = sorted(tables.clock["level"].unique())
    return levels[len(levels) // 2] if levels else None


def _orders_at(tables: SeedTables, level: float) -> pd.DataFrame:
    return tables.orders[tables.orders["instrument"] == f"{DENOISER} {level:g}"]


def _listed(texts: list[str]) -> str:
    shown, more = texts[:MOST_TOLD], len(texts) - MOST_TOLD
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _interval(row: Any, value: str, low: str, high: str, sign: str = "") -> str:
    return f"{row[value]:{sign}.2f} [{row[low]:{sign}.2f}, {row[high]:{sign}.2f}]"


def _share(row: Any, count: str, of: str) -> str:
    return f"{row[count]} of {row[of]} [{row['low']:.2f}, {row['high']:.2f}]"


def _obedience(tables: SeedTables) -> Section:
    title = "Which word is obeyed first?"
    notes = [f"{run}: left out. {why}" for run, why in tables.unread.items()]
    notes += [
        f"Level {level:g}, {concept}: {why}" for (level, concept), why in tables.refused.items()
    ]
    if not len(tables.obedience):
        answer = "Not known: no run has all of its table denoiser (evaluate.denoiser.levels)."
        return Section(title, notes=notes, answer=answer)
    caption = (
        "Obedience of the word of each concept on held-out combinations, mean over the seeds of "
        "each variant: 0 if the word does nothing, 1 if it does what it ideally does. Level: the "
        "share of signal, alpha-bar."
    )
    about = [
        "Obeyed: obedience crosses one half, by an isotonic fit; linear between two snapshots in "
        "ln(images seen). What is not obeyed in time is later than all that is.",
        "Bands: 95 % intervals over seeds (Student's t) and over scenes, which all seeds share.",
        *_laws(tables),
    ]
    figure = obedience_over_seeds_figure(tables.obedience)
    rows = [*_obedience_rows(tables)]
    return Section(title, [(caption, figure)], rows, [*about, *notes], _first_obeyed(tables))


def _first_obeyed(tables: SeedTables) -> str:
    """The order at the level in the middle, by variant."""
    level = middle_level(tables)
    if level is None:
        return "Not known: every level is refused on held-out combinations."
    own = _orders_at(tables, level)
    told = [
        f"{row['variant']}: {row['first']} before {row['then']} in {row['earlier']} of "
        f"{row['runs']} seeds"
        for row in own.to_dict("records")
    ]
    return f"At level {level:g}, {_listed(told)}." if told else "There is one concept alone."


def _obedience_rows(tables: SeedTables) -> Iterator[dict[str, str]]:
    """A row per variant and level: when each word is obeyed, and which first."""
    orders = tables.orders
    for (variant, level), own in tables.typical_clock.groupby(["variant", "level"], sort=False):
        same = (orders["variant"] == variant) & (orders["instrument"] == f"denoiser {level:g}")
        times = {f"{row['measure']} obeyed": time_text(row) for row in own.to_dict("records")}
        told = [*map(_order, orders[same].to_dict("records"))]
        yield {"variant": str(variant), "level": f"{level:g}", **times, "order": "; ".join(told)}


def _order(row: Any) -> str:
    return f"{row['first']} before {row['then']}: {row['earlier']} of {row['runs']}" + (
        f" [{row['low']:.2f}, {row['high']:.2f}]" if row["share"] >= 0 else ""
    )


def _laws(tables: SeedTables) -> list[str]:
    if not len(tables.clock_laws):
        return []
    told = [
        f"{row['measure']} at level {row['level']:g} {_interval(row, 'exponent', 'low', 'high')}"
        if np.isfinite(row["exponent"])
        else f"{row['measure']} at level {row['level']:g} no law: too few are obeyed in time"
        for row in tables.clock_laws.to_dict("records")
    ]
    setting = tables.study.one_setting
    return [f"Exponent of the time until a word is obeyed, in {setting}: {'; '.join(told)}."]


def _turns(tables: SeedTables) -> Section:
    counts = tables.swing_counts
    chosen = (counts["variant"] == ALL) | (counts["instrument"] == "softmax")
    shown = counts if len(counts) <= MOST_ROWS else counts[chosen]
    caption = (
        f"How far the coordinate of the held-out combinations falls in each run, on images that "
        f"did not choose where. Beyond {SWING:g} (dashed) a run turns back, if its interval lies "
        f"above .05. Empty: the run does not pass the gate."
    )
    figure = swing_figure(tables.swings, tables.study.variants, SWING)
    notes = [
        "softmax: mean probability of the asked value. sure: share read as asked, of sure images. "
        "oracle: place between the two class means, of images of which it is sure. denoiser: "
        "obedience, by level, over scenes.",
        "Gate: a snapshot counts if half of its images at least are sure. A run is judged if eight "
        "count between the learning of the first and of the last concept, and if its held-out "
        "joint accuracy ends at .5 or above; obedience is judged always.",
        "Most: the 95 % interval (Clopper–Pearson) of the share lies above one half; fails if "
        "below. With fewer than six seeds it cannot hold.",
        "Beyond scatter: the run turns back, and falls by more than the 95 % quantile of what "
        "noise falls that is as large as a snapshot's distance from its neighbours. Images and "
        "scenes are redrawn within snapshots, so the first count alone says nothing of that noise.",
        "Beside it, p of a test whether the mean over seeds falls, at the snapshots that count in "
        "every seed. How often each calls what does not turn turning stands in "
        "docs/explanations/intervals.md.",
    ]
    if len(shown) < len(counts):
        notes.append(f"All instruments of each variant are in {FOLDER}/swing_counts.csv.")
    rows = [_turn_row(row) for row in shown.to_dict("records")]
    return Section("Do paths turn back?", [(caption, figure)], rows, notes, _turning(tables))


def _turning(tables: SeedTables) -> str:
    """Return what is shown of all runs of a variant, or of all variants together."""
    counts = tables.swing_counts
    told = [
        f"{row['measure']} in {row['variant']} by {row['instrument']} "
        f"({row['beyond']} of {row['runs']})"
        for row in counts[counts["beyond_verdict"] == "holds"].to_dict("records")
    ]
    of_images = tables.swings[tables.swings["instrument"] == "softmax"]
    judged = of_images[of_images["gate"] == ""]["run"].nunique()
    runs = of_images["run"].nunique()
    first = (
        f"Most runs turn back by more than their snapshots scatter: {_listed(told)}."
        if told
        else "That most runs turn back by more than their snapshots scatter is shown nowhere."
    )
    gated = f" {judged} of {runs} runs pass the gate of the probe's readings."
    return first + (gated if judged < runs else "")


def _turn_row(row: Any) -> dict[str, str]:
    return {
        "variant": row["variant"],
        "concept": row["measure"],
        "instrument": row["instrument"],
        "turn back": _share(row, "swings", "runs"),
        "beyond scatter": f"{row['beyond']} of {row['runs']}",
        "pass the gate": f"{row['passed']} of {row['runs']}",
        "most": row["verdict"],
        "mean over seeds falls": row["untested"] or f"{row['mean_fall']:.2f}, p = {row['p']:.2g}",
    }


def _distances(tables: SeedTables) -> Section:
    differences = tables.distance_differences
    rows = [
        {
            "variant": row["variant"],
            "learned sooner": f"distance {row['nearer']} than {row['farther']}",
            "difference": _interval(row, "difference", "low", "high", "+"),
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
        "joint − product": _interval(row, "excess", "low", "high", "+"),
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
            "exponential": _share(row, "exponential", "judged"),
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
