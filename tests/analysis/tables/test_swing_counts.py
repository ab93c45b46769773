"""Counts of runs that turn back, with their verdicts; and orders of concepts."""

import numpy as np
import pandas as pd
import pytest

from analysis.measures.intervals import clopper_pearson
from analysis.tables.swing_counts import concept_orders, swing_counts

SEEN = np.arange(100, 1300, 100.0)
RISE = np.linspace(0.1, 1, 12)
DIP = RISE - 0.5 * np.exp(-((np.arange(12) - 8) ** 2) / 4)


def about_of(runs: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"run": [f"r{i}" for i in range(runs)], "variant": "v", "seed": range(runs)}
    )


def curves_of(curves: list[np.ndarray]) -> pd.DataFrame:
    noise = np.random.default_rng(0).normal(0, 0.01, (len(curves), 12))
    tables = [
        pd.DataFrame({"images_seen": SEEN, "coordinate": curve + own}).assign(
            run=f"r{i}", counts=True
        )
        for i, (curve, own) in enumerate(zip(curves, noise, strict=True))
    ]
    return pd.concat(tables).assign(instrument="softmax", measure="color")


def swings_of(swings: list[bool | None], gates: list[str]) -> pd.DataFrame:
    runs = [f"r{i}" for i in range(len(swings))]
    table = pd.DataFrame({"run": runs, "swings": swings, "gate": gates})
    table = table.assign(instrument="softmax", measure="color", beyond=swings)
    return table.astype({"swings": "boolean", "beyond": "boolean"})


@pytest.mark.parametrize(
    ("swinging", "gated", "verdict"),
    [(6, 0, "holds"), (5, 0, "undecided"), (0, 0, "fails"), (6, 1, "undecided (gate)")],
)
def test_six_of_six_is_most_and_a_gate_makes_undecided(swinging, gated, verdict):
    swings = swings_of([i < swinging for i in range(6)], ["why"] * gated + [""] * (6 - gated))
    (row,) = swing_counts(swings, curves_of([DIP] * 6), about_of(6)).to_dict("records")
    assert (row["swings"], row["runs"], row["passed"]) == (swinging, 6, 6 - gated)
    assert (row["low"], row["high"]) == clopper_pearson(swinging, 6)
    assert row["verdict"] == verdict


def test_variants_are_counted_together_too_and_what_scatters_apart():
    swings = swings_of([True] * 6, [""] * 6).assign(beyond=[True] + [False] * 5)
    about = about_of(6).assign(variant=["v", "v", "v", "w", "w", "w"])
    counted = swing_counts(swings, curves_of([DIP] * 6), about).set_index("variant")
    assert counted["swings"].to_dict() == {"v": 3, "w": 3, "all": 6}
    assert counted["verdict"].to_dict() == {"v": "undecided", "w": "undecided", "all": "holds"}
    assert counted.loc["all", ["beyond", "beyond_verdict"]].tolist() == [1, "undecided"]


def test_the_mean_over_seeds_is_tested_beside():
    swings = swings_of([True] * 5, [""] * 5)
    (dip,) = swing_counts(swings, curves_of([DIP] * 5), about_of(5)).to_dict("records")
    (rise,) = swing_counts(swings, curves_of([RISE] * 5), about_of(5)).to_dict("records")
    assert dip["p"] < 0.05 and dip["mean_fall"] == pytest.approx(np.ptp(DIP[6:9]), abs=0.1)
    assert rise["p"] > 0.2


def test_of_too_few_seeds_or_snapshots_there_is_no_test_and_it_says_why():
    three = swing_counts(swings_of([None] * 3, [""] * 3), curves_of([DIP] * 3), about_of(3))
    assert three["untested"].tolist() == ["needs 4 seeds, has 3"] and three["p"].isna().all()
    curves = curves_of([DIP] * 4)
    curves["counts"] = curves["images_seen"] > 100 * (9 + curves["run"].eq("r3"))
    few = swing_counts(swings_of([None] * 4, [""] * 4), curves, about_of(4))
    assert few["untested"].tolist() == ["2 snapshots count in every seed"]


def test_the_order_of_concepts_with_what_never_comes():
    inf, nan = np.inf, np.nan
    rows = [  # run, measure, images_seen, after, by
        ("r0", "color", 200, 100, 300), ("r0", "size", 100, 50, 150),
        ("r1", "color", nan, 900, inf), ("r1", "size", 100, 50, 150),
        ("r2", "color", nan, 900, inf), ("r2", "size", nan, 900, inf),
        ("r3", "color", nan, 0, 50), ("r3", "size", 100, 50, 150),
    ]  # fmt: skip
    times = pd.DataFrame(rows, columns=["run", "measure", "images_seen", "after", "by"])
    (row,) = concept_orders(times.assign(level=0.2), about_of(4), ["level"]).to_dict("records")
    assert (row["first"], row["then"], row["level"]) == ("size", "color", 0.2)
    assert (row["earlier"], row["later"], row["runs"]) == (2, 1, 4)
    assert (row["low"], row["high"]) == clopper_pearson(2, 3) and row["verdict"] == "undecided"


def test_of_six_in_six_most_come_first():
    rows = [
        (f"r{i}", m, t, t - 1, t + 1) for i in range(6) for m, t in (("a", 10 + i), ("b", 9 + i))
    ]
    times = pd.DataFrame(rows, columns=["run", "measure", "images_seen", "after", "by"])
    (row,) = concept_orders(times.assign(level=0.2), about_of(6), ["level"]).to_dict("records")
    assert (row["first"], row["verdict"], row["share"]) == ("b", "holds", 1)
