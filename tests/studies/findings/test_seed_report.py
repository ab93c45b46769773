"""Findings over seeds in the report of a study: what was planted, and a line for what is not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.tables.coordinates import swing_table
from benchmarks.run_set import synthetic_config, write_run
from studies.findings import seed_runs
from studies.findings.study_report import PAGE, write_study_report
from studies.run_sets.discovery import members_in
from studies.run_sets.members import RunStatus, Study
from tests.analysis.test_report import Tags
from tests.harness.synthetic_runs import measure_run

SIGNALS, SEEDS, SNAPSHOTS, IMAGES = (0.2, 0.7), range(4), 16, 8


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Path:
    """Four seeds at two signals of color, read by the oracle and with a measured denoiser."""
    folder = tmp_path_factory.mktemp("planted") / "runs"
    for signal in SIGNALS:
        for seed in SEEDS:
            config = synthetic_config(f"s{signal}-{seed}", seed, signal, SNAPSHOTS, IMAGES)
            measure_run(write_run(folder, config))
    return folder


def report_of(folder: Path, out: Path) -> tuple[Tags, dict[str, pd.DataFrame]]:
    members = members_in([folder])
    statuses = [RunStatus(m.name, "done", "evaluate", 240, 240, "") for m in members]
    out.mkdir(exist_ok=True)
    write_study_report(Study("study", "why?", members), statuses, out)
    tables = {path.stem: pd.read_csv(path) for path in (out / "tables").glob("*.csv")}
    return Tags((out / PAGE).read_text(encoding="utf-8")), tables


@pytest.fixture(scope="module")
def report(planted, tmp_path_factory) -> tuple[Tags, dict[str, pd.DataFrame]]:
    return report_of(planted, tmp_path_factory.mktemp("report"))


@pytest.mark.slow
def test_every_question_has_its_section_and_its_numbers(report):
    page, tables = report
    for title in (
        "Which word is obeyed first?",
        "Do paths turn back?",
        "Is what lies near to training learned first?",
        "Is a combination the product of its concepts?",
        "How does the rest decay?",
    ):
        assert title in page.text
    assert {
        *("swings", "swing_counts", "coordinates", "orders", "obedience", "obedience_times"),
        *("typical_obedience_times", "obedience_laws", "distances", "distance_orders"),
        *("emergence", "emergence_cells", "growth", "terminal", "terminal_laws"),
    } <= {*tables}


@pytest.mark.slow
def test_all_instruments_see_that_nothing_turns_back(report):
    """Planted coordinates only rise, whoever reads them."""
    page, tables = report
    swings = tables["swings"]
    assert {*swings["instrument"]} == {"softmax", "sure", "oracle", "denoiser 0.2"}
    assert not swings["swings"].any() and len(swings) == 8 * (3 + 3 + 2 + 2)
    counts = tables["swing_counts"]
    assert (counts["swings"] == 0).all() and (counts["beyond"] == 0).all()
    together = counts["variant"] == "all"
    assert (counts["runs"] == np.where(together, 8, 4)).all()
    assert counts["untested"][~together].isna().all() and (counts["p"][~together] > 0.05).all()
    assert "turn back by more than their snapshots scatter is shown nowhere." in page.text


@pytest.mark.slow
def test_the_order_of_obedience_is_the_planted_one(report):
    """Color is learned after size at signal .2 and before it at .7, in time ∝ 1/signal."""
    page, tables = report
    orders = tables["orders"].set_index(["variant", "instrument", "first", "then"])["earlier"]
    for instrument in ("denoiser 0.2", "probe"):
        assert orders["color.signal 0.2", instrument, "size", "color"] == 4
        assert orders["color.signal 0.7", instrument, "color", "size"] == 4
    assert "color.signal 0.7: color before size in 4 of 4 seeds" in page.text
    laws = tables["obedience_laws"].set_index("measure").loc["color"]
    assert laws["low"] < -1 < laws["high"]
    assert "Level 0.2, shape: the level hides it" in page.text


@pytest.mark.slow
def test_what_is_learned_alike_is_not_told_apart(report):
    """Held out is one combination: of too few cells for the rules of emergence, and the page says
    so."""
    page, tables = report
    assert (tables["distance_orders"]["low"] < 0).all()
    assert (tables["distance_orders"]["high"] > 0).all()
    assert "no run has ten cells with a product from .1 to .9" in page.text
    assert (tables["emergence"]["seeds"] == 0).all()
    assert len(tables["emergence_cells"]) == 8 * SNAPSHOTS


@pytest.mark.slow
def test_what_was_found_in_each_run_is_kept_and_the_tables_are_the_same(tmp_path, monkeypatch):
    runs = [
        write_run(tmp_path / "runs", synthetic_config(f"r{seed}", seed, 0.2, SNAPSHOTS, IMAGES))
        for seed in range(2)
    ]
    measured: list[str] = []

    def swings(coordinates, *rest):
        measured.append(coordinates[0].run)
        return swing_table(coordinates, *rest)

    monkeypatch.setattr(seed_runs, "swing_table", swings)
    _, first = report_of(tmp_path / "runs", tmp_path / "out")
    _, again = report_of(tmp_path / "runs", tmp_path / "out")
    assert measured == ["r0", "r1"] and [*first] == [*again]
    for name, table in first.items():
        pd.testing.assert_frame_equal(table, again[name])
    measure_run(runs[1])  # its denoiser, and what the oracle reads
    _, after = report_of(tmp_path / "runs", tmp_path / "out")
    assert measured == ["r0", "r1", "r1"] and "obedience" in after


def test_what_is_not_measured_is_said_in_one_line(tmp_path):
    bare = tmp_path / "runs"
    write_run(bare, synthetic_config("s0.2-0", 0, 0.2, 3, 4))
    page, tables = report_of(bare, tmp_path / "out")
    assert "Not known: no run has all of its table denoiser" in page.text
    assert "needs 4 seeds, has 1" in page.text
    assert "No run can be judged: each needs 15 snapshots after the turn" in page.text
    assert "obedience" not in tables and {*tables["swings"]["instrument"]} == {"softmax", "sure"}


@pytest.mark.slow
def test_a_denoiser_that_cannot_be_read_is_left_out_and_the_report_says_so(tmp_path):
    folder = tmp_path / "runs"
    for seed in (0, 1):
        measure_run(write_run(folder, synthetic_config(f"r{seed}", seed, 0.7, 3, 4)))
    (part,) = (folder / "r1" / "denoiser.parquet").glob("step_00000010*")
    part.write_bytes(b"torn")
    page, tables = report_of(folder, tmp_path / "out")
    assert "r1: left out. " in page.text and "cannot read" in page.text
    assert {*tables["obedience_times"]["run"]} == {"r0"}
