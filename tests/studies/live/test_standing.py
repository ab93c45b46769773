"""How far a run is: read off its files, on one line."""

import json

import pytest

from studies.drawing.over_training import MOST_COLUMNS, thinned
from studies.live.progress import SAMPLES, Teller
from studies.live.standing import Follower, duration, last_rows
from studies.run.directory import RunDir
from studies.run.opened import Experiment
from studies.run.plans import shown_plans


def follower(run: RunDir) -> Follower:
    return Follower(Experiment.of_run(run))


def test_stages_follow_what_is_there(growing):
    run, follow = growing.run, follower(growing.run)
    now = follow.standing()
    assert (now.stage, now.step, now.of_steps) == ("evaluate", 1200, 1200)
    assert 0 < now.scored < now.of_parts and now.seconds_left
    growing.score(to=1200)
    assert follow.standing().stage == "report" and follow.standing().seconds_left == 0
    run.report.write_text("written now")
    assert follow.standing().stage == "done"
    with run.locked("train"):
        assert follow.standing().stage == "train"
    run.set_state("train", "failed", why="no room")
    assert follow.standing().stage == "failed"


def test_time_left_is_that_of_training_and_evaluation(growing):
    run = growing.run
    rows = [{"step": step, "seconds": 2.0, "images_per_second": 0} for step in (0, 10, 20)]
    (run.path / "timings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run.path / "metrics.jsonl").write_text('{"step": 20, "loss": 0.25}\n')
    for part in run.path.glob("*.parquet/*"):
        part.unlink()
    with run.locked("train"):
        now = follower(run).standing()
    assert now.images_per_second == 20 * 64 / 4
    training = (1200 - 20) * 64 / 320
    evaluating = follower(run).evaluations / 3 / 320
    assert now.seconds_left == pytest.approx(training + evaluating) and evaluating > 1
    assert now.line().startswith("train: step 20 of 1,200, loss 0.2500, 320 images/s, about ")
    assert now.line().endswith(" min left")


def test_before_the_probe_is_there_no_part_has_a_name(growing):
    growing.run.probe.unlink()
    growing.run.set_state("train", "done")
    now = follower(growing.run).standing()
    assert (now.scored, now.of_parts, now.seconds_left) == (0, 0, None)


def test_only_whole_rows_at_the_end_count(tmp_path):
    log = tmp_path / "log.jsonl"
    assert last_rows(log, 2) == []
    log.write_text("".join(f'{{"step": {step}, "long": "{"x" * 999}"}}\n' for step in range(200)))
    with log.open("a") as stream:
        stream.write('{"step": 2')
    assert [row["step"] for row in last_rows(log, 2)] == [198, 199]


@pytest.mark.parametrize(
    ("seconds", "text"), [(50, "50 s"), (100, "2 min"), (5340, "89 min"), (5400, "1 h 30 min")]
)
def test_a_time_is_said_as_people_say_it(seconds, text):
    assert duration(seconds) == text


def test_a_line_is_told_and_first_samples_are_named_once(growing):
    said: list[str] = []
    teller = Teller(Experiment.of_run(growing.run), said.append)
    teller.tell()
    teller.tell()
    assert said[0].endswith(f"; samples so far: {growing.run.figures / SAMPLES}")
    assert teller.sheet.is_file() and "samples" not in said[1]
    growing.score(to=1200)
    teller.tell()
    assert len(said) == 2  # the report is being written: nothing to tell


def test_at_most_so_many_snapshots_are_drawn(growing):
    plans = shown_plans(growing.run.read_config())
    few = thinned(plans)
    assert len(few) == MOST_COLUMNS and (few[0], few[-1]) == (plans[0], plans[-1])
    assert thinned(plans[:3]) == plans[:3]
