"""scripts/run.py, and what adds to a finished run."""

import json

import pandas as pd
import pytest

from tests.harness.commands import SHORT, TINY, call


def test_a_finished_run_is_found_finished(runs):
    before = {p: p.stat().st_mtime_ns for p in (runs / "tiny").rglob("*.safetensors")}
    status, out, _ = call("run", "--config", TINY, "--runs", str(runs), *SHORT)
    assert status == 0
    assert "probe: found" in out and "train: finished before" in out
    assert "evaluate: finished before" in out and "held_out" in out
    assert before == {p: p.stat().st_mtime_ns for p in (runs / "tiny").rglob("*.safetensors")}


def test_another_experiment_under_the_same_name_is_refused(runs):
    arguments = ("--config", TINY, "--runs", str(runs), *SHORT, "--seed", "5")
    status, _, err = call("run", *arguments)
    assert status == 2 and "holds another experiment (seed: 0 → 5)" in err


@pytest.mark.slow
def test_the_report_follows_the_evaluation_it_is_asked_for(runs):
    """Not the newest file: back at the first settings, the first report. Both are evaluated before,
    since a report compares all ways of evaluating that there are."""
    command = ("run", "--config", TINY, "--runs", str(runs), *SHORT)
    report = runs / "tiny" / "report.html"
    texts = []
    for more in (["--evaluate.guidance-scale", "3.0"], []) * 2:
        status, _, err = call(*command, *more)
        assert status == 0, err
        texts.append(report.read_text())
    assert texts[1] == texts[3] != texts[2]


def test_the_run_directory_holds_what_was_promised(runs):
    run = runs / "tiny"
    status = json.loads((run / "status.json").read_text())
    assert (status["train"]["state"], status["evaluate"]["state"]) == ("done", "done")
    assert json.loads((run / "env.json").read_text())["world_size"] == 1
    assert (run / "probe" / "certificate.json").is_file()
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 8
    for name in ("accuracy", "trajectories", "samples"):
        assert (run / "figures" / f"{name}.png").stat().st_size > 5000
    html = (run / "report.html").read_text()
    assert "Does everything work?" in html and "http" not in html.split("</style>")[1]
    scores = pd.read_parquet(run / "scores.parquet")
    assert {*scores["probe"]} > {"oracle"}
    scores = scores[scores["probe"] != "oracle"]
    generated = scores[(scores["run"] == "tiny") & (scores["guidance_scale"] == 1)]
    assert sorted(generated["step"].unique()) == [0, 2, 4, 6, 8]
    assert len(generated) == (4 * 8 + 8) * 8 * 3
    assert (scores["run"] == "render").sum() == 8 * 8 * 3
    assert set(generated["split"]) == {"train", "held_out"}


@pytest.mark.slow
def test_figures_of_several_runs(runs, tmp_path):
    other = ("--config", TINY, "--runs", str(runs), *SHORT, "--seed", "1", "--name", "other")
    status, out, err = call("run", *other)
    assert status == 0, err
    assert "probe: found" in out  # of the same world, shared
    folders = [str(runs / name) for name in ("tiny", "other")]
    status, out, err = call("plot_trajectories", "--run", *folders, "--out", str(tmp_path))
    assert status == 0, err
    names = {path.name for path in tmp_path.glob("*.png")}
    of_each = {
        f"{kind}-{run}.png" for kind in ("samples", "instruments") for run in ("tiny", "other")
    }
    assert names == {"accuracy.png", "trajectories.png", "readouts.png", *of_each}
    assert "is learned, by probe: " in out and "Do tiny and other agree in last accuracy? " in out


@pytest.mark.slow
def test_a_later_evaluation_adds_to_the_scores(runs):
    run = runs / "tiny"
    before = {path.name for path in (run / "scores.parquet").glob("[!.]*")}
    arguments = ("--run", str(run), "--evaluate.guidance-scale", "2.0")
    status, out, err = call("evaluate", *arguments, "--evaluate.snapshots", "0")
    assert status == 0, err
    added = {path.name for path in (run / "scores.parquet").glob("[!.]*")} - before
    assert len(added) == 4 and all("-g2-" in name for name in added)
    assert "probe and oracle say the same, where neither is unsure: joint " in out
    status, out, _ = call("run", "--config", TINY, "--runs", str(runs), *SHORT)
    assert status == 0 and "evaluate: finished before" in out
    status, out, _ = call("evaluate", *arguments, "--evaluate.snapshots", "0")
    assert "finished before" in out
