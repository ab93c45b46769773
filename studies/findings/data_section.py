"""Section of a study's report on worlds of bumps: how much data is needed, by the size of the
canvas?"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from analysis.figures.data_needed import data_needed_figure
from analysis.report.study import Section
from analysis.tables.data_needed import (
    THRESHOLD,
    data_needed,
    exponent_differences,
    exponents,
    typical_needed,
)

SIZE, KEPT, GROUP = "world.image_size_px", "world.kept", "world.examples"
COUNTED = {"crossings": "two-dimensional images", "shown": "all training images"}
TITLE = "How much data is needed?"
NOTES = (
    f"Needed: so many that {THRESHOLD:.0%} of the centres that were not kept are drawn right in "
    f"both coordinates, by an isotonic fit; linear between two numbers in ln(number). Seeds that "
    f"never or always reach that are censored; none is left out.",
    "Two-dimensional images alone are thinned. Stripes are shown whole, and their number grows "
    "with the size by itself, so the exponent of all images is not that of the thinned ones.",
    "Exponents: needed ∝ size^exponent, fitted to all seeds and sizes. Intervals are 95 % ones "
    "over seeds; that of a difference joins both.",
)


class DataNeeded(NamedTuple):
    """Tables by what is counted, as `analysis/tables/data_needed.py` returns them, with a column
    `counted`."""

    needed: pd.DataFrame
    typical: pd.DataFrame
    laws: pd.DataFrame
    differences: pd.DataFrame


def data_needed_of(outcomes: pd.DataFrame) -> DataNeeded | None:
    """Return what is needed; None of a study that does not vary canvas and kept fraction.

    outcomes: as `outcomes.outcomes_of_runs` returns them.
    """
    if not all(name in outcomes and outcomes[name].nunique() > 1 for name in (SIZE, KEPT)):
        return None
    asked = outcomes[outcomes["question"] == "composes"]
    asked = asked if GROUP in asked else asked.assign(**{GROUP: "all"})
    if asked.empty:
        return None
    found = {name: _tables(asked.assign(images=asked[name])) for name in COUNTED}
    joined = zip(*found.values(), strict=True)
    return DataNeeded(*(_stacked(dict(zip(COUNTED, tables, strict=True))) for tables in joined))


def _stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([t.assign(counted=name) for name, t in tables.items()], ignore_index=True)


def _tables(runs: pd.DataFrame) -> tuple[pd.DataFrame, ...]:
    needed = data_needed(runs, SIZE, [GROUP])
    laws = exponents(needed, SIZE, [GROUP])
    typical = typical_needed(needed, SIZE, [GROUP])
    return needed, typical, laws, exponent_differences(laws, GROUP)


def named(found: DataNeeded | None) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the tables that are kept beside the report, by their names."""
    if found is None:
        return
    yield "data_needed", found.needed
    yield "data_needed_typical", found.typical
    yield "data_exponents", found.laws
    if len(found.differences):
        yield "data_exponent_differences", found.differences


def data_section(found: DataNeeded) -> Section:
    """Return the section."""
    by_count = {
        said: found.needed[found.needed["counted"] == name] for name, said in COUNTED.items()
    }
    caption = (
        "Training images that are needed against the size of the canvas: a mark per seed with its "
        "bracket; empty: censored."
    )
    figure = data_needed_figure(by_count, SIZE, GROUP)
    return Section(TITLE, [(caption, figure)], [*_rows(found)], NOTES, _answer(found))


def _rows(found: DataNeeded) -> Iterator[dict[str, str]]:
    for name, said in COUNTED.items():
        typical, laws = (t[t["counted"] == name] for t in (found.typical, found.laws))
        for law in laws.to_dict("records"):
            own = typical[typical[GROUP] == law[GROUP]]
            sizes = {f"at {row[SIZE]:g} px": _needed(row) for row in own.to_dict("records")}
            yield {
                "examples": str(law[GROUP]),
                "counted": said,
                **sizes,
                "exponent": _exponent(law),
            }


def _needed(row: Any) -> str:
    if pd.isna(row["needed"]):
        return f"censored: {row['censored']} of {row['runs']}"
    ends = f" [{row['low']:.0f}, {row['high']:.0f}]" if pd.notna(row["low"]) else ""
    return f"{row['needed']:.0f}{ends}"


def _exponent(law: Any, name: str = "exponent") -> str:
    if pd.isna(law[name]):
        return "not known: too many censored"
    return f"{law[name]:.2f} [{law['low']:.2f}, {law['high']:.2f}]"


def _answer(found: DataNeeded) -> str:
    laws = found.laws[found.laws["counted"] == "crossings"].to_dict("records")
    told = "; ".join(f"{law[GROUP]}: size to the power {_exponent(law)}" for law in laws)
    apart = found.differences[found.differences["counted"] == "crossings"].to_dict("records")
    rest = [
        f" {row['first']} minus {row['second']}: {_exponent(row, 'difference')}." for row in apart
    ]
    return f"Two-dimensional images needed, by examples. {told}.{''.join(rest)}"
