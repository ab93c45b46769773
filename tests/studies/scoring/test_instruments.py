"""Two instruments beside each other: their rows, what is said of them, pictures, the report."""

import re

import numpy as np
import pandas as pd
import pytest

from classifiers.scores import read_facts, read_part, write_part
from studies import stages
from studies.findings.certificate_facts import certificate_facts
from studies.findings.instruments import agreement_lines, instrument_figures
from studies.findings.run_findings import Findings
from studies.run.certificate import read_certificate
from studies.run.opened import Experiment
from studies.run.plans import shown_plans
from studies.run.samples import load_samples
from tests.harness.evaluations import changed, copy

LAST, ORACLE = "step_00000004", "oracle"


def part(run, instrument: str):
    parts = run.scores.glob(f"{LAST}*")
    (path,) = (p for p in parts if (ORACLE in p.name) == (instrument == ORACLE))
    return path


@pytest.fixture
def run(scored, tmp_path):
    return copy(scored, tmp_path / "runs")


@pytest.fixture
def parted(run, config):
    """The last snapshot read as asked by both, but for three images: of one the probe reads
    another shape, of one it is unsure, of one the oracle reads another color."""
    others = {"probe": {5: ("shape", "circle"), 6: ("shape", None)}, ORACLE: {7: ("color", "blue")}}
    for instrument, changes in others.items():
        path = part(run, instrument)
        scores = read_part(path)
        scores["predicted"] = scores["target"]
        own = scores["combination"] == "square red small"
        for sample, (concept, value) in changes.items():
            chosen = own & (scores["sample"] == sample) & (scores["concept"] == concept)
            scores.loc[chosen, "predicted"] = value
        write_part(path, scores, read_facts(path))
    return run


def test_both_read_the_same_images(scored):
    table = pd.read_parquet(scored.scores)
    by_oracle = table["probe"] == ORACLE
    same = ["run", "step", "weights", "combination", "split", "sample", "concept", "target"]
    tables = (table.loc[by_oracle, same], table.loc[~by_oracle, same])
    rows = [{*rows.itertuples(index=False, name=None)} for rows in tables]
    assert rows[0] == rows[1] and len(rows[0]) == by_oracle.sum()
    renders = table[by_oracle & (table["run"] == "render")]
    assert (renders["predicted"] == renders["target"]).mean() > 0.99
    assert table[~by_oracle]["p_target"].notna().all()


def test_what_is_said_of_the_last_snapshot(parted, config):
    line, table = agreement_lines(Experiment(config, parted))
    assert "where neither is unsure: joint 0.972 [0.902, 0.997] of 71, shape 0.986 " in line
    assert " color 0.986 [0.925, 1.000] of 72, size 1.000 " in line
    assert line.endswith("unsure of 72 images: probe 1.4%, oracle 0.0%")
    title, header, *rows = table.strip().splitlines()
    assert title == "read as asked by both, where neither is unsure"
    assert header.split() == ["step", "sure", "shape", "color", "size"]
    assert len(rows) == len(shown_plans(config))
    assert agreement_lines(Experiment(changed(config, oracle=False), parted)) == []


def test_pictures_are_of_the_images_in_which_they_part(parted, config):
    world = config.terms.terms
    figures = instrument_figures(Experiment(config, parted))
    assert list(figures) == ["certificate", "agreement", "disagreements"]
    (samples,) = parted.samples.glob(f"{LAST}/*.npz")
    images = load_samples(samples)[world.space.index(("square", "red", "small"))]
    panels = figures["disagreements"].axes
    assert [panel.get_xlabel().splitlines()[1:] for panel in panels] == [
        ["probe: circle", "oracle: as asked"],
        ["probe: as asked", "oracle: blue"],
    ]
    for panel, k in zip(panels, (5, 7), strict=True):
        assert np.array_equal(panel.get_images()[0].get_array(), images[k])


@pytest.mark.slow
def test_figures_of_disagreement_go_when_there_is_none(parted, config):
    findings = Findings([Experiment(config, parted)])
    findings.draw(parted.figures)
    assert (parted.figures / "disagreements.png").is_file()
    for instrument in ("probe", ORACLE):
        path = part(parted, instrument)
        write_part(path, read_part(path).assign(predicted="circle"), read_facts(path))
    figures = Findings([Experiment(config, parted)]).draw(parted.figures)
    assert "disagreements" not in figures and "agreement" in figures
    assert not [*parted.figures.glob("disagreements*")]


@pytest.mark.slow
def test_the_report_shows_the_instruments_and_its_tables_are_the_probes(parted, config):
    said: list[str] = []
    stages.report_stage(Experiment(config, parted), said.append)
    assert agreement_lines(Experiment(config, parted))[0] in said
    html = parted.report.read_text()
    instruments = html[html.index("The instruments that read the images") :]
    assert instruments.count("<figure>") == 3
    assert "At the last snapshot: joint 0.972 [0.902, 0.997] of 71, " in instruments
    words = (
        "clean accuracy, on 64 true renders",
        "calibration error",
        "confusion",
        "unsure: share",
    )
    assert "When each concept is read right" in html
    for word in (*words, "agreement with the oracle", "under noise and blur"):
        assert word in instruments, word
    findings = Findings([Experiment(config, parted)])
    assert ORACLE not in {*findings.scores["probe"]}
    stages.report_stage(Experiment(changed(config, oracle=False), parted), said.append)
    assert parted.report.read_text().count("<figure>") == html.count("<figure>") - 2


def test_the_certificate_in_words(scored):
    facts = certificate_facts(read_certificate(scored))
    (confusion,) = [value for name, value in facts.items() if name.startswith("confusion")]
    for row in confusion["shape"].values():
        counts = [int(count) for count in re.findall(r"(\d+) (?:circle|square)", row)]
        assert len(counts) == 2 and sum(counts) == 32
