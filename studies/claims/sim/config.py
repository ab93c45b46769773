"""Configs of configs/sim/: runs of the structured identity mapping task, their figures and claims.

A file says what all runs share (`base`) and, by name, in what each differs: in `variants`, or in
every combination of the axes of a `grid`.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from ground.endings import Mistake, nearest
from ground.reading import check_name, read_as, read_yaml
from studies.many.variants import merged_variants
from theory.networks import MOST_WIDTH, Network
from theory.settings import Training
from theory.task import MOST_CONCEPTS, MOST_SEEDS, MOST_SIGNAL, SimTask

PILOT = "-pilot"  # ends the names of pilots' folders
MOST_RUNS = 1 << 20  # of a variant
RUN_KEYS = ("base", "variants", "grid")  # of a file, of which `SimConfig.runs` is made


@dataclass(frozen=True)
class Seeds:
    """Seeds of the runs: `count` of them, from `first` on."""

    first: int = 1000
    count: int = 256

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_RUNS:
            raise Mistake(f"count: got {self.count}, allowed are 1 to {MOST_RUNS}")
        if not 0 <= self.first <= MOST_SEEDS - self.count:
            allowed = f"0 to {MOST_SEEDS - self.count} for {self.count} seeds"
            raise Mistake(f"first: got {self.first}, allowed are {allowed}")

    @property
    def all(self) -> range:
        """Range of all seeds."""
        return range(self.first, self.first + self.count)


@dataclass(frozen=True)
class Trained:
    """Multilayer perceptrons under gradient descent.

    Attributes:
        epochs: how long.
        records: at how many moments beside the start, about equally far apart.
    """

    task: SimTask = SimTask()
    network: Network = Network()
    training: Training = Training()
    epochs: int = 40
    records: int = 40
    kind: Literal["trained"] = "trained"

    def __post_init__(self) -> None:
        for key in ("epochs", "records"):
            if getattr(self, key) < 1:
                raise Mistake(f"{key}: got {getattr(self, key)}, allowed are 1 and more")

    @property
    def has_epochs(self) -> bool:
        """True if the end of every epoch is recorded."""
        return self.records % self.epochs == 0


@dataclass(frozen=True)
class Symmetric:
    """Symmetric network U Uᵀ under its flow, in the paper's printed clock.

    Attributes:
        mu: the probe x̂; a concept without signal has mu 0.
        sigma: of each concept, a standard deviation. A = diag(sigma² + mu²/P), P the number of
            concepts with a signal.
        width: columns of U.
        init: uniform, entries in [0, init_scale); gaussian, with standard deviation init_scale.
        power: 1, A as in the paper's equation; 2, A² as in its released figures.
        method, step, num_steps, every: of the integration; every so many steps are recorded.
    """

    mu: tuple[float, ...]
    sigma: tuple[float, ...]
    width: int
    init: Literal["uniform", "gaussian"] = "uniform"
    init_scale: float = 0.2
    power: Literal[1, 2] = 1
    method: Literal["euler", "rk4"] = "euler"
    step: float = 0.01
    num_steps: int = 2000
    every: int = 10
    kind: Literal["symmetric"] = "symmetric"

    def __post_init__(self) -> None:
        for key in ("num_steps", "every"):
            if getattr(self, key) < 1:
                raise Mistake(f"{key}: got {getattr(self, key)}, allowed are 1 and more")
        if not 1 <= self.width <= MOST_WIDTH:
            raise Mistake(f"width: got {self.width}, allowed are 1 to {MOST_WIDTH}")
        if len(self.mu) > MOST_CONCEPTS:
            raise Mistake(f"mu: got {len(self.mu)} numbers, allowed are at most {MOST_CONCEPTS}")
        if len(self.sigma) != len(self.mu):
            raise Mistake(
                f"sigma: got {len(self.sigma)} numbers, allowed are as many as mu, {len(self.mu)}"
            )
        for key in ("mu", "sigma"):
            for value in getattr(self, key):
                if not 0 <= value <= MOST_SIGNAL:
                    raise Mistake(f"{key}: got {value:g}, allowed are 0 to {MOST_SIGNAL:g}")
        if not 0 < self.init_scale < math.inf:
            raise Mistake(f"init_scale: got {self.init_scale:g}, allowed are numbers above 0")
        if not any(self.mu):
            raise Mistake("mu: got no concept with a signal, allowed are numbers, one above 0")

    @property
    def moment(self) -> tuple[float, ...]:
        """Diagonal of A, a_p = sigma_p² + mu_p²/P."""
        clusters = sum(mu != 0 for mu in self.mu)
        return tuple(s**2 + m**2 / clusters for m, s in zip(self.mu, self.sigma, strict=True))


Run = Trained | Symmetric


@dataclass(frozen=True)
class SimConfig:
    """Study of the task.

    Attributes:
        name: of its folder of results.
        question: what it is for.
        runs: what is run for every seed, by the name of the variant. Names are for people alone.
        figures: how it is drawn; names of studies/claims/sim/figures.py.
        claims: that are decided from it; names of claims.yaml.
    """

    name: str
    question: str
    runs: dict[str, Run]
    figures: tuple[str, ...]
    seeds: Seeds = field(default_factory=Seeds)
    claims: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name, (f"*{PILOT}",))
        if not self.figures:
            raise Mistake("figures: got none, allowed are one and more")


def read_sim_config(path: Path) -> SimConfig:
    """Read a study. Raises Mistake for what is wrong, with its key and what is allowed."""
    data = read_yaml(path)
    try:
        return read_as(SimConfig, _with_runs(data), "")
    except Mistake as mistake:
        raise mistake.at(f"{path}: ") from None


def _with_runs(data: Mapping[str, Any]) -> dict[str, Any]:
    """Put base and variants, or grid, together."""
    own = [field.name for field in fields(SimConfig) if field.name != "runs"]
    for key in data:
        if key not in (*own, *RUN_KEYS):
            hint = nearest(str(key), (*own, *RUN_KEYS))
            raise Mistake(f"{key}: unknown key{hint}; allowed: {', '.join((*own, *RUN_KEYS))}")
    runs = merged_variants(*(data.get(key) for key in RUN_KEYS))
    return {"runs": runs, **{key: data[key] for key in own if key in data}}


@contextmanager
def named(variant: str) -> Iterator[None]:
    """Let Mistakes about a run say whose they are."""
    try:
        yield
    except Mistake as mistake:
        raise mistake.at(f"runs.{variant}: ") from None


def on_pilot_seeds(config: SimConfig, count: int) -> SimConfig:
    """Return the study for a look: seeds 0 to count − 1, on which no claim is decided."""
    return replace(config, seeds=Seeds(0, count))
