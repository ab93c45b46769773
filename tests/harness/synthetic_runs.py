"""Synthetic runs on disk: two signals, two seeds, as an evaluated training leaves them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.run_set import CONCEPTS, HELD_OUT, learning_steps, synthetic_config, write_run
from classifiers.scores import read_facts, read_part, write_part
from studies.experiment.config import Config
from studies.run.directory import RunDir
from studies.run.measured import DENOISER, denoiser_part
from studies.run.plans import shown_plans
from studies.run.provenance import ORACLE, VERSIONS
from studies.run.tables import write_rows
from studies.worlds.denoiser_config import DenoiserConfig

FIELD = "world.concepts.color.signal"
SIGNALS, SEEDS = (0.2, 0.7), (0, 1)


def write_runs(folder: Path, snapshots: int = 3, images: int = 4) -> list[RunDir]:
    return [
        write_run(folder, synthetic_config(f"s{signal}-{seed}", seed, signal, snapshots, images))
        for signal in SIGNALS
        for seed in SEEDS
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder of four runs. Tests do not change it."""
    folder = tmp_path_factory.mktemp("step=5") / "runs"  # a name that looks like a column's value
    write_runs(folder)
    return folder


@pytest.fixture
def own_runs(tmp_path) -> Path:
    """A folder of four runs of the test's own."""
    write_runs(tmp_path / "runs", snapshots=2, images=2)
    return tmp_path / "runs"


LEVEL, SCENES = 0.2, 8


def measure_run(run: RunDir) -> None:
    """Add what the oracle reads in a synthetic run, as its probe does, and what its denoiser means:
    obedience rises as the concepts are learned."""
    config = run.read_config()
    for plan in shown_plans(config):
        (part,) = run.scores.glob(f"step_{plan.step:08d}-*")
        facts = read_facts(part)
        write_part(plan.part(run, ORACLE), _by_the_oracle(read_part(part)), {**facts, **VERSIONS})
        settings = DenoiserConfig(levels=(LEVEL,))
        target = run.table(DENOISER) / denoiser_part(plan, settings)
        write_rows(target, denoised(config, plan.step), facts)


def _by_the_oracle(scores: pd.DataFrame) -> pd.DataFrame:
    asked = scores["target"].isin(["red", "small"])
    of_words = scores["concept"] == "shape"
    place = np.where(asked, scores["p_target"], 1 - scores["p_target"])
    numbers = {"target_value": asked.astype(float), "predicted_value": place}
    read = {name: np.where(of_words, np.nan, values) for name, values in numbers.items()}
    return scores.assign(probe=ORACLE, p_target=np.nan, probabilities=None, **read)


def denoised(config: Config, step: int) -> pd.DataFrame:
    """Rows of the table `denoiser` of one snapshot; shape is refused."""
    rng = np.random.default_rng(config.evaluate.seed)
    obeyed = 1 / (1 + (learning_steps(config) / (step + 1)) ** 2)
    combinations = [(HELD_OUT, "held_out"), ("circle red large", "train")]
    places = [(*c, scene, k) for c in combinations for scene in range(SCENES) for k in range(3)]
    rows = pd.DataFrame(places, columns=["combination", "split", "scene", "k"])
    moves, k = rng.uniform(0.5, 1.5, len(rows)), rows.pop("k").to_numpy()
    refused = k == 0
    measured = {
        "response": moves * obeyed[k] * rng.uniform(0.8, 1.2, len(rows)),
        "ideal_response": moves,
        "offset": -(1 - obeyed[k]) * moves,
        "error": 1.0,
    }
    hidden = {name: np.where(refused, np.nan, values) for name, values in measured.items()}
    products = [None if j == 0 else [*np.eye(3)[j] * m] for j, m in zip(k, moves, strict=True)]
    return rows.assign(
        **hidden,
        products=products,
        concept=np.array([*CONCEPTS])[k],
        refused=pd.Series(np.where(refused, "the level hides it", None), dtype="string"),
        **{"run": config.name, "train_seed": config.seed, "step": step, "level": LEVEL},
        **{"images_seen": step * config.train.batch_size, "eval_seed": config.evaluate.seed},
        **{"weights": config.evaluate.weights, "least_error": 0.5, "effective_renders": 100.0},
        **{"move_error": 0.0, "answer_error": 0.0},
    )
