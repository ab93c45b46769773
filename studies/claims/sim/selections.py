"""Selections of runs by their settings: which variants each claim is decided from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ground.endings import Mistake
from studies.claims.sim.config import SimConfig
from studies.claims.sim.variants import Settings, only, settings_of, where

Cases = Mapping[str, Sequence[str]]  # by the label of a case, for people: the names of its runs
Select = Callable[[SimConfig], Cases]  # raises Mistake if they are not there

# What the paper says of its data and networks, and what its released code does.
READINGS: Mapping[str, Mapping[str, object]] = {
    "paper": {"sigma_is": "std", "origin_cluster": False, "bias": False},
    "code": {"sigma_is": "variance", "origin_cluster": True, "bias": True},
}
POWERS = {"A": 1, "A2": 2}  # of the paper's equation, and of its released figures
ACTIVATIONS = {"linear": "linear", "ReLU": "relu"}
DIVERSITIES = (0.05, 1, 2)  # sigma_1 of Fig. 2b
LOW, HIGH = 2, 64  # dimensions of Fig. 2c
NARROW, WIDE = 3, 192  # widths of Appendix E


def each_run(config: SimConfig) -> Cases:
    """Select every run, alone."""
    return {name: [name] for name in config.runs}


def each_of(chosen: Callable[[Settings], bool]) -> Select:
    """Return what selects, alone, every run whose settings are chosen."""
    return lambda config: {
        name: [name] for name, run in config.runs.items() if chosen(settings_of(run))
    }


def reading(label: str) -> Select:
    """Return what selects the one run of a reading of the paper, by its own name."""

    def select(config: SimConfig) -> Cases:
        name = only(config, **READINGS[label])
        return {name: [name]}

    return select


def signals_of_readings(config: SimConfig) -> Cases:
    """Select of both readings the runs of mu (1, 2), (2, 2) and (3, 2)."""
    return {
        label: [only(config, mu=(mu, 2), **reading) for mu in (1, 2, 3)]
        for label, reading in READINGS.items()
    }


def diversities(config: SimConfig) -> Cases:
    """Select the runs of the three diversities, for all kinds of sigma and of biases there are."""
    variants = [settings_of(run) for run in config.runs.values()]
    kinds = dict.fromkeys((one.sigma_is, one.bias) for one in variants)
    return {
        f"{sigma_is}, {'biases' if bias else 'no bias'}": [
            only(config, sigma_1=sigma, sigma_is=sigma_is, bias=bias) for sigma in DIVERSITIES
        ]
        for sigma_is, bias in kinds
    }


def dimensions(config: SimConfig) -> Cases:
    """Select for both mu the runs with biases of a low and of a high dimension."""
    return {
        f"mu ({mu[0]}, {mu[1]})": [only(config, dim=d, mu=mu, bias=True) for d in (LOW, HIGH)]
        for mu in ((1, 2), (2, 4))
    }


def uniform_and_gaussian(config: SimConfig) -> Cases:
    """Select for both powers the run with uniform and that with gaussian initial weights."""
    pairs = [
        [only(config, power=power, init=init) for init in ("uniform", "gaussian")]
        for power in POWERS.values()
    ]
    return {uniform: [uniform, gaussian] for uniform, gaussian in pairs}


def weak_and_strong(config: SimConfig) -> Cases:
    """Select for both activations the runs of mu (1, 2) and (3, 2)."""
    return {
        label: [only(config, activation=activation, mu=(mu, 2)) for mu in (1, 3)]
        for label, activation in ACTIVATIONS.items()
    }


def with_and_without_points(config: SimConfig) -> Cases:
    """Select each run that keeps all points, with the one that differs in their removal alone."""
    variants = {name: settings_of(run) for name, run in config.runs.items()}
    found = {}
    for name in where(config, exclusion_radius=0):
        removed = [n for n, other in variants.items() if _removes(other, variants[name])]
        if len(removed) != 1:
            raise Mistake(f"one variant like {name!r} with points removed, got {len(removed)}")
        found[name] = [name, *removed]
    return found


def _removes(settings: Settings, whole: Settings) -> bool:
    return settings != whole and replace(settings, exclusion_radius=0) == whole


def narrow_and_wide(config: SimConfig) -> Cases:
    """Select for both powers the narrow and the wide factors."""
    return {
        label: [only(config, power=power, width=width) for width in (NARROW, WIDE)]
        for label, power in POWERS.items()
    }
