"""Outcomes in the report of a study on bumps: planted ones are found, shapes have none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from studies.findings.data_section import data_needed_of
from studies.findings.outcomes import outcomes_of_runs
from studies.findings.study_report import PAGE, write_study_report
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run_sets.members import RunStatus, Study, StudyRun
from tests.analysis.test_report import Tags
from tests.harness.synthetic_bumps import bump_config, write_bump_run

pytestmark = pytest.mark.slow


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


def by_number(needed: dict[int, float]):
    """Right as a function of how many crossings of N px a run of `kept` learned from."""

    def chance_of(size: int, kept: float):
        images = round(kept * size**2)
        p = 1 / (1 + (needed[size] / images) ** 4 / 1.5)
        return lambda section, asked, axis: np.full(len(asked), p**0.5)

    return chance_of


def test_data_that_is_needed_grows_as_planted(tmp_path):
    """Crossings alone ∝ N², with stripes ∝ N: exponents, their difference, and the page."""
    planted = {
        "2d": by_number({8: 16.0, 12: 36.0, 16: 64.0}),
        "both": by_number({8: 8.0, 12: 12.0, 16: 16.0}),
    }
    members = []
    for examples, chance_of in planted.items():
        for size in (8, 12, 16):
            for kept in (0.05, 0.1, 0.2, 0.4, 0.8):
                for seed in range(2):
                    world = dict(examples=examples, image_size_px=size, kept=kept)
                    fields = {f"world.{key}": value for key, value in world.items()}
                    variant = f"{examples} {size} {kept}"
                    config = bump_config(f"{variant}-{seed}", seed, region="none", **world)
                    chance = chance_of(size, kept)
                    members.append(write_bump_run(tmp_path, config, chance, variant, fields))
    page, tables = report_of(members, tmp_path / "out")
    laws = tables["data_exponents"].set_index(["counted", "world.examples"])
    for examples, exponent in (("2d", 2.0), ("both", 1.0)):
        law = laws.loc[("crossings", examples)]
        assert law["low"] < exponent < law["high"] and law["runs"] == 6
        assert law["exponent"] == pytest.approx(exponent, abs=0.35)
    apart = tables["data_exponent_differences"].set_index("counted").loc["crossings"]
    assert apart["low"] < 1.0 < apart["high"]
    needed = tables["data_needed_typical"].set_index(
        ["counted", "world.examples", "world.image_size_px"]
    )
    assert needed.loc[("crossings", "2d", 12), "needed"] == pytest.approx(36, rel=0.3)
    assert (needed.loc["shown", "both"]["needed"] > needed.loc["crossings", "both"]["needed"]).all()
    assert "How much data is needed?" in page.text and "size to the power" in page.text
