"""Terminal rates: planted laws are told apart, and too few snapshots are refused."""

import numpy as np
import pandas as pd
import pytest

from analysis.tables.coordinates import AXIS, Coordinate
from analysis.tables.terminal_rates import terminal_laws, terminal_table

SEEN = np.arange(100, 3100, 100.0)
EXPONENTIAL = np.exp(-SEEN / 1200)
POWER = (SEEN / 100) ** -0.8


def coordinate(rest: np.ndarray, run: str = "r", noise: float = 0.02) -> Coordinate:
    values = (1 - rest)[:, None] + noise * np.random.default_rng([*run.encode()]).normal(
        size=(len(rest), 64)
    )
    everywhere = np.ones(len(rest), dtype=bool)
    counts = np.ones_like(values)
    return Coordinate(run, "softmax", "color", SEEN[: len(rest)], values, counts, everywhere)


def swings_of(run: str = "r", end: float | None = None) -> pd.DataFrame:
    row = {"run": run, "instrument": "softmax", "measure": "color", "end": end or np.nan}
    return pd.DataFrame([{**row, "swings": end is not None}]).astype({"swings": "boolean"})


def row_of(rest: np.ndarray, end: float | None = None, **options) -> dict:
    (row,) = terminal_table([coordinate(rest, **options)], swings_of(end=end)).to_dict("records")
    return row


@pytest.mark.parametrize("rest, law", [(EXPONENTIAL, "exponential"), (POWER, "power")])
def test_a_planted_law_is_found(rest, law):
    row = row_of(rest)
    assert row["law"] == law and row["refused"] == "" and row["turn"] == 100


def test_the_decay_of_an_exponential_is_its_own():
    assert row_of(EXPONENTIAL, noise=1e-4)["decay"] == pytest.approx(1200, rel=0.02)


def test_the_rest_is_followed_from_the_turn_on():
    """From where a fall ends, of a coordinate that swings; else from its lowest place."""
    fallen = np.concatenate([np.linspace(0.9, 0.2, 8), 0.9 * np.exp(-(SEEN - 100) / 1200)])[:30]
    assert row_of(fallen, end=900)["turn"] == 900
    early = np.concatenate([[0.95], fallen[1:]])
    assert row_of(early)["turn"] == 100 and row_of(early, end=900)["law"] == "exponential"


def test_noise_is_not_fitted():
    """From where the rest is less than twice its standard error, it is left out."""
    floor = np.where(SEEN < 2000, EXPONENTIAL, 1e-5)
    row = row_of(floor)
    assert row["snapshots"] == 19 and row["law"] == "exponential"


def test_too_few_snapshots_are_refused_and_it_says_how_many():
    row = row_of(EXPONENTIAL[:12])
    assert row["law"] == "" and np.isnan(row["penalty"])
    assert row["refused"] == "needs 15 snapshots after the turn and above noise, has 12"


def test_runs_are_counted_by_their_law():
    runs = [f"r{i}" for i in range(7)]
    lengths = [30] * 6 + [10]
    tables = [
        terminal_table([coordinate(EXPONENTIAL[:n], run=run)], swings_of(run))
        for run, n in zip(runs, lengths, strict=True)
    ]
    about = pd.DataFrame({"run": runs, "variant": "v"})
    (found,) = terminal_laws(pd.concat(tables), about).to_dict("records")
    assert [found[name] for name in AXIS] == ["softmax", "color"]
    assert (found["exponential"], found["judged"], found["runs"]) == (6, 6, 7)
    assert found["verdict"] == "holds" and found["refused"].endswith("has 10")


def test_of_an_unread_coordinate_nothing_is_judged():
    one = coordinate(EXPONENTIAL)._replace(counting=np.zeros(30, dtype=bool))
    (row,) = terminal_table([one], swings_of()).to_dict("records")
    assert row["snapshots"] == 0 and row["law"] == ""
