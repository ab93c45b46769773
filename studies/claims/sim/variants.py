"""Variants of a study by their typed settings: how code selects them. Names are for people."""

from dataclasses import dataclass, fields

from ground.endings import Mistake
from studies.claims.sim.config import Run, SimConfig, Trained


@dataclass(frozen=True)
class Settings:
    """Settings of one run, whatever its kind, under the keys that its config has.

    None stands for a setting that runs of its kind do not have.
    """

    kind: str
    mu: tuple[float, ...]
    sigma: tuple[float, ...]
    sigma_is: str = "std"
    dim: int | None = None
    num_points: int | None = None
    origin_cluster: bool | None = None
    rotation: bool | None = None
    exclusion_radius: float | None = None
    num_layers: int | None = None
    width: int | None = None
    activation: str | None = None
    bias: bool | None = None
    init: str | None = None
    init_scale: float | None = None
    power: int | None = None
    method: str | None = None
    batch_size: int | None = None
    order: str | None = None
    precision: str | None = None
    lr: float | None = None
    epochs: int | None = None
    records: int | None = None
    step: float | None = None
    num_steps: int | None = None
    every: int | None = None

    @property
    def sigma_1(self) -> float:
        """Diversity of the first concept, as `sigma_is` means it."""
        return self.sigma[0]

    @property
    def num_signals(self) -> int:
        """Number of the concepts with a signal."""
        return sum(mu != 0 for mu in self.mu)


def settings_of(run: Run) -> Settings:
    """Return the settings of a run, flat: those of its task, network and training are its own."""
    parts = (run.task, run.network, run.training, run) if isinstance(run, Trained) else (run,)
    own = {key: value for part in parts for key, value in vars(part).items()}
    return Settings(**{key.name: own[key.name] for key in fields(Settings) if key.name in own})


def columns_of(run: Run) -> dict[str, object]:
    """Return the settings that a run has as columns of a table; mu and sigma one per concept."""
    columns: dict[str, object] = {}
    for key, value in vars(settings_of(run)).items():
        if isinstance(value, tuple):
            columns |= {f"{key}_{k}": number for k, number in enumerate(value, 1)}
        elif value is not None:
            columns[key] = value
    return columns


def where(config: SimConfig, **wanted: object) -> list[str]:
    """Return the names of the runs with the settings `wanted`, in the order of the config."""
    return [name for name, run in config.runs.items() if _has(settings_of(run), wanted)]


def only(config: SimConfig, **wanted: object) -> str:
    """Return the name of the one run with the settings `wanted`. Raises Mistake unless it is one.

    The message ends the sentence "… asks for".
    """
    found = where(config, **wanted)
    if len(found) != 1:
        asked = ", ".join(f"{key} {_shown(value)}" for key, value in wanted.items())
        none = "" if found else "none of "
        got = ", ".join(map(repr, found or config.runs))
        raise Mistake(f"one variant with {asked}, got {none}{got}")
    return found[0]


def _has(settings: Settings, wanted: dict[str, object]) -> bool:
    return all(getattr(settings, key) == value for key, value in wanted.items())


def _shown(value: object) -> str:
    return f"({', '.join(map(str, value))})" if isinstance(value, tuple) else str(value)
