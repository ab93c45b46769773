"""Studies end to end, on few and small networks."""

import json
import warnings
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from ground.endings import Mistake
from studies.claims.sim import measures
from studies.claims.sim.axis_figures import phase
from studies.claims.sim.config import Seeds, SimConfig, Symmetric, Trained
from studies.claims.sim.gates import open_gate
from studies.claims.sim.rules import read_rules, rules_hash
from studies.claims.sim.runs import SEEDS_AT_ONCE, Study, run_study
from studies.claims.sim.study import run_and_write
from studies.claims.sim.variants import columns_of
from theory.networks import Network
from theory.settings import Training
from theory.task import SimTask

TASK = SimTask(dim=4, num_points=64)
ONE = Trained(TASK, Network(bias=False), Training(lr=0.1, batch_size=32), epochs=4, records=8)
TWO = replace(ONE, network=Network(num_layers=2, width=4, bias=False, init_scale=2.0))
RELU = replace(TWO, network=replace(TWO.network, activation="relu"))
SEEDS = Seeds(0, 8)
FLOW = Symmetric(mu=(1.0, 1.5), sigma=(0.05, 0.05), width=2, num_steps=200)


def study_of(runs, folder, figures=("paths",)) -> Study:
    config = SimConfig("small", "Does it run?", runs, figures, SEEDS)
    return Study(config, run_study(config, folder), read_rules())


def config_of(*runs, claims=(), figure="paths", seeds=SEEDS) -> SimConfig:
    named = dict(zip("abcd", runs, strict=False))
    return SimConfig("small", "Does it run?", named, (figure,), seeds, claims)


def scaled(run, scale):
    return replace(run, network=replace(run.network, init_scale=scale))


@pytest.mark.parametrize(
    "runs, figure",
    [
        ((ONE, replace(ONE, task=replace(TASK, mu=(3.0, 2.0)))), "paths"),
        ((ONE,), "losses"),
        ((ONE,), "residuals"),
        ((ONE,), "corners"),
        ((FLOW, replace(FLOW, power=2)), "entries"),
        ((FLOW, replace(FLOW, width=4)), "swing_rates"),
        ((ONE,), "rates"),
        ((TWO, replace(TWO, epochs=2)), "times"),
        ((ONE, replace(ONE, epochs=2)), "factors"),
        ((TWO, ONE, scaled(TWO, 1.0), scaled(ONE, 2.0)), "phase"),
    ],
)
def test_a_study_is_run_and_written(tmp_path, runs, figure):
    config, lines = config_of(*runs, figure=figure), []
    run_and_write(config, tmp_path, lines.append)
    assert (tmp_path / f"{figure}.png").stat().st_size > 5000
    per_run = pd.read_csv(tmp_path / "runs.csv")
    assert len(per_run) == 8 * len(runs) and per_run["rise"].ge(0).all()
    curves, found = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("curves", "findings"))
    for name, run in config.runs.items():
        for table in (per_run, curves, found):
            of_run = table[table["variant"] == name]
            assert all(of_run[key].eq(value).all() for key, value in columns_of(run).items())
    assert curves["loss_10"].le(curves["loss_90"]).all()
    assert json.loads((tmp_path / "claims.json").read_text())["rules"] == rules_hash()
    assert "wrote" in lines[-1]


def test_a_study_that_was_run_is_read(tmp_path, monkeypatch):
    config = config_of(ONE)
    first = run_study(config, tmp_path)
    monkeypatch.setattr("studies.claims.sim.runs.train", None)
    again = run_study(config, tmp_path)
    np.testing.assert_array_equal(first["a"].outputs, again["a"].outputs)


def test_more_seeds_keep_the_rows_of_those_there(tmp_path):
    """Bites of seeds are cut at multiples of their size, wherever the seeds begin."""
    few = run_study(config_of(FLOW, seeds=Seeds(SEEDS_AT_ONCE - 4, 8)), tmp_path / "few")["a"]
    more = run_study(config_of(FLOW, seeds=Seeds(SEEDS_AT_ONCE - 8, 16)), tmp_path / "more")["a"]
    np.testing.assert_allclose(few.W, more.W[4:12], rtol=0, atol=1e-14)


def test_a_broken_file_is_named(tmp_path):
    run_study(config_of(ONE), tmp_path)
    (file,) = tmp_path.glob("[!.]*.npz")
    whole = file.read_bytes()
    for damaged in (whole[:100], b"", whole[:400] + bytes([whole[400] ^ 1]) + whole[401:]):
        file.write_bytes(damaged)
        with pytest.raises(Mistake, match=f"{file.name}: is not as it was written; remove it"):
            run_study(config_of(ONE), tmp_path)
    file.unlink()
    run_study(config_of(ONE), tmp_path)


def test_a_file_of_other_arrays_is_named(tmp_path):
    (paths,) = run_study(config_of(ONE), tmp_path).values()
    (file,) = tmp_path.glob("[!.]*.npz")
    np.savez_compressed(file, **asdict(replace(paths, t=paths.t[::-1])))
    with pytest.raises(Mistake, match=f"{file.name}: is not as it was written"):
        run_study(config_of(ONE), tmp_path)


def test_cells_are_placed_by_settings(tmp_path, monkeypatch):
    """Whatever the names, and the order in which the variants are written."""
    seen = {}
    monkeypatch.setattr(
        "studies.claims.sim.axis_figures.phase_figure", lambda *args, **_: seen.update(a=args)
    )
    networks = [Network(layers, init_scale=scale) for scale in (1.0, 2.0) for layers in (1, 2)]
    names = ("L 2, scale 1", "L 2, scale 2", "b", "c")
    runs = {
        name: replace(ONE, network=network, epochs=1 + 3 * i, records=4)
        for i, (name, network) in enumerate(zip(names, networks, strict=True))
    }
    study = study_of(runs, tmp_path)
    phase(study)
    cells, rows, columns = seen["a"]
    assert (rows, columns) == (["scale 1", "scale 2"], ["L 1", "L 2"])
    shares = [measures.ended(study.paths[name], study.rules).mean() for name in names]
    assert len(set(shares)) > 2
    found = cells["share ended (below 0.05)"]
    np.testing.assert_array_equal(found, np.reshape(shares, (2, 2)))


def test_runs_that_diverge_have_no_numbers_and_no_curves(tmp_path):
    """Their B is unknown; shares count them as runs that do not."""
    steep = replace(
        ONE,
        network=Network(num_layers=4, width=8, init_scale=2.2),
        training=Training(lr=0.3, batch_size=32),
        epochs=60,
    )
    study = study_of({"steep": steep}, tmp_path, figures=("paths", "losses"))
    gone = ~measures.stays_finite(study.paths["steep"])
    assert gone.any()
    assert np.isnan(study.of(measures.bows, "steep")[gone]).all()
    assert not measures.rising(study.paths["steep"], study.rules)[gone].any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_and_write(study.config, tmp_path / "out", print)
    curves = pd.read_csv(tmp_path / "out" / "curves.csv")
    assert curves["loss_90"].isna().all() == gone.all()


def test_measures_of_one_layer(tmp_path):
    """The rate of ‖(W − I)e_k‖ in flow time is a_k, up to the step and the sample."""
    long = replace(ONE, epochs=40, records=320, training=Training(lr=0.02, batch_size=32))
    config, rules = config_of(replace(long, task=replace(TASK, num_points=512))), read_rules()
    (paths,) = run_study(config, tmp_path).values()
    ratios = measures.rate_ratios(config.runs["a"], paths, rules)
    assert np.abs(ratios - 1).max() < 0.1
    assert (measures.bows(config.runs["a"], paths, rules) > 0).mean() > 0.7


def test_measures_of_the_flow(tmp_path):
    config, rules = config_of(replace(FLOW, num_steps=2000)), read_rules()
    (paths,) = run_study(config, tmp_path).values()
    assert np.abs(measures.coordinates(config.runs["a"], paths)[:, -1] - 1).max() < 0.01
    assert not measures.training_rises(paths, rules).any()
    assert (paths.loss == paths.corner_losses[..., -1]).all()
    expected = ((paths.outputs - (1, 1.5)) ** 2).sum(-1) / 2
    np.testing.assert_allclose(paths.loss, expected, atol=1e-12)


def test_what_cannot_be_decided_is_refused_before_the_work(tmp_path):
    config = config_of(RELU, claims=("p1.thm41",))
    with pytest.raises(
        Mistake, match="claims: p1.thm41 asks for linear networks, which 'a' is not"
    ):
        run_and_write(config, tmp_path / "out", print)
    assert not (tmp_path / "out").exists()


def test_other_seeds_decide_nothing(tmp_path):
    study = Study(config_of(FLOW), run_study(config_of(FLOW), tmp_path), read_rules())
    assert open_gate(study, tmp_path) == "not the seeds 1000 to 1255"


def test_a_flow_that_depends_on_its_step_decides_nothing(tmp_path):
    """Steps near the limit of stability: half of them show something else."""
    seeds = Seeds(0, 16)
    coarse = replace(FLOW, step=0.36, num_steps=60, every=1, init_scale=0.9)
    rules = replace(read_rules(), seeds=seeds)
    config = config_of(coarse, seeds=seeds)
    study = Study(config, run_study(config, tmp_path), rules)
    assert "at half the step" in open_gate(study, tmp_path)
    fine = config_of(FLOW, seeds=seeds)
    assert open_gate(Study(fine, run_study(fine, tmp_path), rules), tmp_path) == ""
