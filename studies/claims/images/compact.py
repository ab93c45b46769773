"""Tables of a run, as small as claims need them: what is kept is what decides.

Claims always read the small tables, also of runs that are there, so that what is decided from kept
tables is decided from the same numbers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from analysis.tables.trajectory import BASELINES
from studies.run.directory import RunDir
from studies.run.measured import copies_parts, denoiser_parts, read_measured
from studies.run.opened import Experiment
from studies.run.plans import make_plans, shown_plans
from studies.run.provenance import ORACLE

SNAPSHOT = ("run", "step", "images_seen", "combination", "split")
IMAGE = (*SNAPSHOT, "prompt", "sample")
READ = (*IMAGE, "concept", "target", "predicted", "p_target", "target_value", "predicted_value")
COLUMNS: Mapping[str, Sequence[str]] = {
    "scores": (*READ, "intervention"),
    "oracle": READ,
    "denoiser": (*SNAPSHOT, "level", "scene", "concept", "response", "ideal_response", "refused"),
    "copies": (*IMAGE, "nearest", "second_nearest"),
    "geometry": (),
}
DIGITS = 4  # of numbers between 0 and 1, and of px
FINE = ("response", "ideal_response", "nearest", "second_nearest")  # kept as they are


def compact(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the columns that claims read, and numbers as they are kept."""
    own = table[[*COLUMNS[name]]] if COLUMNS[name] else table
    return pd.DataFrame({str(key): _plain(str(key), column) for key, column in own.items()})


def _plain(key: str, column: pd.Series) -> pd.Series:
    """Return a number as float32 keeps it, rounded so that .2 is .2 again, and text as text."""
    if pd.api.types.is_integer_dtype(column):
        return column.astype("int64").reset_index(drop=True)
    if pd.api.types.is_float_dtype(column):
        kept = column.reset_index(drop=True).astype("float32").astype("float64")
        return kept if key in FINE else kept.round(DIGITS)
    return column.astype("string").reset_index(drop=True)


def tables_of(experiment: Experiment) -> dict[str, pd.DataFrame]:
    """Read the tables of a run that is evaluated to its end. Raises Mistake for a part that is
    missing, or is not of the weights that are there."""
    config, run = experiment.config, experiment.run
    plans = [plan for plan in make_plans(config) if plan.weights == config.evaluate.weights]
    found = {"scores": _generated(experiment.scores(plans, experiment.probe_name))}
    if experiment.asks_the_oracle:
        found["oracle"] = _placed(_generated(experiment.scores(shown_plans(config), ORACLE)))
    for name, parts in (("denoiser", denoiser_parts), ("copies", copies_parts)):
        rows = read_measured(parts(config, run), run, experiment.label)
        if len(rows):
            found[name] = _generated(rows)
    if "denoiser" in found:
        rows = found["denoiser"]
        found["denoiser"] = rows[rows["split"] == "held_out"]
    if geometry_file(run).is_file():
        found["geometry"] = pd.read_csv(geometry_file(run))
    return {name: compact(name, table) for name, table in found.items()}


def _generated(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[~rows["run"].isin(BASELINES)]


def _placed(oracle: pd.DataFrame) -> pd.DataFrame:
    """Return rows of numbers on what is held out, and of the last snapshot all, which say where the
    class means are."""
    wanted = (oracle["split"] == "held_out") | (oracle["step"] == oracle["step"].max())
    return oracle[wanted & oracle["target_value"].notna()]


def geometry_file(run: RunDir) -> Path:
    """Return where the geometry of a run's code is, if it was measured."""
    return run.path.parent / "geometry" / run.path.name / "geometry.csv"
