"""Outcomes in the report of a study on bumps: planted ones are found, shapes have none."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from studies.findings.data_section import GROUP, KEPT, SIZE, data_needed_of
from studies.findings.outcome_section import outcome_sections, outcome_tables
from studies.findings.outcomes import outcomes_of_runs
from studies.findings.study_report import PAGE, write_study_report
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run_sets.members import RunStatus, Study, StudyRun
from tests.analysis.test_report import Tags
from tests.harness.synthetic_bumps import bump_config, write_bump_run


def seen_alone(section: str, asked: np.ndarray, axis: int) -> np.ndarray:
    """A value that crossings show is right, and no other."""
    new = (asked[:, axis] >= 3) & (asked[:, axis] <= 4)
    return np.where(new & (section != "train"), 0.02, 0.98)


def everything(section: str, asked: np.ndarray, axis: int) -> np.ndarray:
    return np.full(len(asked), 0.99)


def nothing(section: str, asked: np.ndarray, axis: int) -> np.ndarray:
    return np.full(len(asked), 0.99 if section.startswith("train") else 0.1)


PLANTED = {
    "crossings": ({}, seen_alone),
    "stripes": ({"examples": "1d", "region": "none"}, nothing),
    "both": ({"examples": "both"}, everything),
    "square": ({"region": "interior"}, nothing),
}


def report_of(members: list[StudyRun], out: Path) -> tuple[Tags, dict[str, pd.DataFrame]]:
    statuses = [RunStatus(m.name, "done", "evaluate", 4, 4, "") for m in members]
    out.mkdir(exist_ok=True)
    write_study_report(Study("study", "why?", tuple(members)), statuses, out)
    tables = {path.stem: pd.read_csv(path) for path in (out / "tables").glob("*.csv")}
    return Tags((out / PAGE).read_text(encoding="utf-8")), tables


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> list[StudyRun]:
    folder = tmp_path_factory.mktemp("planted")
    return [
        write_bump_run(
            folder,
            bump_config(f"{variant}-seed{seed}", seed, **world),
            chance,
            variant,
            {"world.examples": world.get("examples", "2d"), "world.region": world.get("region")},
        )
        for variant, (world, chance) in PLANTED.items()
        for seed in range(3)
    ]


def test_planted_outcomes_are_told_first_and_as_numbers(planted, tmp_path):
    page, tables = report_of(planted, tmp_path / "out")
    assert "Which variants compose, which interpolate?" in page.text
    for said in (
        "crossings: composes, does not interpolate",
        "stripes: does not compose",
        "both: composes, interpolates",
        "square: does not compose",
    ):
        assert said in page.text
    found = tables["outcomes_over_seeds"].set_index(["variant", "question"])
    assert (found["seeds"] == 3).all() and len(found) == 3 + 2 + 3 + 2
    assert found.loc[("crossings", "composes"), "each"] == "yes"
    assert found.loc[("crossings", "interpolates"), "high"] < 0.5
    single = tables["outcomes"]
    crossings = single[single["variant"] == "crossings"]
    assert {*crossings["crossings"]} == {*crossings["shown"]} == {36}
    assert {*single[single["variant"] == "stripes"]["crossings"]} == {0}
    assert "data_needed" not in tables and "How much data is needed?" not in page.text


def test_a_run_whose_last_snapshot_is_not_scored_is_named(planted):
    experiments = [Experiment.of_run(member.run) for member in planted[:2]]
    about = pd.DataFrame({"run": [m.name for m in planted[:2]], "variant": "v", "seed": [0, 1]})
    (part,) = planted[1].run.scores.glob("step_00000004*")
    content = part.read_bytes()
    part.unlink()
    found, refused = outcomes_of_runs(experiments, about)
    part.write_bytes(content)
    assert {*found["run"]} == {"crossings-seed0"} and {*refused} == {"crossings-seed1"}


def test_runs_of_words_have_no_outcomes(runs):
    experiment = Experiment.of_run(RunDir(runs / "s0.2-0"))
    about = pd.DataFrame({"run": [experiment.label], "variant": ["v"], "seed": [0]})
    found, refused = outcomes_of_runs([experiment], about)
    assert found.empty and not refused and data_needed_of(found) is None


def planted_needs(needed: dict[str, dict[int, float]], seeds: int = 2) -> pd.DataFrame:
    """Outcomes of runs that compose .6 once they learned from so many crossings, by size."""
    rows = []
    for examples, of_size in needed.items():
        for size, kept, seed in product(of_size, (0.05, 0.1, 0.2, 0.4, 0.8), range(seeds)):
            crossings = round(kept * size**2)
            p = 1 / (1 + (of_size[size] / crossings) ** 4 / 1.5)
            images = {"crossings": crossings, "shown": crossings + 6 * size * (examples == "both")}
            fields = {SIZE: size, GROUP: examples, KEPT: kept, "seed": seed, **images}
            name = f"{examples}-{size}-{kept}-{seed}"
            right = {"right": round(64 * p), "images": 64, "accuracy": round(64 * p) / 64}
            for question in ("trained", "composes"):
                about = {"run": name, "variant": name, "question": question, "word": "yes"}
                rows.append({**fields, **about, **right, "low": 0.0, "high": 1.0, "unsure": 0.0})
    return pd.DataFrame(rows)


PAPER = {"2d": {8: 16.0, 12: 36.0, 16: 64.0}, "both": {8: 8.0, 12: 12.0, 16: 16.0}}


def test_data_that_is_needed_grows_as_planted():
    """Crossings alone ∝ N², with stripes ∝ N: exponents, their difference, and what is said."""
    outcomes = planted_needs(PAPER)
    tables = dict(outcome_tables(outcomes))
    laws = tables["data_exponents"].set_index(["counted", GROUP])
    for examples, exponent in (("2d", 2.0), ("both", 1.0)):
        law = laws.loc[("crossings", examples)]
        assert law["low"] < exponent < law["high"] and law["runs"] == 6
        assert law["exponent"] == pytest.approx(exponent, abs=0.35)
    apart = tables["data_exponent_differences"].set_index("counted").loc["crossings"]
    assert apart["low"] < 1.0 < apart["high"]
    needed = tables["data_needed_typical"].set_index(["counted", GROUP, SIZE])["needed"]
    assert needed["crossings", "2d", 12] == pytest.approx(36, rel=0.3)
    assert (needed["shown", "both"] > needed["crossings", "both"]).all()
    _, section = outcome_sections(outcomes, {})
    assert section.title == "How much data is needed?" and len(section.rows) == 4
    assert section.answer.startswith("Two-dimensional images needed, by examples. 2d: size to the ")
    assert "2d minus both: " in section.answer


def test_a_canvas_on_which_nothing_suffices_is_said_to_be_censored():
    outcomes = planted_needs({"2d": {8: 16.0, 12: 900.0, 16: 900.0}})
    _, section = outcome_sections(outcomes, {})
    (row, _) = section.rows
    assert row["at 12 px"] == "censored: 2 of 2"
    assert float(row["at 8 px"].split()[0]) == pytest.approx(16, rel=0.3)
    assert row["exponent"] == "not known: too many censored"


def test_a_study_of_one_canvas_asks_for_no_amount():
    outcomes = planted_needs({"2d": {8: 16.0}})
    assert data_needed_of(outcomes) is None and len([*outcome_sections(outcomes, {})]) == 1
