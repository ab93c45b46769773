"""Configs of studies of the identity mapping task: what they may say."""

from dataclasses import replace
from pathlib import Path

import pytest

from ground.endings import Mistake
from studies.claims.registry import claims_of
from studies.claims.sim.config import SimConfig, Symmetric, on_pilot_seeds, read_sim_config
from studies.claims.sim.figures import FIGURES
from studies.claims.sim.rules import read_rules
from studies.claims.sim.study import check_study, describe
from theory.settings import Setting, check_settings

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = sorted(
    set((ROOT / "configs" / "sim").glob("*.yaml")) - {ROOT / "configs/sim/claims.yaml"}
)
SMALL = """
name: small
question: Does it run?
base: {kind: trained, task: {dim: 4, num_points: 8}, network: {bias: false}}
figures: [paths]
"""


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_study_is_whole(path):
    config = read_sim_config(path)
    check_study(config)
    assert config.name == path.stem
    assert set(config.figures) <= set(FIGURES) and set(config.claims) <= set(claims_of("sim"))
    for run in config.runs.values():
        if not isinstance(run, Symmetric):
            check_settings([Setting(run.task, run.network, run.training)])


def test_claims_are_decided_on_the_seeds_of_the_rules():
    for path in CONFIGS:
        config = read_sim_config(path)
        assert not config.claims or config.seeds == read_rules().seeds


def read(tmp_path, text):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL + text)
    return read_sim_config(path)


def test_a_variant_changes_what_it_names_alone(tmp_path):
    config = read(tmp_path, "variants: {a: {}, b: {task: {mu: [3, 2]}}}")
    a, b = config.runs.values()
    assert b.task.mu == (3.0, 2.0) and b.task.dim == a.task.dim == 4
    assert a.network == b.network and not a.network.bias


def test_a_grid_is_all_combinations(tmp_path):
    signals = "{weak: {task: {mu: [1, 2]}}, strong: {task: {mu: [3, 2]}}}"
    layers = "{one: {}, two: {network: {num_layers: 2}}}"
    config = read(tmp_path, f"grid: {{mu: {signals}, L: {layers}}}")
    assert list(config.runs) == ["weak, one", "weak, two", "strong, one", "strong, two"]
    assert config.runs["strong, two"].task.mu == (3.0, 2.0)
    assert config.runs["strong, two"].network.num_layers == 2


def test_the_moment_of_the_symmetric_network():
    """a_p = sigma_p² + mu_p² / P, where a concept without signal is no cluster."""
    run = Symmetric(mu=(1.0, 1.5, 0.0), sigma=(0.05, 0.05, 0.05), width=3)
    assert run.moment == pytest.approx((0.5025, 1.1275, 0.0025))


def test_pilot_seeds_are_not_those_of_the_rules():
    config = read_sim_config(CONFIGS[0])
    assert not set(on_pilot_seeds(config, 256).seeds.all) & set(read_rules().seeds.all)


@pytest.mark.parametrize(
    "text, message",
    [
        ("variants: {a: {}}\ngrid: {a: {b: {}}}", "give variants, or a grid of them"),
        ("", "give variants, or a grid of them"),
        ("variants: {}", "variants: got none"),
        ("variants: [a]", "variants: got \\['a'\\], allowed a mapping"),
        ("variants: {a: {task: {dims: 3}}}", "runs.a.task.dims: unknown key .did you mean 'dim'"),
        ("variants: {a: {task: {dim: 1}}}", "small.yaml: runs.a.task.dim: got 1, allowed are 2"),
        ("variants: {a: {task: {sigma: [-1, 0]}}}", "runs.a.task.sigma: got -1"),
        ("variants: {a: {epochs: 0}}", "runs.a.epochs: got 0, allowed are 1 and more"),
        ("variants: {a: {kind: flow}}", "runs.a.kind: got 'flow', allowed trained, symmetric"),
        ("variants: {a: {training: {lr: 90}}}", "runs.a: lr: got 90, allowed is less than"),
        ("runs: {a: {}}", "runs: unknown key; allowed: name, question, figures"),
        ("varants: {a: {}}", "varants: unknown key .did you mean 'variants'"),
        ("variants: {a: {}}\nclaims: [p1.fig99]", "claims: got 'p1.fig99', allowed p1.thm41"),
        ("grid: {}", "grid: got no axis"),
        ("grid: {x: {'a': {}, 'a, b': {}}, y: {'b, c': {}, 'c': {}}}", "two combinations of the n"),
        ("variants: {a: {task: [1, 2]}}", "variants.a.task: got .1, 2., allowed a mapping"),
        ("variants: {a: {network: 3}}", "variants.a.network: got 3, allowed a mapping"),
        ("variants: {a: }", "variants.a: got None, allowed a mapping"),
        ("variants: {a: {}}\nseeds: {count: 0}", "seeds.count: got 0, allowed are 1 to"),
        ("variants: {a: {}}\nseeds: {first: -1}", "seeds.first: got -1, allowed are 0 to"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(Mistake, match=message):
        check_study(read(tmp_path, text))


def test_an_unknown_figure_is_refused(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(SMALL.replace("paths", "path") + "variants: {a: {}}")
    with pytest.raises(Mistake, match="figures: got 'path', allowed paths, losses"):
        check_study(read_sim_config(path))


RELU = "network: {num_layers: 2, activation: relu}"


@pytest.mark.parametrize(
    "figure, variants",
    [
        ("paths", "{a: {task: {mu: [1], sigma: [0]}}}"),
        ("residuals", f"{{a: {{{RELU}}}}}"),
        ("entries", "{a: {}}"),
        ("swing_rates", "{a: {}}"),
        ("rates", f"{{a: {{{RELU}}}}}"),
        ("times", "{a: {}}"),
        ("factors", "{a: {}}"),
        ("phase", "{a: {}}"),
        ("factors", "{a: {}, b: {network: {bias: true}}}"),
        ("factors", "{a: {}, b: {task: {dim: 5}}, c: {network: {width: 9}, task: {dim: 6}}}"),
        ("phase", "{a: {}, b: {task: {dim: 5}}, c: {network: {width: 9}}}"),
        ("phase", "{a: {}, b: {task: {dim: 5}}, c: {task: {dim: 6}}}"),
    ],
)
def test_a_figure_that_cannot_show_the_runs_is_refused(tmp_path, figure, variants):
    path = tmp_path / "a.yaml"
    path.write_text(SMALL.replace("paths", figure) + f"variants: {variants}")
    with pytest.raises(Mistake, match=f"figures: {figure} asks for"):
        check_study(read_sim_config(path))


@pytest.mark.parametrize("claim", claims_of("sim"))
def test_a_claim_that_the_runs_cannot_decide_is_refused(tmp_path, claim):
    config = read(tmp_path, f"variants: {{a: {{epochs: 3, {RELU}}}}}\nclaims: [{claim}]")
    with pytest.raises(Mistake, match=f"claims: {claim} asks for"):
        check_study(config)


@pytest.mark.parametrize("base", ["foo", "[1]", "3"])
def test_a_base_of_no_keys_is_refused(tmp_path, base):
    path = tmp_path / "a.yaml"
    path.write_text(f"name: a\nquestion: b\nfigures: [paths]\nvariants: {{a: {{}}}}\nbase: {base}")
    with pytest.raises(Mistake, match="base: got .*, allowed a mapping"):
        read_sim_config(path)


def test_a_claim_on_b_asks_for_whole_epochs(tmp_path):
    config = read_sim_config(ROOT / "configs" / "sim" / "fig02a.yaml")
    runs = {name: replace(run, records=39) for name, run in config.runs.items()}
    with pytest.raises(Mistake, match="p1.fig2a asks for .* recorded at every epoch"):
        check_study(replace(config, runs=runs))


@pytest.mark.parametrize("name", ["../../x", "", "a b", "fig05-pilot"])
def test_a_name_that_is_no_folder_of_its_own_is_refused(tmp_path, name):
    path = tmp_path / "a.yaml"
    path.write_text(SMALL.replace("name: small", f"name: '{name}'") + "variants: {a: {}}")
    with pytest.raises(Mistake, match=f"name: got '{name}', allowed letters"):
        read_sim_config(path)


def test_the_file_of_an_experiment_is_no_study():
    with pytest.raises(Mistake, match="quickstart.yaml: seed: unknown key .* allowed: name"):
        read_sim_config(ROOT / "configs" / "quickstart.yaml")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"sigma": (0.1,)}, "sigma: got 1 numbers, allowed are as many as mu, 2"),
        ({"sigma": (0.1, -0.1)}, "sigma: got -0.1, allowed are 0 to 1e.06"),
        ({"mu": (1.0, -2.0)}, "mu: got -2, allowed are 0 to 1e.06"),
        ({"init_scale": 0.0}, "init_scale: got 0, allowed are numbers above 0"),
        ({"mu": (0.0, 0.0)}, "mu: got no concept with a signal"),
        ({"width": 0}, "width: got 0, allowed are 1 to 4096"),
        ({"mu": (1.0,) * 13}, "mu: got 13 numbers, allowed are at most 12"),
    ],
)
def test_a_symmetric_network_that_cannot_be_is_refused(change, message):
    whole = {"mu": (1.0, 2.0), "sigma": (0.1, 0.1), "width": 2}
    with pytest.raises(Mistake, match=message):
        Symmetric(**{**whole, **change})


@pytest.mark.parametrize(
    "change, message",
    [
        ({"step": 3.0}, "step: got 3, euler is stable in"),
        ({"every": 3}, "every: got 3, allowed are"),
    ],
)
def test_a_flow_in_wrong_steps_is_refused_before_the_work(change, message):
    flow = Symmetric(mu=(1.0, 2.0), sigma=(0.1, 0.1), width=2, num_steps=20)
    config = SimConfig("small", "Does it run?", {"a": replace(flow, **change)}, ("losses",))
    with pytest.raises(Mistake, match=f"runs.a: {message}"):
        check_study(config)


def test_a_plan_says_what_would_run():
    text = describe(read_sim_config(ROOT / "configs" / "sim" / "fig05.yaml"))
    assert "1000 to 1255, 256 in all" in text and "power=2" in text
    assert "p1.fig5: the symmetric network's test loss is not monotone (arXiv:2410.08309" in text
