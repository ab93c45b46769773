"""What figures and claims ask of the runs of a study: checked before the work.

Claims find variants by their names. Both can be made of some kinds of networks alone.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import NamedTuple

from ground.endings import Mistake
from studies.claims.sim.config import Run, SimConfig, Symmetric, Trained
from studies.claims.sim.exact import is_two_layers


def _any(_: object) -> bool:
    return True


class Need(NamedTuple):
    """wanted: in words. fits: each run. named: the names of all runs. variants: those that a claim
    is decided from, by name; without it, all there are."""

    wanted: str
    fits: Callable[[Run], bool] = _any
    named: Callable[[Iterable[str]], bool] = _any
    variants: Callable[[Iterable[str]], Iterable[str]] | None = None


def check_needs(
    key: str, asked: Iterable[str], needs: Mapping[str, Need], config: SimConfig
) -> None:
    """Mistake, naming `key`, for what is unknown or cannot be made of the runs of `config`."""
    for one in asked:
        if one not in needs:
            raise Mistake(f"{key}: got {one!r}, allowed {', '.join(needs)}")
        need, names = needs[one], list(config.runs)
        if not need.named(names):
            raise Mistake(f"{key}: {one} asks for {need.wanted}, got {', '.join(names)}")
        wanted = names if need.variants is None else list(need.variants(names))
        if not wanted:
            raise Mistake(f"{key}: {one} asks for {need.wanted}, got {', '.join(names)}")
        for name in wanted:
            if name not in config.runs:
                raise Mistake(f"{key}: {one} asks for a variant {name!r}, got {', '.join(names)}")
            if not need.fits(config.runs[name]):
                raise Mistake(f"{key}: {one} asks for {need.wanted}, which {name!r} is not")


def _has_a_plane(run: Run) -> bool:
    mu = run.mu if isinstance(run, Symmetric) else run.task.mu
    return sum(value != 0 for value in mu) > 1


def _is_symmetric(run: Run) -> bool:
    return isinstance(run, Symmetric)


def _has_entries(run: Run) -> bool:
    return _is_symmetric(run) and _has_a_plane(run)


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


def _end_in_numbers(names: Iterable[str]) -> bool:
    return all(re.fullmatch(r".* \d+(\.\d+)?", name, re.ASCII) for name in names)


def _are_a_grid(names: Iterable[str]) -> bool:
    pairs = [name.split(", ") for name in names]
    if any(len(pair) != 2 for pair in pairs):
        return False
    rows, columns = (set(axis) for axis in zip(*pairs, strict=True))
    return len(pairs) == len(rows) * len(columns)


def _exactly(*names: str) -> Callable[[Iterable[str]], Iterable[str]]:
    return lambda _: names


def _all_of(*parts: Iterable[str]) -> Callable[[Iterable[str]], Iterable[str]]:
    return _exactly(*map(", ".join, product(*parts)))


def _named(pattern: str) -> Callable[[Iterable[str]], Iterable[str]]:
    return lambda names: (name for name in names if re.fullmatch(pattern, name))


def _each_diversity(names: Iterable[str]) -> Iterable[str]:
    variants = dict.fromkeys(name.rpartition(", ")[0] for name in names)
    return (f"{name}, sigma_1 {sigma}" for name in variants for sigma in (0.05, 1, 2))


def _with_its_twin(names: Iterable[str]) -> Iterable[str]:
    whole = [name for name in names if "removed" not in name]
    return [*whole, *(f"{name}, removed" for name in whole)]


FIGURE_NEEDS: Mapping[str, Need] = {
    "paths": Need("runs of two concepts and more", _has_a_plane),
    "losses": Need("runs"),
    "residuals": Need("linear networks", _has_a_map),
    "entries": Need("symmetric networks of two concepts and more", _has_entries),
    "corners": Need("runs"),
    "swing_rates": Need("symmetric networks", _is_symmetric),
    "rates": Need("linear networks", _is_linear),
    "times": Need("linear networks of two layers without biases", is_two_layers),
    "factors": Need("names of what is varied, a space and a number", named=_end_in_numbers),
    "phase": Need(
        "all combinations of two axes of a grid, whose names hold no comma", named=_are_a_grid
    ),
}
MU = "mu (1, 2)", "mu (2, 4)"
A = "A", "A2"
CLAIM_NEEDS: Mapping[str, Need] = {
    "p1.thm41": Need("linear networks", _is_linear, variants=_exactly("paper")),
    "p1.thm41.bias": Need("linear networks", _is_linear, variants=_exactly("code")),
    "p1.fig2a": Need(
        "networks of two concepts and more, recorded at every epoch",
        _has_a_bow,
        variants=_all_of(("paper", "code"), ("mu (1, 2)", "mu (2, 2)", "mu (3, 2)")),
    ),
    "p1.fig2b": Need(
        "networks of two concepts and more, recorded at every epoch",
        _has_a_bow,
        variants=_each_diversity,
    ),
    "p1.fig2c.swing": Need("linear networks of two layers and more", _is_deep_linear),
    "p1.fig2c.dimension": Need(
        "linear networks of two layers and more",
        _is_deep_linear,
        variants=_all_of(("d 2", "d 64"), MU),
    ),
    "p1.fig17": Need(
        "linear networks of two layers and more, one named d 2 and not no bias",
        _is_deep_linear,
        variants=_named("(?=.*d 2)(?!.*no bias).*"),
    ),
    "p1.fig5": Need(
        "symmetric networks, one not named gaussian",
        _is_symmetric,
        variants=_named("(?!.*gaussian).*"),
    ),
    "p1.fig5.mechanism": Need(
        "symmetric networks of two concepts and more",
        _has_entries,
        variants=_exactly(*A, *(f"{name}, gaussian" for name in A)),
    ),
    "p1.fig7": Need("networks recorded at every one of four epochs or more", _sees_four_epochs),
    "p1.fig8-9": Need(
        "symmetric networks named fig. 8 or fig. 9",
        _is_symmetric,
        lambda names: all(re.match("fig. [89]", name) for name in names),
    ),
    "p1.fig10": Need("symmetric networks at 40 000 steps", _sees_forty_thousand_steps),
    "p1.fig11-12": Need(
        "networks of two concepts and more, recorded at every epoch",
        _has_a_bow,
        variants=_all_of(("linear", "ReLU"), ("mu (1, 2)", "mu (3, 2)")),
    ),
    "p1.fig16": Need(
        "networks of two concepts and more, recorded at every epoch",
        _has_a_bow,
        variants=_with_its_twin,
    ),
    "p1.appE.width": Need(
        "symmetric networks", _is_symmetric, variants=_all_of(A, ("width 3", "width 192"))
    ),
}
