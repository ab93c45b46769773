"""What the model is trained to predict. Imports no torch."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ObjectiveConfig:
    """DDPM (Ho et al. 2020): plain mean squared error on the noise, discrete timesteps."""

    kind: Literal["ddpm"] = "ddpm"
    prediction: Literal["epsilon"] = "epsilon"
    schedule: Literal["linear", "squaredcos_cap_v2"] = "squaredcos_cap_v2"
    num_timesteps: int = 1000
