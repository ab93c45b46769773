"""Section of a study's report on turning back: do paths to what is held out turn back?"""

from typing import Any

from analysis.figures.over_seeds import swing_figure
from analysis.measures.cross_fitted import SWING
from analysis.report.study import Section
from analysis.tables.swing_counts import ALL
from studies.findings.seed_tables import SeedTables
from studies.findings.told import listed, share_text

MOST_ROWS = 40  # of a table on the page; all are in the CSV


def turning_section(tables: SeedTables) -> Section:
    """Return the section: every run's fall, and how many turn back by each instrument."""
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
        notes.append("All instruments of each variant are in tables/swing_counts.csv.")
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
        f"Most runs turn back by more than their snapshots scatter: {listed(told)}."
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
        "turn back": share_text(row, "swings", "runs"),
        "beyond scatter": f"{row['beyond']} of {row['runs']}",
        "pass the gate": f"{row['passed']} of {row['runs']}",
        "most": row["verdict"],
        "mean over seeds falls": row["untested"] or f"{row['mean_fall']:.2f}, p = {row['p']:.2g}",
    }
