"""What the model is trained to predict. Imports no torch."""

from dataclasses import dataclass
from typing import Literal

from ground.endings import Mistake

Prediction = Literal["epsilon", "sample", "v_prediction"]
GAMMA_LIMIT = 15.0  # e^−15 is what float32, in which diffusers keeps ᾱ, can tell from nothing


@dataclass(frozen=True)
class ObjectiveConfig:
    """Objective ddpm (Ho et al. 2020): plain mean squared error at discrete timesteps, on a fixed
    schedule; or variational (Kingma et al. 2021): bits per dimension in continuous time, on a
    learned schedule.

    `linear` spends more of training on strong noise than `squaredcos_cap_v2` does, and there the
    large traits of an image, its color and size, are decided: small models obey prompts for these
    more than twice as soon (one seed: color .97 after 400 steps, against .69 after 800).

    Attributes:
        kind: ddpm or variational, as above.
        prediction: what the network puts out: the noise, the image, or v = α ε − σ x_0
            (Salimans & Ho 2022); variational: the noise.
        schedule: of ddpm.
        num_timesteps: of ddpm; of the grid on which samplers see the variational model.
        gamma_min, gamma_max: variational: where the learned γ(0) and γ(1), γ = −log SNR, start.
    """

    kind: Literal["ddpm", "variational"] = "ddpm"
    prediction: Prediction = "epsilon"
    schedule: Literal["linear", "squaredcos_cap_v2"] = "linear"
    num_timesteps: int = 1000
    gamma_min: float = -5.0
    gamma_max: float = 10.0

    def __post_init__(self) -> None:
        check_objective(self)


def check_objective(config: ObjectiveConfig) -> None:
    """Raises Mistake for numbers out of range and for what the variational objective cannot be."""
    low, high, steps = config.gamma_min, config.gamma_max, config.num_timesteps
    if not 1 <= steps <= 10**6:
        raise Mistake(f"objective.num_timesteps: got {steps}, allowed 1 to 1000000")
    if config.kind == "variational" and config.prediction != "epsilon":
        got = config.prediction
        raise Mistake(f"objective.prediction: got {got!r}, allowed for variational: epsilon")
    if not -GAMMA_LIMIT <= low < GAMMA_LIMIT:
        allowed = f"from {-GAMMA_LIMIT:g} to below {GAMMA_LIMIT:g}"
        raise Mistake(f"objective.gamma_min: got {low:g}, allowed {allowed}")
    if not low < high <= GAMMA_LIMIT:
        allowed = f"above gamma_min, {low:g}, to {GAMMA_LIMIT:g}"
        raise Mistake(f"objective.gamma_max: got {high:g}, allowed {allowed}")
