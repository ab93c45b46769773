"""Evaluation on one process or several: the same files; later ones add to what is there."""

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pytest

from classifiers.scores import KEY
from data_gen.endings import Heard, Mistake, Preempted
from data_gen.files import hash_file, write_json
from diffusion.processes import Processes, build_accelerator
from diffusion.snapshots import step_directory
from diffusion.train_config import TrainConfig
from studies import stages, watching
from studies.config import Config, check_config, read_config
from studies.evaluate import Evaluator
from studies.findings import Findings
from studies.probing import load_run_probe
from studies.run_dir import RunDir
from studies.run_report import report_is_fresh
from studies.samples import save_tile
from studies.units import Job
from studies.verify import verify

T = TypeVar("T")
PARTS = 5  # true renders, snapshots 0, 2 and 4, the memoriser
TILES = 8  # two of each but the renders


def quiet(line: str) -> None:
    pass


def changed(config: Config, **evaluate) -> Config:
    return replace(config, evaluate=replace(config.evaluate, **evaluate))


@pytest.fixture(scope="module")
def config(root) -> Config:
    """8 × 9 images at each of three snapshots: two tiles, of 64 and of 8."""
    config = read_config(root / "configs" / "tiny.yaml")
    changes = {
        "world": {"num_images": 32},
        "train": {"max_steps": 4, "batch_size": 4, "snapshots": "0, 2", "state_every": 4},
        "probe": {"steps": 2, "gate": 0.0},
        "evaluate": {"num_inference_steps": 1, "snapshots": "0, 2", "images_per_combination": 9},
    }
    changes["train"]["threads"] = 1
    changes["evaluate"]["final_images_per_combination"] = 9
    parts = {name: replace(getattr(config, name), **new) for name, new in changes.items()}
    return replace(config, **parts)


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory) -> RunDir:
    """With its probe, nothing scored."""
    run = RunDir(tmp_path_factory.mktemp("runs") / "tiny")
    stages.claim(config, run)
    stages.probe_stage(config, run, quiet)
    stages.train_stage(config, run, quiet)
    return run


def copy(run: RunDir, folder: Path) -> RunDir:
    shutil.copytree(run.path.parent, folder, symlinks=True)
    return RunDir(folder / run.path.name)


@pytest.fixture
def run(trained, tmp_path) -> RunDir:
    return copy(trained, tmp_path / "runs")


@pytest.fixture(scope="module")
def scored(trained, config, tmp_path_factory) -> RunDir:
    """A copy that one process has scored."""
    run = copy(trained, tmp_path_factory.mktemp("scored") / "runs")
    stages.evaluate_stage(config, run, quiet)
    return run


def files(run: RunDir) -> dict[str, str]:
    """{path: SHA-256} of samples and scores, but for the hidden hashes of these."""
    found = [path for folder in (run.samples, run.scores) for path in folder.rglob("[!.]*")]
    return {str(p.relative_to(run.path)): hash_file(p) for p in sorted(found) if p.is_file()}


class Side(Processes):
    """One of several processes, played by a thread. One works at a time, between two meetings:
    libraries do not load models in several threads at once."""

    def __init__(self, rank: int, values: list, turn: threading.Lock, barrier: threading.Barrier):
        super().__init__(build_accelerator(TrainConfig(threads=1)))
        self.rank, self.world_size, self.is_main = rank, len(values), rank == 0
        self.values, self.turn, self.barrier = values, turn, barrier

    def gather(self, value):
        self.values[self.rank] = value
        self.turn.release()
        self.barrier.wait()
        values = list(self.values)
        self.barrier.wait()
        self.turn.acquire()
        return values


def sides(run: RunDir, config: Config, count: int) -> list[Evaluator]:
    barrier, turn = threading.Barrier(count, timeout=30), threading.Lock()
    values, world, probe = (
        [None] * count,
        check_config(config),
        load_run_probe(run, check_config(config)),
    )
    alike = [Side(rank, values, turn, barrier) for rank in range(count)]
    return [Evaluator(run, config, world, *probe, side) for side in alike]


def side_by_side(evaluators: list[Evaluator], work: Callable[[Evaluator], T]) -> list[T]:
    def in_turns(evaluator: Evaluator) -> T:
        with evaluator.processes.turn:
            return work(evaluator)

    with ThreadPoolExecutor(len(evaluators)) as pool:
        return [*pool.map(in_turns, evaluators)]


@pytest.mark.parametrize("count", [2, 3])
def test_sides_draw_and_score_what_one_process_does(run, scored, config, count):
    evaluators = sides(run, config, count)
    told: list[Job] = []

    def work(evaluator: Evaluator) -> None:
        tell = told.append if evaluator.processes.is_main else lambda job: None
        evaluator.evaluate(evaluator.missing(), tell=tell)

    side_by_side(evaluators, work)
    assert files(run) == files(scored)
    assert [job.line() for job in told] == [
        "render",
        *(f"step {step}, ema" for step in (0, 2, 4)),
        "memoriser",
    ]


@pytest.mark.parametrize(
    "error, heard", [(Preempted("asked"), Preempted), (Mistake("full"), Heard)]
)
def test_what_ends_one_side_ends_the_others(run, config, error, heard, monkeypatch):
    evaluators = sides(run, config, 2)

    def fail(plan):
        raise error

    monkeypatch.setattr(evaluators[1], "_drawer", fail)

    def work(evaluator: Evaluator) -> BaseException:
        with pytest.raises(type(error)) as raised:
            evaluator.evaluate(evaluator.missing())
        return raised.value

    first, second = side_by_side(evaluators, work)
    assert second is error and type(first) is heard and str(first) == str(error)
    assert [path.name for path in run.samples.rglob("*.npz")] == ["0-64.npz"]  # what was drawn


@pytest.fixture
def drawn(monkeypatch) -> Iterator[list[str]]:
    """The tiles that are drawn from here on."""
    names: list[str] = []

    def save(path, images):
        names.append(path.name)
        save_tile(path, images)

    monkeypatch.setattr("studies.evaluate.save_tile", save)
    yield names


def test_a_stopped_evaluation_goes_on_at_the_next_tile(run, scored, config, drawn):
    def work(evaluator: Evaluator) -> None:
        def check() -> None:
            if len(drawn) >= 3:
                raise Preempted("asked")

        with pytest.raises(Preempted):
            evaluator.evaluate(evaluator.missing(), check)

    side_by_side(sides(run, config, 1), work)
    assert len(drawn) == 3
    whats = [f.what for f in verify(run) if f.path.name.endswith(".tiles")]
    assert whats == [
        "drawn so far for an evaluation that is not finished; the same command goes on"
    ]
    stages.evaluate_stage(config, run, quiet)
    assert len(drawn) == TILES and files(run) == files(scored)


def test_samples_that_were_put_together_are_not_drawn_again(run, scored, config, drawn):
    """Killed between samples and scores, with tiles left over."""
    shutil.copytree(scored.samples, run.samples)
    left = next(run.samples.glob("step_00000002/*.npz")).with_suffix(".tiles")
    save_tile(left / "0-64.npz", np.zeros((1, 2, 2, 3), np.uint8))
    stages.evaluate_stage(config, run, quiet)
    assert not drawn and not left.exists() and files(run) == files(scored)


def test_another_probe_adds_scores_to_the_same_samples(run, scored, config, drawn):
    shutil.copytree(scored.samples, run.samples)
    shutil.copytree(scored.scores, run.scores)
    before = files(run)
    other = replace(config, probe=replace(config.probe, steps=3))
    stages.probe_stage(other, run, quiet)
    stages.evaluate_stage(other, run, quiet)
    assert not drawn and before.items() <= files(run).items()
    scores = pd.read_parquet(run.scores)
    assert scores["probe"].nunique() == 2 and len(files(run)) == len(before) + PARTS
    assert not scores.duplicated(list(KEY)).any()


@pytest.mark.parametrize(
    "change, tiles",
    [({"guidance_scale": 2.0}, 6), ({"sampler": "dpmsolver++"}, 8), ({"both_weights": True}, 6)],
    ids=["guidance", "sampler", "weights"],
)
def test_other_settings_add_to_what_is_there(run, scored, config, drawn, change, tiles):
    """The memoriser knows samplers, neither guidance nor weights."""
    shutil.copytree(scored.samples, run.samples)
    shutil.copytree(scored.scores, run.scores)
    before = files(run)
    stages.evaluate_stage(changed(config, **change), run, quiet)
    assert len(drawn) == tiles and before.items() <= files(run).items()
    assert [f.line() for f in verify(run) if f.level != "note"] == []


def test_both_weights_are_scored_and_never_mixed(run, config, tmp_path):
    both = changed(config, both_weights=True)
    stages.evaluate_stage(both, run, quiet)
    scores = pd.read_parquet(run.scores)
    counts = scores[scores["run"] == "tiny"].groupby("weights").size()
    assert counts["ema"] == counts["raw"] == 3 * 8 * 9 * 3
    said: list[str] = []
    stages.report_stage(both, run, said.append)
    tables = [line for line in said if "[95 % interval]" in line]
    assert [", ema [" in t for t in tables] == [True, False] and ", raw [" in tables[1]
    shown = Findings([run], [both], check_config(both))
    assert {*shown.scores["weights"]} == {"ema", "none"}
    assert shown.weights().startswith("ema shown; raw: joint accuracy train 0.")
    assert "ema shown; raw: joint" in run.report.read_text()
    assert report_is_fresh(shown)
    other = copy(run, tmp_path / "raw")
    raw = replace(changed(config, weights="raw"), name="other")
    (other.path / "config.yaml").write_text(stages.to_yaml(raw))
    stages.plot_runs([run.path, other.path], tmp_path / "figures")
    names = {path.name for path in (tmp_path / "figures").glob("samples*.png")}
    assert names == {"samples-tiny, ema.png", "samples-other, raw.png"}


class Training:
    """Plays a training at work: whenever the watch waits, its next snapshot appears."""

    def __init__(self, run: RunDir, end: str):
        self.run, self.end, self.hidden = run, end, run.path / "hidden"
        self.steps = [2, 4]
        self.hidden.mkdir()
        for step in self.steps:
            shutil.move(step_directory(run.snapshots, step), self.hidden)
        self.state("running")

    def state(self, state: str) -> None:
        write_json(self.run.path / "status.json", {"train": {"state": state, "why": "no disk"}})

    def wait(self, seconds, check) -> None:
        check()
        if self.steps:
            shutil.move(step_directory(self.hidden, self.steps.pop(0)), self.run.snapshots)
        else:
            self.state(self.end)


@pytest.fixture
def watch(run, config, monkeypatch):
    """Watches a training that ends as is asked for; returns what was said."""

    def start(end: str, appear: int) -> list[str]:
        training, said = Training(run, end), []
        del training.steps[appear:]
        monkeypatch.setattr(watching, "_wait", training.wait)
        monkeypatch.setattr(RunDir, "is_held", lambda run, writer: _works(run))
        try:
            stages.evaluate_stage(config, run, said.append, watch_seconds=1.0)
        finally:
            said += [str(run.status_of("evaluate"))]
        return said

    return start


def _works(run: RunDir) -> bool:
    return run.state_of("train") == "running"


def test_a_watch_scores_what_appears_until_training_is_done(watch, run, scored):
    *said, status = watch("done", appear=2)
    assert said[1:] == [
        f"evaluate: {what}: scored, {number} of {PARTS}"
        for number, what in enumerate(
            ["render", "step 0, ema", "step 2, ema", "step 4, ema", "memoriser"], 1
        )
    ] + [f"evaluate: scored {PARTS} of {PARTS} parts"]
    assert "'done'" in status and files(run) == files(scored)


@pytest.mark.parametrize(
    "end, error, message",
    [
        ("failed", Mistake, r"training of .*tiny has failed \(no disk\); scored 3 of 5 parts"),
        ("preempted", Preempted, "training of .*tiny was stopped before its end; scored 3 of 5"),
        ("done", Mistake, "the snapshot of step 4 is not in .*; there are 0, 2"),
    ],
)
def test_a_watch_ends_with_its_training_and_says_how(watch, run, end, error, message):
    with pytest.raises(error, match=message):
        watch(end, appear=1)
    assert run.state_of("evaluate") == ("preempted" if error is Preempted else "failed")
    assert sorted(path.name for path in run.samples.glob("step*")) == [
        "step_00000000",
        "step_00000002",
    ]


def test_the_state_of_a_training_is_that_of_its_process(trained, tmp_path):
    run = RunDir(tmp_path / "tiny")
    assert watching.training_state(run) == "none"
    with run.locked("train"):
        assert watching.training_state(run) == "running"
    write_json(run.path / "status.json", {"train": {"state": "running"}})
    assert watching.training_state(run) == "killed"
    assert watching.training_state(trained) == "done"


def test_a_watch_is_asked_to_stop_while_it_waits():
    def check():
        raise Preempted("asked")

    with pytest.raises(Preempted, match="asked"):
        watching._wait(60.0, check)
