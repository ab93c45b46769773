"""Guidance and composition are refused where the null condition was never learned."""

from dataclasses import replace

import pytest

from diffusion.train_config import InitFrom
from ground.endings import Mistake
from ground.files import write_json, write_text
from studies import stages
from studies.experiment.config import Config, read_config, to_yaml
from studies.experiment.identity import identity
from studies.run.directory import RunDir
from studies.run.null_condition import check_null, check_prompt, null_is_learned
from studies.run.opened import Experiment


@pytest.fixture(scope="module")
def tiny(root) -> Config:
    return read_config(root / "configs" / "tiny.yaml")


def trained_with(config: Config, cond_dropout: float, **train) -> Config:
    return replace(config, train=replace(config.train, cond_dropout=cond_dropout, **train))


def asking(config: Config, **evaluate) -> Config:
    return replace(config, evaluate=replace(config.evaluate, **evaluate))


NEEDY = [
    ({"guidance_scale": 3.0}, "^evaluate.guidance_scale: got 3, allowed 1 with train.cond_dropout"),
    ({"guidance_scale": 0.0}, "^evaluate.guidance_scale: got 0, allowed 1 with train.cond_dropout"),
    ({"prompts": {"pairs": "a {color} AND a {shape}"}}, "^evaluate.prompts.pairs: got 'a {color} "),
    (
        {"prompts": {"more": "a {color}:2"}},
        "^evaluate.prompts.more: got 'a {color}:2', allowed one",
    ),
]


@pytest.mark.parametrize("evaluate, message", NEEDY)
def test_what_needs_an_unlearned_null_is_refused_before_any_work(tiny, tmp_path, evaluate, message):
    run = RunDir(tmp_path / "tiny")
    config = asking(trained_with(tiny, 0.0), **evaluate)
    for stage in (stages.run_experiment, stages.train_stage, stages.evaluate_stage):
        with pytest.raises(Mistake, match=message):
            stage(Experiment(config, run), print)
    assert not list(run.path.glob("[!.]*"))
    check_null(asking(tiny, **evaluate), run)  # which drops conditions


def test_what_needs_no_null_is_allowed(tiny, tmp_path):
    config = asking(trained_with(tiny, 0.0), prompts={"part": "a {color} {shape}"})
    run = RunDir(tmp_path / "tiny")
    check_null(config, run)
    check_prompt(config, run, "a red circle", 1.0)
    check_prompt(config, run, "a red circle:2", 0.5)  # of weight 1 in all
    for prompt, scale in (("a red circle", 2.0), ("red AND NOT small", 1.0), ("", 1.0)):
        with pytest.raises(Mistake, match=f"^prompt '{prompt}' with guidance_scale {scale:g}: all"):
            check_prompt(config, run, prompt, scale)


def made(config: Config, path, lineage=None) -> RunDir:
    run = RunDir(path)
    write_text(run.config_file, to_yaml(config))
    if lineage is not None:
        write_json(run.lineage, lineage)
    return run


def descent(config: Config, step: int, lineage=None) -> dict:
    return {"step": step, "config": identity(config), "lineage": lineage}


def test_a_null_that_an_ancestor_learned_is_learned(tiny, tmp_path):
    """Whether the run has begun, and has its lineage.json, or not; from step 0 nothing comes."""
    learned, unlearned = trained_with(tiny, 0.1), trained_with(tiny, 0.0)
    source = made(learned, tmp_path / "source")
    between = made(unlearned, tmp_path / "between", descent(learned, 8))
    other = made(unlearned, tmp_path / "other", descent(unlearned, 8))
    for parent, step, expected in (
        (source, 8, True),
        (source, 0, False),
        (between, 8, True),
        (other, 8, False),
        (RunDir(tmp_path / "gone"), 8, True),  # training says that it is not there
    ):
        tuned = trained_with(tiny, 0.0, init_from=InitFrom(str(parent.path), step))
        assert null_is_learned(tuned, RunDir(tmp_path / "new")) == expected
    chain = descent(unlearned, 4, descent(learned, 8))
    assert null_is_learned(unlearned, made(unlearned, tmp_path / "chain", chain))
    start = descent(unlearned, 0, descent(learned, 8))  # whose weights are those it started from
    assert null_is_learned(unlearned, made(unlearned, tmp_path / "start", start))
