"""Folder of a study, runs/<name>: what is planned, whose it is, and how each run stands. Imports no
torch.

    study.json            question and runs, with settings, seed and what makes each this experiment
    <run>/                the run directories, with log.txt
    .shared/              probes and oracles' limits, one per world
    slots/ slurm/         what the processes and tasks that work at it print
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ground.endings import Mistake
from ground.files import read_json, write_json
from ground.locks import locked
from studies.experiment.identity import differences, identity
from studies.many.study import PlannedRun, StudyConfig
from studies.run.directory import RunDir
from studies.run_sets.members import RunStatus, State, Study, StudyRun

WHOLE = "run"  # who writes a whole run, all stages, in status.json
OPEN: tuple[State, ...] = ("waiting", "preempted", "lost")  # what whoever works may take
TAIL_BYTES = 1 << 16  # of metrics.jsonl, more than its longest row
MACHINE = ("OSError", "NoRoom", "Held")  # errors of a full disk and such: no fault of the run


class StudyFolder:
    """Folder of one study: runs/<name> of many runs."""

    def __init__(self, path: Path):
        self.path = path
        self.file = path / "study.json"
        self.slots = path / "slots"
        self.slurm = path / "slurm"

    def run(self, name: str) -> RunDir:
        """Return the directory of a run."""
        return RunDir(self.path / name)

    def claim(self, study: StudyConfig) -> None:
        """Record the study. Raises Mistake if it was changed for runs that have begun, or if a
        directory is not its own."""
        if RunDir(self.path).config_file.is_file():
            raise Mistake(f"{self.path}: is a run directory, no study's folder; rename the study")
        with locked(self.path / ".study.lock", wait=True):
            known = {row["name"]: row for row in self._rows()} if self.file.is_file() else {}
            self._check_begun(study, known)
            for planned in study.runs:
                if planned.name not in known:
                    self._check_own(planned)
            record = {
                "name": study.name,
                "question": study.question,
                "runs": [_row(planned) for planned in study.runs],
            }
            if not self.file.is_file() or read_json(self.file) != record:
                write_json(self.file, record)

    def _check_begun(self, study: StudyConfig, known: Mapping[str, Any]) -> None:
        """Raise Mistake if the study changes a run that has begun, or drops it."""
        planned = {run.name: run for run in study.runs}
        for name, row in known.items():
            own = planned.get(name)
            if (own and own.identity == row["identity"]) or not self.run(name).has_begun():
                continue
            how = _changes(self.run(name), own) if own else "is not in it any more"
            if how:
                raise Mistake(
                    f"{self.path}: the study was changed after its runs began: {name}: {how}; undo "
                    f"the change, or give the study another name"
                )

    def _check_own(self, planned: PlannedRun) -> None:
        """Raise Mistake if a directory that the study does not know holds something else."""
        run = self.run(planned.name)
        if run.config_file.is_file():
            how = _changes(run, planned)
        else:
            others = run.path.is_dir() and any(run.path.glob("[!.]*"))
            how = "no run" if others else ""
        if how:
            raise Mistake(
                f"{run.path}: is not of this study ({how}); move it away, or give the study "
                f"another name"
            )

    def _rows(self) -> list[dict[str, Any]]:
        if not self.file.is_file():
            raise Mistake(f"{self.path}: holds no study (no study.json); sweep.py run begins one")
        return read_json(self.file)["runs"]

    def read(self) -> Study:
        """Read what is planned. Raises Mistake if the folder holds no study."""
        rows, record = self._rows(), read_json(self.file)
        runs = [
            StudyRun(r["name"], r["variant"], r["settings"], r["seed"], self.run(r["name"]))
            for r in rows
        ]
        return Study(record["name"], record["question"], tuple(runs))

    def read_status(self) -> list[RunStatus]:
        """Return how each run stands, in the order of the plan. Raises Mistake if the folder holds
        no study."""
        return [self._status(row) for row in self._rows()]

    def _status(self, row: Mapping[str, Any]) -> RunStatus:
        run = self.run(row["name"])
        state = self.state_of(run.path.name, row["plan"])
        why = run.status_of(WHOLE).get("why", "") if state not in ("waiting", "running") else ""
        step = row["max_steps"] if run.state_of("train") == "done" else _last_step(run)
        return RunStatus(row["name"], state, _stage(run, state), step, row["max_steps"], why)

    def state_of(self, name: str, plan: str) -> State:
        """Return how a run stands to a plan: what is done or failed by another one waits."""
        run = self.run(name)
        if run.is_held(WHOLE):
            return "running"
        status = run.status_of(WHOLE)
        state = status.get("state", "waiting")
        if state == "running":
            return "lost"  # its process is gone
        if state in ("done", "failed") and status.get("plan") != plan:
            return "waiting"
        return "diverged" if status.get("error") == "Diverged" and state == "failed" else state

    def is_open(self, planned: PlannedRun) -> bool:
        """Return whether a run is to be taken by whoever works at the study."""
        state = self.state_of(planned.name, planned.plan)
        error = self.run(planned.name).status_of(WHOLE).get("error")
        return state in OPEN or (state == "failed" and error in MACHINE)

    def open_runs(self, study: StudyConfig) -> list[PlannedRun]:
        """Return the runs that are to be taken, in the order of the plan."""
        return [planned for planned in study.runs if self.is_open(planned)]

    def open_again(self) -> list[str]:
        """Let runs that failed or diverged wait for another try; returns their names."""
        names = [s.name for s in self.read_status() if s.state in ("failed", "diverged")]
        for name in names:
            self.run(name).set_state(WHOLE, "waiting")
        return names

    def taken_by(self, pid: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the runs that a process which has ended wrote last and did not finish, with their
        status."""
        for row in self._rows():
            run = self.run(row["name"])
            status = run.status_of(WHOLE)
            unfinished = status.get("pid") == pid and status["state"] in ("running", "failed")
            if unfinished and not run.is_held(WHOLE):
                yield row["name"], status


def _row(planned: PlannedRun) -> dict[str, Any]:
    """Return what study.json says of a run, as JSON reads it back."""
    row = {
        "name": planned.name,
        "variant": planned.variant,
        "settings": planned.settings,
        "seed": planned.seed,
        "identity": planned.identity,
        "plan": planned.plan,
        "max_steps": planned.config.train.max_steps,
    }
    return json.loads(json.dumps(row))


def _changes(run: RunDir, planned: PlannedRun) -> str:
    """Return how a plan differs from what a run directory holds, but for what is found out when it
    starts."""
    old, new = identity(run.read_config()), identity(planned.config)
    new["world"]["contents"] = old["world"].get("contents")
    if new["train"]["precision"] == "auto":
        new["train"]["precision"] = old["train"]["precision"]
    return "; ".join(differences(old, new))


def _stage(run: RunDir, state: State) -> str:
    """Return the stage at which a run is, or was when it ended; empty of one that never began."""
    if state == "waiting":
        return ""
    if run.state_of("train") == "done":
        return "evaluate"
    return "train" if run.state_of("train") else "probe"


def _last_step(run: RunDir) -> int:
    """Return the step of the last whole row of metrics.jsonl; 0 if there is none."""
    try:
        with (run.path / "metrics.jsonl").open("rb") as stream:
            stream.seek(max(0, stream.seek(0, 2) - TAIL_BYTES))
            rows = stream.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return 0
    return json.loads(rows[-1])["step"] if rows else 0
