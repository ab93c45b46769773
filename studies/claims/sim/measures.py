"""Measures of what the claims speak of, on the paths of one variant: arrays over seeds.

A run that diverged counts as one that does not do what is asked.
"""

import numpy as np
import torch

from analysis.measures.decay import power_law_penalty, terminal_rate
from analysis.measures.dynamics import bow, count_turns, largest_rise, relative_rise, swing
from analysis.measures.learning_times import LearningTimes, learning_times
from studies.claims.sim.config import Run, Symmetric, Trained
from studies.claims.sim.exact import flow_times, moment, strengths
from studies.claims.sim.rules import Rules
from studies.claims.sim.runs import Paths
from theory.closed_form import mode_rates
from theory.growth import (
    comparability,
    initial_growth,
    initial_growth_bound,
    predicted_stage_times,
    stage_times,
)

LEARNED = 0.8  # a coordinate above
TERMINAL = (0.1, 0.01)  # of its start: where a distance to the target is about to end


def signals(run: Run) -> np.ndarray:
    """Return mu of every concept, (s,)."""
    return np.array(run.mu if isinstance(run, Symmetric) else run.task.mu)


def coordinates(run: Run, paths: Paths) -> np.ndarray:
    """Return c_k, outputs over targets, (seed, time, s).

    That of a concept without signal is the output itself.
    """
    mu = signals(run)
    return paths.outputs / np.where(mu == 0, 1, mu)


def bows(run: Run, paths: Paths, rules: Rules) -> np.ndarray:
    """Return B over whole epochs, nan where not all are recorded; of flows over all times."""
    used = paths.t > 0
    if isinstance(run, Trained):
        used &= paths.t % 1 == 0
        if not run.has_epochs:
            return np.full(len(paths.outputs), np.nan)
    return bow(coordinates(run, paths)[:, used, :2], rules.arrived)


def heights(paths: Paths) -> np.ndarray:
    """Return ρ, the relative rise of the probe's loss."""
    return relative_rise(paths.loss).height


def stays_finite(paths: Paths) -> np.ndarray:
    """Tell which runs do not diverge, (seed,)."""
    return np.isfinite(paths.loss).all(1) & np.isfinite(paths.train_loss).all(1)


def rising(paths: Paths, rules: Rules) -> np.ndarray:
    """Tell whose loss at the probe rises."""
    return heights(paths) > rules.rise


def ended(paths: Paths, rules: Rules) -> np.ndarray:
    """Tell where nearly nothing is left of the probe's loss at the end."""
    return paths.loss[:, -1] <= rules.left * paths.loss[:, 0]


def swings(run: Run, paths: Paths, rules: Rules) -> np.ndarray:
    """Tell where the first concept's coordinate swings."""
    return swing(coordinates(run, paths)[..., 0], rules.swing, rules.swing).swings


def swing_heights(run: Run, paths: Paths, rules: Rules) -> np.ndarray:
    """Return how far the first concept's coordinate falls from its peak."""
    return swing(coordinates(run, paths)[..., 0], rules.swing, rules.swing).height


def num_rises(paths: Paths, rules: Rules) -> np.ndarray:
    """Count the rises of the probe's loss."""
    return count_turns(paths.loss, rules.rise).rises


def num_descents(paths: Paths, rules: Rules) -> np.ndarray:
    """Count the descents of the probe's loss; nan of runs that diverge."""
    return np.where(stays_finite(paths), count_turns(paths.loss, rules.rise).falls, np.nan)


def rates(run: Run, paths: Paths, rules: Rules) -> np.ndarray:
    """Return the rates of ‖(W − I)e_k‖ in flow time, (seed, s)."""
    return terminal_rate(flow_times(run, paths.t), np.moveaxis(paths.errors, 2, 1), *rules.rates)


def rate_ratios(run: Run, paths: Paths, rules: Rules) -> np.ndarray:
    """Return the rates of ‖(W − I)e_k‖ over a_k, (seed, s)."""
    return rates(run, paths, rules) / strengths(run)


def rate_slopes(run: Run, paths: Paths, rules: Rules) -> np.ndarray:
    """Return the slope of a run's rates on a, by least squares over its concepts."""
    a = strengths(run) - strengths(run).mean()
    return rates(run, paths, rules) @ a / (a @ a)


def mode_ratios(run: Run, paths: Paths, rules: Rules) -> np.ndarray:
    """Return rates along the eigenvectors of the (augmented) moment over its eigenvalues.

    Their shape is (seed, m). The run is a trained one.
    """
    assert isinstance(run, Trained)
    measured = terminal_rate(flow_times(run, paths.t), np.moveaxis(paths.modes, 2, 1), *rules.rates)
    return measured / mode_rates(moment(run))[0].numpy()


def arrivals(run: Run, paths: Paths) -> LearningTimes:
    """Return when each concept with a signal is learned, in flow time, (seed, concept)."""
    later = paths.t > 0
    c = coordinates(run, paths)[:, later][..., signals(run) != 0]
    learned = np.where(np.isfinite(c).all(1, keepdims=True), c, 0)
    return learning_times(flow_times(run, paths.t[later]), np.moveaxis(learned, 2, 1), LEARNED)


def in_order(run: Run, paths: Paths) -> np.ndarray:
    """Return the share of the pairs of concepts with a_k > a_l of which k is learned first.

    Never counts as last, and a pair of which neither is learned as out of order.
    """
    a = strengths(run)[signals(run) != 0]
    found = arrivals(run, paths)
    time = np.where(np.isnan(found.time), np.where(found.low > 0, np.inf, 0), found.time)
    k, l = np.argwhere(a[:, None] > a).T  # noqa: E741
    return np.asarray((time[:, k] < time[:, l]).mean(1))


def distance(paths: Paths) -> np.ndarray:
    """Return the output's distance from the probe, as a share of its start, (seed, time)."""
    return np.sqrt(paths.loss / paths.loss[:, :1])


def terminal_exponents(run: Run, paths: Paths) -> np.ndarray:
    """Return the rate at which the distance from the probe ends, over the least a_k.

    The rate is in flow time, and a_k that of a concept with a signal.
    """
    rate = terminal_rate(flow_times(run, paths.t), distance(paths), *TERMINAL)
    return rate / strengths(run)[signals(run) != 0].min()


def exponential_gain(run: Run, paths: Paths) -> np.ndarray:
    """Return the AIC of a power law minus that of an exponential, where the distance ends."""
    left = distance(paths)
    used = (left <= TERMINAL[0]) & (left >= TERMINAL[1])
    return power_law_penalty(flow_times(run, paths.t), left, used)


def training_rises(paths: Paths, rules: Rules) -> np.ndarray:
    """Tell whose training loss rises."""
    rise = largest_rise(paths.train_loss).height
    return rise >= rules.monotone * paths.train_loss[:, 0]


def stage_ratios(run: Run, paths: Paths) -> dict[str, np.ndarray]:
    """Return when w_12 turns and when w_11 passes ½ over what W(0) predicts.

    Each is (seed,), nan where it does not come.
    """
    t, W, a = (torch.from_numpy(x) for x in (paths.t, paths.W, strengths(run)))
    measured, predicted = stage_times(t, W, a, 0, 1), predicted_stage_times(W[:, 0], a, 0, 1)
    return {
        "suppression": (measured.suppression / predicted.suppression).numpy(),
        "second growth": (measured.second_growth / predicted.second_growth).numpy(),
    }


def within_first_stage(run: Run, paths: Paths) -> np.ndarray:
    """Tell where W stays within the bound of its first stage, wherever that is finite."""
    t, W, a = (torch.from_numpy(x) for x in (paths.t, paths.W, strengths(run)))
    apart = (W - initial_growth(W[:, 0], a, t)).abs()
    bound = initial_growth_bound(W[:, 0], a, t) + paths.step_error.max()
    return ((apart <= bound) | ~bound.isfinite()).flatten(1).all(1).numpy()


def are_comparable(paths: Paths) -> np.ndarray:
    """Tell whose initial entries are closer together than those of half of the runs."""
    spread = comparability(torch.from_numpy(paths.W[:, 0])).numpy()
    return spread < np.median(spread)


def suppressed(paths: Paths) -> np.ndarray:
    """Tell which rises of the loss are suppression.

    The stronger concept's diagonal is above ½ where the loss begins to rise, and the entry
    between both concepts falls while it does.
    """
    rise, seed = relative_rise(paths.loss), np.arange(len(paths.loss))
    saturated = paths.W[seed, rise.start, 1, 1] >= 0.5
    return saturated & (paths.W[seed, rise.end, 0, 1] < paths.W[seed, rise.start, 0, 1])
