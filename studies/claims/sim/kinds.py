"""Kinds of runs that figures and claims can be made of: checked before the work."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ground.endings import Mistake
from studies.claims.sim.config import Run, SimConfig, Symmetric, Trained
from studies.claims.sim.exact import is_two_layers
from studies.claims.sim.variants import settings_of


class Kind(NamedTuple):
    """Kind of runs: in words, and whether a run is of it."""

    words: str
    fits: Callable[[Run], bool]


def check_kind(kind: Kind, config: SimConfig, names: Iterable[str]) -> None:
    """Raise Mistake if one of the named runs is of another kind."""
    for name in names:
        if not kind.fits(config.runs[name]):
            raise Mistake(f"{kind.words}, which {name!r} is not")


def _is_any(_: Run) -> bool:
    return True


def _has_a_plane(run: Run) -> bool:
    return settings_of(run).num_signals > 1


def _is_symmetric(run: Run) -> bool:
    return isinstance(run, Symmetric)


def _has_entries(run: Run) -> bool:
    return _is_symmetric(run) and _has_a_plane(run)


def _has_several_descents(run: Run) -> bool:
    return _is_symmetric(run) and settings_of(run).num_signals in (3, 4)


def _has_a_map(run: Run) -> bool:
    return isinstance(run, Symmetric) or run.network.is_linear


def _is_linear(run: Run) -> bool:
    return isinstance(run, Trained) and run.network.is_linear


def _is_deep_linear(run: Run) -> bool:
    return isinstance(run, Trained) and _is_linear(run) and run.network.num_layers > 1


def _has_a_bow(run: Run) -> bool:
    return isinstance(run, Trained) and run.has_epochs and _has_a_plane(run)


def _sees_four_epochs(run: Run) -> bool:
    return isinstance(run, Trained) and run.epochs == run.records >= 4


def _sees_forty_thousand_steps(run: Run) -> bool:
    if not isinstance(run, Symmetric):
        return False
    return run.num_steps == 40_000 and run.num_steps // run.every % 4 == 0


ANY = Kind("runs", _is_any)
PLANE = Kind("runs of two concepts and more", _has_a_plane)
MAP = Kind("linear networks", _has_a_map)
LINEAR = Kind("linear networks", _is_linear)
DEEP_LINEAR = Kind("linear networks of two layers and more", _is_deep_linear)
TWO_LAYERS = Kind("linear networks of two layers without biases", is_two_layers)
BOW = Kind("networks of two concepts and more, recorded at every epoch", _has_a_bow)
FOUR_EPOCHS = Kind("networks recorded at every one of four epochs or more", _sees_four_epochs)
SYMMETRIC = Kind("symmetric networks", _is_symmetric)
ENTRIES = Kind("symmetric networks of two concepts and more", _has_entries)
DESCENTS = Kind("symmetric networks of three or four concepts", _has_several_descents)
LONG = Kind("symmetric networks at 40 000 steps", _sees_forty_thousand_steps)
