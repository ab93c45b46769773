"""Findings of runs, on runs of which they are known."""

from dataclasses import replace

import numpy as np
import pytest

from studies.claims.evidence import mean_within
from studies.claims.sim import measures
from studies.claims.sim.config import Seeds, SimConfig, Symmetric, Trained
from studies.claims.sim.exact import lead, one_layer_paths
from studies.claims.sim.gates import open_gate, plain_error
from studies.claims.sim.rules import read_rules
from studies.claims.sim.runs import Paths, Study, run_study
from studies.claims.sim.summary import findings_table
from theory.networks import Network
from theory.settings import Training
from theory.task import SimTask

TASK = SimTask(mu=(1.0, 2.0), dim=4, num_points=64, origin_cluster=True)
SEEDS = Seeds(0, 16)
FLOW = Training(lr=0.05, method="flow")
ONE = Trained(TASK, Network(bias=False), FLOW, epochs=600, records=600)
SYMMETRIC = Symmetric(
    (1.0, 1.5), (0.05, 0.05), width=2, init_scale=0.4, step=0.02, num_steps=900, method="rk4"
)


def study_of(run, folder, seeds=SEEDS) -> Study:
    config = SimConfig("small", "Is it found?", {"a": run}, ("paths",), seeds)
    return Study(config, run_study(config, folder), read_rules())


def found_in(study: Study) -> dict[str, float]:
    return dict(findings_table(study)[["measure", "value"]].itertuples(index=False))


@pytest.mark.parametrize("bias", [False, True])
def test_the_theorem_is_the_flow(tmp_path, bias):
    """With the seed's own points it is exact; with the population's, off by their noise."""
    run = replace(ONE, network=Network(bias=bias), epochs=40, records=40)
    (paths,) = study_of(run, tmp_path).paths.values()
    exact = one_layer_paths(run, range(16), paths.t, "empirical")
    np.testing.assert_allclose(paths.outputs, exact, rtol=0, atol=1e-12)
    population = one_layer_paths(run, range(16), paths.t, "population")
    assert 1e-4 < np.abs(paths.outputs - population).max() < 0.1


def test_findings_of_one_layer(tmp_path):
    found = found_in(study_of(ONE, tmp_path))
    for measure in ("rate of mode 1 / eigenvalue", "rate of mode 2 / eigenvalue"):
        assert found[measure] == pytest.approx(1, abs=0.05)
    assert found["slope of rates on a"] == pytest.approx(1, abs=0.05)
    assert found["exponent of the time in a"] == pytest.approx(-1, abs=0.2)
    assert found["pairs learned in order of a"] == 1
    assert found["terminal exponent / least a"] == pytest.approx(1, abs=0.05)
    assert found["AIC, power law − exponential"] > 100
    assert found["loss rises"] == found["rise of the mean loss / start"] == 0
    assert found["descents of the loss"] == 1
    assert found["distance from the theorem, empirical moment"] < 1e-12


def test_findings_of_a_flow(tmp_path):
    """Near the identity both factors of U Uᵀ learn: the error ends at up to four times a."""
    found = found_in(study_of(SYMMETRIC, tmp_path))
    assert found["terminal exponent / least a"] == pytest.approx(3.6, abs=0.5)
    assert found["largest error of W by steps"] < 1e-6
    assert found["first stage within its bound"] == 1
    assert found["time of learning 2"] < found["time of learning 1"]


def test_biases_are_clocked_by_the_augmented_moment(tmp_path):
    run = replace(ONE, network=Network(bias=True), epochs=900, records=900)
    study = study_of(run, tmp_path)
    by_mode, by_concept = study.of(measures.mode_ratios, "a"), study.of(measures.rate_ratios, "a")
    np.testing.assert_allclose(by_mode, 1, atol=0.1)
    assert (by_concept[:, 0] < 0.7).all()


def test_steps_lead_the_flow_within_their_bound(tmp_path):
    run = replace(ONE, training=Training(lr=0.2, method="full_batch"), epochs=60, records=60)
    (paths,) = study_of(run, tmp_path).paths.values()
    exact = one_layer_paths(run, range(16), paths.t, "empirical")
    apart = np.abs(paths.outputs - exact).max()
    assert 1e-4 < apart < lead(run, paths.t) * 4  # errors of the start, along both concepts


def paths_of(outputs: np.ndarray) -> Paths:
    empty = np.empty(0)
    t = np.arange(outputs.shape[1], dtype=float)
    return Paths(t, outputs, empty, empty, empty, empty, empty, empty)


def test_the_order_of_learning():
    """Ours, reversed, both never, the first never, diverged."""
    steps = np.arange(5.0)
    slow, fast, never = steps / 4, np.minimum(1, steps / 2), 0 * steps
    pairs = [(slow, fast), (fast, slow), (never, never), (never, fast), (np.nan * steps, fast)]
    outputs = np.array([np.stack(pair, -1) for pair in pairs]) * (1, 2)
    assert measures.in_order(ONE, paths_of(outputs)).tolist() == [1, 0, 0, 1, 1]


def test_the_gate_compares_with_the_plain_loop(tmp_path, monkeypatch):
    sgd = Trained(TASK, Network(num_layers=2, width=3), Training(batch_size=32), 2, 2)
    assert plain_error(sgd, range(2)) < 1e-12
    seeds = Seeds(0, 8)
    study = study_of(sgd, tmp_path, seeds)
    study = replace(study, rules=replace(study.rules, seeds=seeds))
    assert open_gate(study, tmp_path) == ""
    monkeypatch.setattr("studies.claims.sim.gates.PLAIN_ERROR", 0.0)
    assert "from the plain loop" in open_gate(study, tmp_path)


def test_a_run_that_never_got_there_leaves_its_claim_undecided():
    assert mean_within(0.03, np.array([*np.zeros(15), np.nan])).word == "undecided"
    assert mean_within(0.03, np.zeros(16)).word == "holds"
