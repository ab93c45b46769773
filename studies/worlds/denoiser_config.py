"""Config of the measurement of the denoiser itself. Imports no torch."""

from dataclasses import dataclass

from ground.endings import Mistake

MOST_LEVELS = 4  # as many as a figure shows beside each other
MOST_SCENES = 1 << 16  # of a combination: every scene has a number of 32 bits
MOST_RENDERS = 1 << 20


@dataclass(frozen=True)
class DenoiserConfig:
    """Measurement of the denoiser itself, beside its samples: does it obey each word? Of worlds
    that a renderer draws.

    Attributes:
        levels: noise levels, each by its signal fraction ᾱ, x_t = √ᾱ x_0 + √(1 − ᾱ) ε; none: the
            denoiser is not measured.
        scenes: fresh scenes of every held-out combination, or section of bumps, that are denoised.
        training_scenes: the same of every training one.
        renders: fresh renders of every combination, over which its ideal denoiser averages. Bumps
            need none: a centre has one image.
    """

    levels: tuple[float, ...] = ()
    scenes: int = 48
    training_scenes: int = 8
    renders: int = 3000

    def __post_init__(self) -> None:
        for level in self.levels:
            if not 0 < level < 1:
                raise Mistake(f"evaluate.denoiser.levels: got {level:g}, allowed above 0, below 1")
        if len({*self.levels}) < len(self.levels) or len(self.levels) > MOST_LEVELS:
            raise Mistake(
                f"evaluate.denoiser.levels: got {len(self.levels)} of which "
                f"{len({*self.levels})} differ, allowed up to {MOST_LEVELS} different ones"
            )
        numbers = {"scenes": MOST_SCENES, "training_scenes": MOST_SCENES, "renders": MOST_RENDERS}
        for key, most in numbers.items():
            if not 2 <= getattr(self, key) <= most:
                got = getattr(self, key)
                raise Mistake(f"evaluate.denoiser.{key}: got {got}, allowed 2 to {most}")

    def scenes_of(self, split: str) -> int:
        """Return how many scenes each combination of a split has."""
        return self.scenes if split == "held_out" else self.training_scenes
