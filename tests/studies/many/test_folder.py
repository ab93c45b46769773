"""A study's folder: whose it is, what may change in it, and how its runs stand."""

import os
from pathlib import Path

import pytest

from ground.endings import Mistake
from ground.files import read_json, write_json
from studies.experiment.config import to_yaml
from studies.many.folder import WHOLE, StudyFolder
from studies.many.progress import summary, table
from studies.many.study import StudyConfig, read_study
from tests.harness.studies import write_study

NAMES = [f"learning_rate={rate}-seed{seed}" for rate in ("0.003", "0.001") for seed in (0, 1)]


def planned(tmp_path: Path, **changes) -> StudyConfig:
    return read_study(write_study(tmp_path, **changes))


@pytest.fixture
def folder(tmp_path) -> StudyFolder:
    folder = StudyFolder(tmp_path / "runs" / "nano")
    folder.claim(planned(tmp_path))
    return folder


def begin(folder: StudyFolder, study: StudyConfig, name: str = NAMES[0]) -> None:
    """Let a run have begun: its config, and a row of its training."""
    (run,) = [run for run in study.runs if run.name == name]
    folder.run(name).path.mkdir()
    folder.run(name).config_file.write_text(to_yaml(run.config))
    (folder.run(name).path / "metrics.jsonl").write_text('{"step": 3}\n{"step": 4}\n{"step"')


def record(folder: StudyFolder, name: str, state: str, **facts) -> None:
    folder.run(name).path.mkdir(exist_ok=True)
    entry = {"state": state, "pid": os.getpid(), **facts}
    write_json(folder.run(name).path / "status.json", {WHOLE: entry})


def plan(folder: StudyFolder, name: str) -> str:
    return next(row["plan"] for row in read_json(folder.file)["runs"] if row["name"] == name)


def states(folder: StudyFolder) -> dict[str, str]:
    return {status.name: status.state for status in folder.read_status()}


def test_what_is_read_back_is_what_was_planned(folder, tmp_path):
    study = folder.read()
    assert (study.name, study.question) == ("nano", "Does it run?")
    assert [run.name for run in study.runs] == NAMES
    last = study.runs[-1]
    assert last.settings == {"train.learning_rate": 0.001} and last.seed == 1
    assert last.run.path == tmp_path / "runs" / "nano" / NAMES[-1]


def test_runs_wait_until_somebody_takes_them(folder, tmp_path):
    assert states(folder) == dict.fromkeys(NAMES, "waiting")
    assert folder.open_runs(planned(tmp_path)) == list(planned(tmp_path).runs)
    assert summary(folder.read_status()) == "4 runs: 4 waiting"


def test_every_state_is_told_apart(folder, tmp_path):
    study = planned(tmp_path)
    begin(folder, study)
    record(folder, NAMES[0], "running", plan="x")
    record(folder, NAMES[1], "done", plan=plan(folder, NAMES[1]))
    facts = {"plan": plan(folder, NAMES[2]), "why": "loss is nan", "error": "Diverged"}
    record(folder, NAMES[2], "failed", **facts)
    record(folder, NAMES[3], "preempted", plan="x", why="stopped", error="Preempted")
    assert [*states(folder).values()] == ["lost", "done", "diverged", "preempted"]
    assert [run.name for run in folder.open_runs(study)] == [NAMES[0], NAMES[3]]
    first = table(folder.read_status()).splitlines()[0]
    assert first.startswith(NAMES[2]) and first.endswith("loss is nan")
    with folder.run(NAMES[0]).locked(WHOLE):
        status = folder.read_status()[0]
        assert (status.state, status.step, status.of_steps) == ("running", 4, 8)
        assert not folder.is_open(study.runs[0])


def test_what_was_done_by_another_plan_is_done_again(folder, tmp_path):
    for name, state in ((NAMES[0], "done"), (NAMES[1], "failed")):
        record(folder, name, state, plan="of an evaluation of another day")
    assert set(states(folder).values()) == {"waiting"}


def test_a_fault_of_the_machine_is_no_fault_of_the_run(folder, tmp_path):
    facts = {"plan": plan(folder, NAMES[0]), "why": "No space left on device"}
    record(folder, NAMES[0], "failed", error="OSError", **facts)
    record(folder, NAMES[1], "failed", error="Mistake", **{**facts, "plan": plan(folder, NAMES[1])})
    assert states(folder)[NAMES[0]] == "failed"
    assert [run.name for run in folder.open_runs(planned(tmp_path))] == [NAMES[0], *NAMES[2:]]


def test_what_has_failed_is_opened_again_on_request(folder, tmp_path):
    record(folder, NAMES[0], "failed", plan=plan(folder, NAMES[0]), why="no", error="Mistake")
    assert folder.open_again() == [NAMES[0]]
    assert states(folder)[NAMES[0]] == "waiting"


def test_a_process_is_told_by_what_it_has_taken(folder):
    record(folder, NAMES[0], "running")
    record(folder, NAMES[1], "done")
    assert [name for name, _ in folder.taken_by(os.getpid())] == [NAMES[0]]
    with folder.run(NAMES[0]).locked(WHOLE):  # another process goes on with it
        assert not list(folder.taken_by(os.getpid()))


def test_seeds_and_variants_may_be_added_and_what_has_not_begun_may_go(folder, tmp_path):
    begin(folder, planned(tmp_path))
    more = planned(tmp_path, seeds=3, changes="grid: {train.learning_rate: [0.003, 0.002]}")
    folder.claim(more)
    assert len(folder.read().runs) == 6


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"base": "{train: {max_steps: 8, batch_size: 4}, world.num_images: 64}"},
            "begin.*learning_rate=0.003-seed0: .*world.image_size_px: 8 → 16",
        ),
        (
            {"changes": "grid: {train.learning_rate: [0.002, 0.001]}"},
            "learning_rate=0.003-seed0: is not in it any more; undo the change, or give",
        ),
    ],
)
def test_a_study_that_is_changed_under_its_runs_is_refused(folder, tmp_path, changes, message):
    begin(folder, planned(tmp_path))
    before = folder.file.read_bytes()
    with pytest.raises(Mistake, match=message.replace("begin", "after its runs began")):
        folder.claim(planned(tmp_path, **changes))
    assert folder.file.read_bytes() == before


def test_the_runs_of_another_study_are_left_alone(tmp_path):
    folder = StudyFolder(tmp_path / "runs" / "nano")
    folder.path.mkdir(parents=True)
    study, other = planned(tmp_path), planned(tmp_path, base="{train.batch_size: 16}")
    begin(folder, other)
    with pytest.raises(Mistake, match="is not of this study .*train.batch_size: 16 → 8"):
        folder.claim(study)
    assert not folder.file.exists()
    folder.claim(other)  # whose runs they are


def test_a_directory_that_is_no_run_is_left_alone(tmp_path):
    folder = StudyFolder(tmp_path / "runs" / "nano")
    folder.run(NAMES[0]).path.mkdir(parents=True)
    (folder.run(NAMES[0]).path / "notes.txt").write_text("mine")
    with pytest.raises(Mistake, match="is not of this study .no run.; move it away"):
        folder.claim(planned(tmp_path))


def test_a_folder_without_a_study_says_so(tmp_path):
    with pytest.raises(Mistake, match="holds no study .no study.json.; sweep.py run begins one"):
        StudyFolder(tmp_path).read_status()
