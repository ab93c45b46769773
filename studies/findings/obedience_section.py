"""Section of a study's report on obedience: which word is obeyed first, and how is it learned?"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.dynamics import dynamics_figure
from analysis.figures.over_seeds import obedience_over_seeds_figure
from analysis.report.study import Section
from analysis.tables.coordinates import DENOISER
from studies.findings.seed_tables import SeedTables
from studies.findings.study_sections import time_text
from studies.findings.told import interval_text, listed


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


def obedience_section(tables: SeedTables) -> Section:
    """Return the section: curves over seeds, times and orders by level."""
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
    return f"At level {level:g}, {listed(told)}." if told else "There is one concept alone."


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
        f"{row['measure']} at level {row['level']:g} {_exponent(row)}"
        for row in tables.clock_laws.to_dict("records")
    ]
    setting = tables.study.one_setting
    return [f"Exponent of the time until a word is obeyed, in {setting}: {'; '.join(told)}."]


def _exponent(row: Any) -> str:
    if not np.isfinite(row["exponent"]):
        return "no law: too few are obeyed in time"
    return interval_text(row, "exponent", "low", "high")
