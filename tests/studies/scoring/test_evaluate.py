"""Evaluation on one process or several, in one go or several: the same files."""

import shutil

import numpy as np
import pytest

from ground.endings import Heard, Mistake, Preempted
from studies import stages
from studies.drawing.generate import draw
from studies.run.opened import Experiment
from studies.run.samples import save_tile
from studies.scoring.evaluate import Evaluator
from studies.scoring.units import Job
from studies.verify.verify import verify
from tests.harness.evaluations import files, quiet, side_by_side, sides

TILES = 8  # two of each but the renders


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
    stages.evaluate_stage(Experiment(config, run), quiet)
    assert len(drawn) == TILES and files(run) == files(scored)


def test_samples_that_were_put_together_are_not_drawn_again(run, scored, config, drawn):
    """Killed between samples and scores, with tiles left over."""
    shutil.copytree(scored.samples, run.samples)
    left = next(run.samples.glob("step_00000002/*.npz")).with_suffix(".tiles")
    save_tile(left / "0-64.npz", np.zeros((1, 2, 2, 3), np.uint8), None)
    stages.evaluate_stage(Experiment(config, run), quiet)
    assert not drawn and not left.exists() and files(run) == files(scored)


@pytest.mark.parametrize("lost", ["step_00000002*-oracle.parquet", "render-*-n9-[!o]*.parquet"])
def test_a_part_that_is_lost_is_read_again_alone(run, scored, config, drawn, lost):
    """Killed between what the probe reads and what the oracle reads, or the other way round."""
    for folder in ("samples", "scores.parquet"):
        shutil.copytree(scored.path / folder, run.path / folder)
    (part,) = run.scores.glob(lost)
    part.unlink()
    times = {path: path.stat().st_mtime_ns for path in run.scores.glob("[!.]*")}
    said: list[str] = []
    stages.evaluate_stage(Experiment(config, run), said.append)
    assert said == ["evaluate: scored 1 of 10 parts"] and not drawn
    assert times == {path: path.stat().st_mtime_ns for path in times} and files(run) == files(
        scored
    )


@pytest.mark.parametrize(
    "drawer, made_by",
    [
        ("diffusion.pipeline", "step_00000000: sampler ddim with 1 steps"),
        ("studies.scoring.baselines", "memoriser: sampler ddim with 1 steps"),
    ],
)
def test_what_is_not_finite_is_neither_kept_nor_scored(run, config, drawer, made_by, monkeypatch):
    monkeypatch.setattr(f"{drawer}.sample", lambda denoise, sampler, x_T, check: x_T / 0)
    with pytest.raises(Mistake, match=f"{made_by} drew numbers that are not finite in 64 of 64"):
        stages.evaluate_stage(Experiment(config, run), quiet)
    spoilt = "memoriser" if drawer == "studies.scoring.baselines" else "step_"
    assert not [path for path in run.samples.rglob("*.npz") if spoilt in str(path.parent)]
    assert not [path for path in run.scores.glob("*") if path.name.startswith(spoilt)]


def test_what_is_not_finite_is_not_drawn_from_prompts(run, config, monkeypatch):
    monkeypatch.setattr(
        "diffusion.pipeline.sample", lambda denoise, sampler, x_T, check: 0 * x_T / 0
    )
    with pytest.raises(
        Mistake, match="step_00000004: sampler ddim with 1 .* in 2 of 2 images; use"
    ):
        draw(Experiment(config, run), ["a red circle"], steps=[4], num_images=2)
