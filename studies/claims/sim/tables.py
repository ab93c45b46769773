"""Tables of a study: its curves, and its runs."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from studies.claims.sim import measures
from studies.claims.sim.config import SimConfig
from studies.claims.sim.exact import flow_times
from studies.claims.sim.runs import Paths, Study
from studies.claims.sim.variants import columns_of

QUANTILES = (0.1, 0.5, 0.9)


def curves_table(config: SimConfig, paths: Mapping[str, Paths]) -> pd.DataFrame:
    """Return quantiles over seeds of losses and coordinates at every recorded time.

    c_1_50 is the median of c_1. Settings of the variant stand beside its name.
    """
    return pd.concat([_curves(name, config, p) for name, p in paths.items()], ignore_index=True)


def _curves(name: str, config: SimConfig, paths: Paths) -> pd.DataFrame:
    run = config.runs[name]
    c = measures.coordinates(run, paths)
    curves = {f"c_{k}": c[..., k - 1] for k in range(1, c.shape[2] + 1)}
    curves |= {"loss": paths.loss, "train_loss": paths.train_loss}
    times = {"t": paths.t, "flow_time": flow_times(run, paths.t)}
    table = pd.DataFrame({"variant": name, **columns_of(run), **times})
    return pd.concat([table, _quantiles(curves, measures.stays_finite(paths))], axis=1)


def _quantiles(curves: Mapping[str, np.ndarray], used: np.ndarray) -> pd.DataFrame:
    """Return the quantiles of curves, (seed, time) by name, over the seeds used."""
    table = {}
    for what, values in curves.items():
        finite = values[used]
        rows = np.quantile(finite, QUANTILES, axis=0) if len(finite) else [np.nan] * len(QUANTILES)
        for share, row in zip(QUANTILES, rows, strict=True):
            table[f"{what}_{share:.0%}".replace("%", "")] = row
    length = next(iter(curves.values())).shape[1]
    return pd.DataFrame(table, index=range(length))


def runs_table(study: Study) -> pd.DataFrame:
    """Return a row per run: what its path and its loss did."""
    return pd.concat([_runs(name, study) for name in study.paths], ignore_index=True)


def _runs(name: str, study: Study) -> pd.DataFrame:
    paths = study.paths[name]
    columns = {
        "variant": name,
        **columns_of(study.config.runs[name]),
        "seed": list(study.config.seeds.all),
        "rise": measures.heights(paths),
        "num_rises": measures.num_rises(paths, study.rules),
        "swing_height": study.of(measures.swing_heights, name),
        "last_loss": paths.loss[:, -1] / paths.loss[:, 0],
    }
    if paths.outputs.shape[2] > 1:
        columns["bow"] = study.of(measures.bows, name)
    return pd.DataFrame(columns)
