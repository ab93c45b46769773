"""What the claims speak of, measured on the paths of one variant: an array over seeds.

A run that diverged counts as one that does not do what is asked.
"""

import numpy as np

from analysis.dynamics import bow, count_turns, largest_rise, relative_rise, swing
from analysis.rates import terminal_rate
from studies.sim.config import Run, Symmetric, Trained
from studies.sim.rules import Rules
from studies.sim.runs import Paths
from theory.settings import Setting
from theory.task import second_moment


def signals(run: Run) -> np.ndarray:
    """mu of every concept."""
    return np.array(run.mu if isinstance(run, Symmetric) else run.task.mu)


def coordinates(run: Run, paths: Paths) -> np.ndarray:
    """c_k, outputs over targets, (seed, time, s); of a concept without signal the output itself."""
    mu = signals(run)
    return paths.outputs / np.where(mu == 0, 1, mu)


def bows(run: Run, paths: Paths, rules: Rules) -> np.ndarray:
    """B over whole epochs."""
    ends = (paths.t > 0) & (paths.t % 1 == 0)
    return bow(coordinates(run, paths)[:, ends, :2], rules.arrived)


def heights(paths: Paths) -> np.ndarray:
    """ρ, the relative rise of the probe's loss."""
    return relative_rise(paths.loss).height


def rising(paths: Paths, rules: Rules) -> np.ndarray:
    return heights(paths) > rules.rise


def swings(run: Run, paths: Paths, rules: Rules) -> np.ndarray:
    """Whether the first concept's coordinate swings."""
    return swing(coordinates(run, paths)[..., 0], rules.swing, rules.swing).swings


def swing_heights(run: Run, paths: Paths, rules: Rules) -> np.ndarray:
    return swing(coordinates(run, paths)[..., 0], rules.swing, rules.swing).height


def num_rises(paths: Paths, rules: Rules) -> np.ndarray:
    return count_turns(paths.loss, rules.rise).rises


def rate_ratios(run: Trained, paths: Paths, rules: Rules) -> np.ndarray:
    """Rates of ‖(W − I)e_k‖ in flow time over a_k, (seed, s)."""
    setting = Setting(run.task, run.network, run.training)
    t = paths.t * setting.steps_per_epoch * setting.flow_time
    rates = terminal_rate(t, np.moveaxis(paths.errors, 2, 1), *rules.rates)
    return rates / second_moment(run.task).diagonal().numpy()


def training_rises(paths: Paths, rules: Rules) -> np.ndarray:
    rise = largest_rise(paths.train_loss).height
    return rise >= rules.monotone * paths.train_loss[:, 0]


def suppressed(paths: Paths) -> np.ndarray:
    """Whether the stronger concept's diagonal is above ½ where the loss begins to rise, and the
    entry between both falls while it does."""
    rise, seed = relative_rise(paths.loss), np.arange(len(paths.loss))
    saturated = paths.W[seed, rise.start, 1, 1] >= 0.5
    return saturated & (paths.W[seed, rise.end, 0, 1] < paths.W[seed, rise.start, 0, 1])
