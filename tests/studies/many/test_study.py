"""Studies from their files: variants, settings, names, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from ground.endings import Mistake
from studies.experiment.config import Config, read_config
from studies.many.study import MOST_LETTERS, StudyConfig, folder_name, read_study

ROOT = Path(__file__).resolve().parents[3]
STUDIES = sorted((ROOT / "configs" / "studies").glob("*.yaml"))
SMALL = f"""
name: small
question: Does it run?
experiment: {ROOT}/configs/tiny.yaml
"""


def read(tmp_path: Path, text: str) -> StudyConfig:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL + text)
    return read_study(path)


def settings(study: StudyConfig) -> list[dict]:
    return [dict(run.settings) for run in study.runs]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_shipped_study_is_whole(path):
    study = read_study(path)
    assert study.name == path.stem and study.question in path.read_text()
    assert len({run.name for run in study.runs}) == len(study.runs)
    for run in study.runs:
        assert run.config.name == run.name and run.config.seed == run.seed


def test_a_run_is_the_experiment_with_its_changes_alone(tmp_path):
    study = read(
        tmp_path, "grid: {train.learning_rate: [0.003, 0.001]}\nseeds: {first: 3, count: 2}"
    )
    tiny = read_config(ROOT / "configs" / "tiny.yaml")
    train = replace(tiny.train, learning_rate=0.001)
    last = study.runs[-1]
    expected = replace(tiny, name="learning_rate=0.001-seed4", seed=4, train=train)
    assert last.config == expected and last.variant == "learning_rate=0.001"
    assert [run.seed for run in study.runs] == [3, 4, 3, 4]
    assert settings(study)[0] == {"train.learning_rate": 0.003}


def test_the_base_changes_all_runs_and_is_no_setting(tmp_path):
    text = "base: {train.batch_size: 8, world: {num_images: 64}}\ngrid: {model.size: [tiny, nano]}"
    study = read(tmp_path, text)
    assert {(r.config.train.batch_size, r.config.world.num_images) for r in study.runs} == {(8, 64)}
    assert settings(study) == [{"model.size": "tiny"}, {"model.size": "nano"}]


def test_coupled_fields_vary_together_and_axes_combine(tmp_path):
    signals = "'world.concepts.color.signal, world.concepts.size.signal': [[.7, .3], [.5, .2]]"
    order = "order: {shown: {}, shuffled: {captions: {shuffled: true}}}"
    study = read(tmp_path, f"grid: {{{signals}, {order}}}")
    assert [run.name for run in study.runs] == [
        "color.signal=0.7_size.signal=0.3_shown-seed0",
        "color.signal=0.7_size.signal=0.3_shuffled-seed0",
        "color.signal=0.5_size.signal=0.2_shown-seed0",
        "color.signal=0.5_size.signal=0.2_shuffled-seed0",
    ]
    assert settings(study)[3] == {
        "world.concepts.color.signal": 0.5,
        "world.concepts.size.signal": 0.2,
        "captions.shuffled": True,
    }


def test_a_list_of_variants_is_named_by_what_it_changes(tmp_path):
    study = read(tmp_path, "variants: [{}, {world.held_out: [circle red large, circle red small]}]")
    assert [run.variant for run in study.runs] == [
        "base",
        "held_out=circle red large+circle red small",
    ]
    assert settings(study)[0] == {"world.held_out": ["square blue small"]}


def test_a_draw_depends_on_its_seed_and_grows_at_its_end(tmp_path):
    rate = "train.learning_rate: {low: 1e-4, high: 1e-2, log: true}"
    fields = f"{rate}, train.batch_size: {{choice: [8, 16]}}"
    few, more, other = (
        read(tmp_path, f"draw: {{count: {count}, seed: {seed}, fields: {{{fields}}}}}")
        for count, seed in ((3, 0), (5, 0), (3, 1))
    )
    assert settings(few) == settings(more)[:3] != settings(other)
    rates = [run.config.train.learning_rate for run in more.runs]
    assert len(set(rates)) == 5 and all(1e-4 <= rate <= 1e-2 for rate in rates)


def test_whole_numbers_are_drawn_from_both_ends_and_none_twice(tmp_path):
    draw = "draw: {count: %d, fields: {world.num_images: {low: 64, high: 66, integer: true}}}"
    drawn = [run.config.world.num_images for run in read(tmp_path, draw % 3).runs]
    assert sorted(drawn) == [64, 65, 66]
    with pytest.raises(Mistake, match="draw.count: got 4, but only 3 different were drawn"):
        read(tmp_path, draw % 4)


def test_a_span_gives_coupled_fields_one_number(tmp_path):
    key = "'world.concepts.color.signal, world.concepts.size.signal'"
    study = read(tmp_path, f"draw: {{count: 2, fields: {{{key}: {{low: 0.2, high: 0.3}}}}}}")
    for run in study.runs:
        concepts = run.config.world.concepts
        assert concepts["color"].signal == concepts["size"].signal


def test_what_is_kept_is_that_of_every_run(tmp_path):
    kept = read(tmp_path, "grid: {model.size: [tiny, nano]}\nkeep: none")
    assert {run.config.evaluate.keep for run in kept.runs} == {"none"}


def test_a_long_name_is_cut_and_stays_its_own():
    one, other = (folder_name("x" * MOST_LETTERS + end) for end in "ab")
    assert one != other and len(one) == MOST_LETTERS + 9


def test_a_plan_does_not_depend_on_names_and_words(tmp_path):
    text = "variants: {%s: {train.batch_size: 8}}"
    (one,), (other,) = (read(tmp_path, text % name).runs for name in ("a", "b"))
    assert one.name != other.name and (one.plan, one.identity) == (other.plan, other.identity)
    (more,) = read(tmp_path, text % "a" + "\nbase: {evaluate.guidance_scale: 2}").runs
    assert more.identity == one.identity and more.plan != one.plan


GRID = "grid: {model.size: [tiny, nano]}\n"


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "give one of grid, variants, draw; got none of them"),
        (GRID + "variants: {a: {}}", "give one of grid, variants, draw; got grid, variants"),
        ("grd: {}", "grd: unknown key .did you mean 'grid'"),
        ("grid: {}", "grid: got no axis"),
        ("grid: {model.size: []}", "grid.model.size: got .., allowed a list of values"),
        ("grid: {model.size: 3}", "grid.model.size: got 3, allowed a mapping"),
        ("grid: {model.size: [tiny, tiny]}", "grid.model.size: got size=tiny twice"),
        ("grid: {modl.size: [tiny]}", "modl.size: there is no 'modl' .did you mean 'model'"),
        (
            "grid: {world.concepts.colr.signal: [1]}",
            "world.concepts.colr.signal: there is no 'colr' .did you mean 'color'",
        ),
        ("grid: {train.foo: [1]}", "grid.foo=1: train.foo: unknown key"),
        ("grid: {train.batch_size: [0]}", "small.yaml: grid.batch_size=0: train.batch_size: got 0"),
        ("grid: {'train.batch_size, seed': [[1, 2, 3]]}", "a list of 2 values each"),
        ("grid: {seed: [1, 2]}", "grid.seed=1.seed: is set by the study itself; give seeds"),
        ("grid: {evaluate.seed: [1, 2]}", "variants 'seed=1' and 'seed=2' are the same experiment"),
        ("variants: {}", "variants: got none"),
        ("variants: {a: 3}", "variants.a: got 3, allowed a mapping"),
        ("variants: {a: {world: 3}}", "variants.a.world: got 3, allowed a mapping"),
        ("variants: {a b: {}, a_b: {model.size: nano}}", "'a b' and 'a_b' have one folder name"),
        ("variants: {'?': {}}", "variant '.': allowed are names with a letter"),
        ("variants: [{}, {}]", "variants.1.: got base twice"),
        (GRID + "seeds: {count: 0}", "seeds.count: got 0, allowed are 1 to"),
        (GRID + "seeds: {first: -1}", "seeds.first: got -1, allowed are 0 to"),
        (GRID + "seeds: {count: 16384}", "seeds.count: got 16384, allowed up to 8192 here"),
        (GRID + "keep: most", "keep: got 'most', allowed all, scored, last, none"),
        (GRID + "base: {train: 3}", "base.train: got 3, allowed a mapping"),
        (GRID + "base: {train.batch_size: 0}", "base: train.batch_size: got 0"),
        ("draw: {count: 1}", "draw.fields: got None, allowed a mapping"),
        ("draw: {count: 1, fields: {}}", "draw.fields: got none"),
        ("draw: {count: 0, fields: {a: {low: 1, high: 2}}}", "draw.count: got 0, allowed are 1"),
        ("draw: {count: 1, fields: {a: {low: 2, high: 1}}}", "draw.fields.a.high: got 1, allowed"),
        ("draw: {count: 1, fields: {a: {low: 0, high: 1, log: true}}}", "a.low: got 0, allowed is"),
        ("draw: {count: 1, fields: {a: {low: 0, high: 0.5, integer: true}}}", "whole numbers"),
        ("draw: {count: 1, fields: {a: {choice: [1], low: 2}}}", "got choice and more"),
        ("draw: {count: 1, fields: {a: {choice: 3}}}", "a.choice: got 3, allowed a list"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(Mistake, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "name, message",
    [("sim", "name: got 'sim', allowed letters"), ("a b", "name: got 'a b'"), ("render", "render")],
)
def test_a_name_that_is_no_folder_of_its_own_is_refused(tmp_path, name, message):
    path = tmp_path / "a.yaml"
    path.write_text(SMALL.replace("name: small", f"name: {name}") + GRID)
    with pytest.raises(Mistake, match=message):
        read_study(path)


def test_an_experiment_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(SMALL.replace("tiny.yaml", "tny.yaml") + GRID)
    with pytest.raises(Mistake, match="a.yaml: experiment: .*tny.yaml: no such config file"):
        read_study(path)


def test_a_study_is_no_experiment():
    with pytest.raises(Mistake, match="experiment: unknown key"):
        read_config(STUDIES[0])
    assert isinstance(read_study(STUDIES[0]).runs[0].config, Config)
