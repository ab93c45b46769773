"""Axes of a study are found by the settings of its variants, whatever these are called."""

from dataclasses import replace

import pytest

from ground.endings import Mistake
from studies.claims.sim.axes import grid_of, one_at_a_time
from studies.claims.sim.config import SimConfig, Symmetric, Trained, read_sim_config
from studies.claims.sim.rules import RULES_FILE
from studies.claims.sim.variants import columns_of, only, settings_of, where
from theory.networks import Network
from theory.settings import Training
from theory.task import SimTask

FLOW = Symmetric(mu=(1.0, 0.0), sigma=(0.1, 0.2), width=2)


def study(name: str) -> SimConfig:
    """With names that say nothing."""
    config = read_sim_config(RULES_FILE.with_name(f"{name}.yaml"))
    return replace(config, runs={f"v{i}": run for i, run in enumerate(config.runs.values())})


def of(*runs) -> SimConfig:
    return SimConfig("small", "Which axes?", dict(zip("abcdefgh", runs, strict=False)), ("losses",))


def test_factors_are_what_changes_one_at_a_time():
    config = study("swing_by")
    panels = one_at_a_time(config)
    assert {words: [*numbers] for words, numbers in panels.items()} == {
        "mu_2/mu_1": [1, 1.5, 2, 3, 4],
        "variance along both": [0, 0.05, 0.2, 0.5, 1],
        "layers": [1, 2, 3, 4, 5, 6],
        "width": [2, 4, 8, 16, 32],
        "dimension": [2, 4, 8, 16],
    }
    assert settings_of(config.runs[panels["dimension"][16]]).dim == 16
    assert settings_of(config.runs[panels["layers"][5]]).epochs == 200


@pytest.mark.parametrize(
    "name, rows, columns, cell",
    [
        ("phase_depth_init", "L 1, L 2, L 3, L 4, L 5", "scale 0.25, scale 0.5, scale 1", (4, 0.5)),
        ("phase_strength_width", "h 2, h 4, h 8, h 16, h 32", "mu_2/mu_1 1, mu_2/mu_1 1.5", ()),
    ],
)
def test_a_grid_has_the_axes_that_others_follow(name, rows, columns, cell):
    config = study(name)
    grid = grid_of(config)
    assert ", ".join(grid.rows) == rows and ", ".join(grid.columns).startswith(columns)
    if cell:
        settings = settings_of(config.runs[grid.names[f"L {cell[0]}", f"scale {cell[1]}"]])
        assert (settings.num_layers, settings.init_scale, settings.epochs) == (*cell, 800)


def test_a_setting_that_follows_an_axis_is_none():
    """Appendix E: the initial weights are scaled to the width."""
    grid = grid_of(study("appendix_e"))
    assert grid.rows == ["power 1", "power 2"] and grid.columns[0] == "h 3"


def test_what_follows_is_an_axis_where_nothing_else_differs():
    runs = [
        Trained(training=Training(lr=lr), epochs=epochs) for lr in (0.1, 0.2) for epochs in (2, 4)
    ]
    assert grid_of(of(*runs)).rows == ["lr 0.1", "lr 0.2"]
    assert one_at_a_time(of(*runs[:2])) == {"epochs": {2: "a", 4: "b"}}


@pytest.mark.parametrize(
    "networks", [[{}], [{}, {"bias": False}], [{}, {"width": 2, "num_layers": 2}], [{}, {}]]
)
def test_no_base_and_no_number_is_refused(networks):
    with pytest.raises(Mistake, match="variants that each change one number of the same run"):
        one_at_a_time(of(*(Trained(network=Network(**network)) for network in networks)))


def test_two_variants_at_one_number_are_refused():
    runs = [Trained(task=SimTask(mu=mu)) for mu in ((1.0, 2.0), (2.0, 4.0))]
    with pytest.raises(Mistake, match="variants that each change one number of the same run"):
        one_at_a_time(of(*runs))
    twice = [replace(run, epochs=epochs) for run in runs for epochs in (2, 4)]
    with pytest.raises(Mistake, match="all combinations of two settings, each once; mu, epochs v"):
        grid_of(of(*twice))


def test_variants_are_selected_by_their_settings():
    config = of(Trained(), Trained(network=Network(bias=False)), FLOW)
    assert where(config, bias=True) == ["a"] and where(config, kind="trained") == ["a", "b"]
    assert only(config, mu=(1, 0), width=2) == "c"
    for wanted, message in (
        ({"mu": (1, 2)}, r"one variant with mu \(1, 2\), got 'a', 'b'"),
        ({"dim": 3, "bias": True}, "one variant with dim 3, bias True, got none of 'a', 'b', 'c'"),
    ):
        with pytest.raises(Mistake, match=message):
            only(config, **wanted)


def test_columns_are_the_settings_that_a_run_has():
    columns = columns_of(FLOW)
    assert (columns["mu_2"], columns["sigma_1"], columns["width"]) == (0, 0.1, 2)
    assert "bias" not in columns and columns_of(Trained())["bias"] is True
